// The plain store and sink: gradients in tensors of their own, or in the caller's.
//
//   Gradients found;                                   // of all parameters that learn
//   net.sweep(activity, {{net.output_node(), cot}}, feedback, &found);
//   Tensor g = found.of_param(*param);                 // undefined if no signal came
//
//   Gradients into = Gradients::none();                // of none ...
//   into.bind(*param, torch_parameter.mutable_grad(), 1);  // ... but this, added to what is there
#pragma once

#include <map>

#include "altprop/network/signal.h"

namespace altprop {

class Gradients : public Store, public Sink {
 public:
  /// Of every parameter that is asked about and not frozen.
  Gradients() : any_(true) {}
  /// Of those alone that are bound.
  static Gradients none() { return Gradients(std::vector<ParamPtr>{}); }
  /// Of these alone, frozen or not.
  explicit Gradients(const std::vector<ParamPtr>& params);

  /// What arrives for this parameter goes into this tensor, whoever owns it.
  /// @param into of the parameter's shape, any strides; its numbers are kept `keep` times
  void bind(const Param& param, Tensor into, double keep = 0);

  /// The same with a slot of the caller's making; one without a tensor gets it when it is asked
  /// for.
  Slot& give(const Param& param, Slot slot) { return slots_[&param] = std::move(slot); }
  /// The slot of a parameter as it is, without making its tensor; null if there is none.
  Slot* find(const Param& param);
  const Slot* find(const Param& param) const;

  Slot* of(const Param& param) override;
  void take(const LocalSignal& signal) override { signal.accumulate(*this); }
  void take(const ParamSignal& signal) override { signal.accumulate(*this); }

  /// What has arrived; undefined where nothing has.
  Tensor of_param(const Param& param) const;
  /// The same in the order of `params`.
  std::vector<Tensor> of_params(const std::vector<ParamPtr>& params) const;
  /// The same, zeros where nothing has arrived.
  Tensor or_zeros(const Param& param) const;
  /// Everything that has arrived.
  std::vector<std::pair<const Param*, Tensor>> all() const;
  /// The next contribution to each parameter counts as the first again.
  void restart();

 private:
  bool any_ = false;
  std::map<const Param*, Slot> slots_;
};

}  // namespace altprop
