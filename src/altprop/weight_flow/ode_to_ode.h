// A continuous network whose weights flow too:
//     x' = f(W(t) x),  x(0) = the input, the output is x(T);  W(t) a WeightFlow.
// With W on the orthogonal group and |f'| <= 1 the credit neither vanishes nor explodes along t
// (Choromanski, Davis, Likhosherstov, Song, Slotine, Varley, Lee, Weller, Sindhwani 2020, "An Ode
// to an ODE", arXiv 2006.11421).
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "altprop/network/op.h"
#include "altprop/network/ops/activation.h"
#include "altprop/weight_flow/settings.h"
#include "altprop/weight_flow/weight_flow.h"

namespace altprop::weight_flow {

/// Bounds on |credit of x_i| / |credit of x_N| for orthogonal W and sup |f'| = `slope`, N - i =
/// `steps` steps of size h: (1 - a)^steps and (1 + a)^steps with a = slope h for Euler's method and
/// slope h + (slope h)^2 / 2 for the midpoint method. (The paper's e^-1 and e for T = 1 are their
/// limits for h -> 0; at finite h the lower one is smaller.)
struct CreditBounds {
  double least, most;
};
CreditBounds credit_bounds(double slope, double h, int64_t steps, bool midpoint = false);

/// [B, d] -> [B, d]. With h = T / steps, rows x:
///     Euler:     x_{i+1} = x_i + h f(x_i W(t_i)^T)
///     midpoint:  m = x_i + h/2 f(x_i W(t_i)^T),  x_{i+1} = x_i + h f(m W(t_i + h/2)^T)
/// Its derivatives are those of these steps, exact to rounding. No weight of it can be substituted:
/// rules that substitute weights refuse it. What is saved includes the matrices of the pass, which
/// are no weights but what was made of them, as statistics of a norm are.
class OdeToOde : public Op {
 public:
  /// @throws UsageError if the settings name what there is not
  explicit OdeToOde(Settings settings);
  /// Shares the flow of the weights, and so all parameters, of one that has been built.
  /// @throws UsageError if `of` has not
  OdeToOde(const OdeToOde& of);

  std::string type() const override { return "ode-to-ode"; }
  std::string settings() const override { return settings_.text(); }
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  /// Saved.t = per matrix that is read: the values that it meets, what the activation keeps;
  /// Saved.extra: the trajectory.
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::vector<ParamPtr> params() const override;
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  std::vector<std::string> notices() const override;
  Traits traits() const override { return {.substitutable = false, .reuses = true}; }

  /// Of the input's credit over the output's; none where the weights are not orthogonal.
  std::optional<CreditBounds> bounds() const;
  const Grid& grid() const { return grid_; }
  const WeightFlow& flow() const { return *flow_; }
  /// The matrices of a pass.
  static const Trajectory& trajectory(const Saved& saved);

 private:
  /// Credit of the input, and into `read` the gradients of the matrices that were read.
  Tensor pull(const Saved& saved, const Tensor& cot, std::vector<Tensor>* read) const;
  /// The matrices for the parameters as they are: those of the last pass if nothing has changed,
  /// as in evaluation and in episodes.
  std::shared_ptr<const Trajectory> current() const;
  /// Tangent of the output. @param matrices tangents of the matrices; empty: they stay
  Tensor push(const Saved& saved, const Tensor& tangent, std::span<const Tensor> matrices) const;

  Settings settings_;
  Grid grid_;
  int64_t width_ = 0;  ///< d; 0 before it is known
  std::shared_ptr<WeightFlow> flow_;
  Activation activation_;

  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Trajectory> latest_;
  mutable std::vector<Tensor> latest_of_;  ///< copies of the parameters that it was made of
};

inline OpPtr ode_to_ode(Settings settings) {
  return std::make_shared<OdeToOde>(std::move(settings));
}

}  // namespace altprop::weight_flow
