// A rule bound to a network of Python's, whose gradients go into tensors of the caller's.
#pragma once

#include <mutex>

#include "altprop/rules/rule.h"
#include "network.h"

namespace altprop::python {

/// A loss of two Python functions, of the value of each sample [B] and of its gradient [B, ...].
class PythonLoss : public Loss {
 public:
  PythonLoss(pybind11::function value, pybind11::function gradient)
      : value_(std::move(value)), gradient_(std::move(gradient)) {}
  std::string name() const override { return "python"; }
  std::string help() const override { return "a loss of Python's"; }
  Tensor value(const Tensor& output, const Tensor& target) const override;
  Tensor gradient(const Tensor& output, const Tensor& target) const override;
  Tensor right(const Tensor&, const Tensor&) const override { return {}; }
  Tensor link(const Tensor& output) const override { return output; }
  void admit(const std::vector<int64_t>&, const Tensor&) const override {}

 private:
  pybind11::function value_, gradient_;
};

/// A forward pass, until its credit is taken.
struct ForwardPass {
  TracePtr trace;
  Tensor output;
};

class BoundRule {
 public:
  /// @param loss null: gradients at the output are all that it will get
  /// @param input_credit credits of the network's inputs will be asked for
  BoundRule(std::shared_ptr<Network> net, const std::string& name, const OptionValues& options,
            std::shared_ptr<PythonLoss> loss, uint64_t seed, bool input_credit);

  std::shared_ptr<ForwardPass> forward(const Tensor& inputs, int64_t step, bool learning);
  /// Credit of a forward pass, of an objective whose gradient at the output is `cotangent`.
  /// @param into by parameter, where gradients go; none: not wanted @param keep what is there is kept
  /// @returns that of the network's input if the rule was bound for it
  std::optional<Tensor> credit(ForwardPass& pass, const Tensor& cotangent,
                               const std::vector<std::optional<Tensor>>& into,
                               const std::vector<bool>& keep);
  /// The same of the loss that it was bound with.
  void credit_of_loss(ForwardPass& pass, const Tensor& targets,
                      const std::vector<std::optional<Tensor>>& into, const std::vector<bool>& keep);
  std::vector<std::string> owned() const;
  std::vector<std::string> passes() const { return rule_->passes(0, 1); }

 private:
  Credits send(ForwardPass& pass, const Objective& objective,
               const std::vector<std::optional<Tensor>>& into, const std::vector<bool>& keep);
  /// Networks do not go through a fork: libtorch's threads are left behind.
  void expect_own_process() const;

  std::shared_ptr<Network> net_;
  std::shared_ptr<PythonLoss> loss_;
  std::unique_ptr<Learner> learner_;
  Rule* rule_ = nullptr;
  bool input_credit_;
  Stream draws_;
  std::mutex one_at_a_time_;
  int process_;
};

}  // namespace altprop::python
