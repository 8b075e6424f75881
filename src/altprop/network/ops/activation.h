// Elementwise activations with closed-form derivatives. Where the derivative can be written in the
// output alone, only the output is kept (and the input's memory is reused); softplus, gelu and
// elu-like forms state what they keep.
#pragma once

#include "altprop/network/op.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/planar.h"
#include "altprop/tensor/settle.h"

namespace altprop {

/// One elementwise function. Saved.t = {output} or {input}, see Form::from_output.
class Activation final : public Op {
 public:
  /// An increasing function with values in a bounded range: what a unit may have whose states
  /// settle.
  struct Bounded {
    double steepest = 1;               ///< its largest slope
    std::optional<Squash> squash;      ///< as the fused passes of settling states know it
    std::optional<Analytic> analytic;  ///< its continuation to complex numbers
  };
  /// A function and its derivative; one entry per name in the table of activation.cpp.
  struct Form {
    std::string name;
    /// Computes f(x), into x itself if `overwrite`.
    Tensor (*apply)(const Tensor& x, double parameter, bool overwrite);
    /// cot * f'(.), where `kept` is the output if from_output, else the input.
    Tensor (*pull)(const Tensor& cot, const Tensor& kept, double parameter);
    bool from_output;
    Epilogue epilogue;
    double default_parameter;
    std::string parameter_help;  ///< "" if the function has no parameter
    std::optional<Bounded> bounded = {};
    /// f''(.) of what is kept; null where it is not known, or where the slope jumps, so that
    /// second derivatives would miss what happens there.
    Tensor (*bend)(const Tensor& kept, double parameter) = nullptr;
  };

  /// @param name one of names(), or "leaky-relu(0.1)"-like with a parameter. @throws UsageError
  explicit Activation(const std::string& name);
  static std::vector<std::string> names();

  std::string type() const override { return form_->name; }
  std::string settings() const override;
  /// Real values; `identity` passes anything on.
  Takes takes(int) const override { return is_identity() ? Takes::anything() : Takes(); }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return vjp(saved, tangent, input, nullptr);
  }
  /// Of smooth functions; of those with kinks the slope jumps.
  bool has_jvp_vjp() const override;
  Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                 int input) const override;
  /// Of `identity`: those of an operation that changes nothing.
  Traits traits() const override;
  bool works_in_place() const override { return form_->from_output; }
  bool keeps_output() const override { return true; }

  /// Its slope, where `kept` is the output if slope_from_output, else the input.
  Tensor slope_at(const Tensor& kept) const;
  /// What a producer may apply in this activation's place; None if it cannot.
  Epilogue epilogue() const { return form_->epilogue; }
  const std::optional<Bounded>& bounded() const { return form_->bounded; }
  /// Largest size of its slope.
  double steepest() const;
  /// The derivative is a function of the output.
  bool slope_from_output() const { return form_->from_output; }
  void adopt(const Tensor& output, Saved& saved) const { saved.t.assign(1, output); }

 private:
  bool is_identity() const { return form_->name == "identity"; }

  const Form* form_;
  double parameter_;
};

/// @param name "relu", "tanh", "leaky-relu(0.1)", ...; see Activation::names()
inline OpPtr activation(const std::string& name) { return std::make_shared<Activation>(name); }
inline OpPtr relu() { return activation("relu"); }

}  // namespace altprop
