// Operations without derivatives of their own: any function of at:: calls, differentiated by
// autograd.
#pragma once

#include <functional>

#include "altprop/network/op.h"

namespace altprop {

/// What whoever hands over a function says of its samples: nothing, so that they may depend on each
/// other in training as those of a batch norm do, or that each output follows from its own sample.
enum class Samples { Unknown, Apart };

/// One forward pass on autograd's tape. A pass that draws random numbers from ATen's generators
/// (torch::nn::Dropout) draws them from Pass::draws: the generators are seeded for the pass and put
/// back afterwards, and one such pass runs at a time. Such draws belong to the batch as a whole:
/// they know no sample numbers (Pass::ids), so that a part of a batch, or the batch in another
/// order, draws others.
///
/// vjp, jvp and accumulate use the tape of the forward pass; if a parameter has changed since, the
/// pass is repeated with the new values first ("new weights, same activity"). Saved.t = the inputs;
/// the tape, which refers to the parameters' storage, lives in Saved.extra.
class AutogradOp : public Op {
 public:
  using Function = std::function<Tensor(std::span<const Tensor>)>;

  /// @param function of `arity` tensors, [B, ...] or of a shared value [...]; must be
  /// differentiable twice for jvp
  AutogradOp(std::string type, Function function, int arity = 1,
             Samples samples = Samples::Unknown);

  std::string type() const override { return type_; }
  int arity() const override { return arity_; }
  /// Real values and numbers of any type, of each sample or for the whole batch.
  Takes takes(int) const override;
  /// Runs the function on zeros. @throws Refusal with ATen's words if it fails
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  /// @throws Refusal if a substitute is given
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  bool keeps_output() const override { return true; }
  Traits traits() const override {
    return {.substitutable = false,
            .draws_for_batch = true,
            .couples_samples = samples_ != Samples::Apart,
            .reuses = true};
  }

 protected:
  /// The function at work. @param leaves those of this run, which is one of several at a time
  virtual Tensor run(std::span<const Tensor> inputs, std::span<const Tensor> leaves) const {
    return function_(inputs);
  }
  /// False: nothing is drawn in training, and nobody's generator is touched.
  virtual bool may_draw() const { return true; }
  /// The leaves that accumulate differentiates, in the order of params(); called before each run.
  virtual std::vector<Tensor> leaves() const { return {}; }
  /// Switches between training and evaluation.
  virtual void set_training(bool) const {}
  /// Tensors that a run changes as a by-product and that repeating it must not change again.
  virtual std::vector<Tensor> by_products() const { return {}; }

 private:
  struct Tape;
  std::shared_ptr<const Tape> record(std::span<const Tensor> inputs, bool train,
                                     uint64_t seed) const;
  /// Another pass with the draws and mode of `old`, and without its by-products.
  std::shared_ptr<const Tape> repeat(std::span<const Tensor> inputs, const Tape& old) const;
  std::shared_ptr<const Tape> tape_of(const Saved& saved) const;
  [[noreturn]] void refuse_substitute() const;
  /// One value for the whole batch. @throws Refusal if it has no derivative
  bool shared(const Tape& tape, int input) const;

  std::string type_;
  Function function_;
  int arity_;
  Samples samples_;
  std::vector<char> shared_;  ///< per input; empty before `build`
};

/// The user's own operation without parameters, e.g.
///   autograd_op("swish", [](auto x) { return x[0] * at::sigmoid(x[0]); }, 1, Samples::Apart)
OpPtr autograd_op(std::string type, AutogradOp::Function function, int arity = 1,
                  Samples samples = Samples::Unknown);

}  // namespace altprop
