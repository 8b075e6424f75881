// The energy of predictive coding and its descent: every hidden state holds a value v and is
// predicted from the values it depends on,
//
//   E = sum over hidden states of p_i/2 |v_i - f_i(v_parents)|^2 + beta Loss(f_output(v_parents),
//   y)
//
// summed over the batch, with precisions p. Credits are delta_i = p_i (f_i - v_i) at hidden states
// and beta dLoss/df at the output: what a weight has to lower. Millidge, Tschantz, Buckley 2020,
// arXiv 2006.04182; Whittington & Bogacz 2017; Rosenbaum 2022, arXiv 2106.13082; Goemaere et al.
// 2025, arXiv 2505.20137 (the errors as variables).
#pragma once

#include <functional>

#include "altprop/rules/relaxation/pull_back.h"
#include "altprop/rules/relaxation/state_pass.h"
#include "altprop/tensor/recorded_steps.h"

namespace altprop {

/// What errors cost.
struct EnergyTerms {
  double beta = 1;  ///< of the loss; below 0 the output is pushed away from the target
  /// The output's part is 1/2 |f_output - t|^2 with t = f0 + beta (y - f0), f0 the output of the
  /// forward pass, in place of beta Loss.
  bool clamps_output = false;
  std::vector<double> precision;  ///< per state; empty: 1
};

class ValueRelaxation {
 public:
  /// @param pass must outlive this
  explicit ValueRelaxation(StatePass& pass);

  /// Takes over the forward pass of `pass`: values start where every hidden credit is zero. May be
  /// called again for the same forward pass.
  void begin(const Tensor& output, const Objective& objective, const EnergyTerms& terms);

  /// Predictions and credits of all states at the present values.
  void refresh();
  /// Energy at the last refresh.
  double energy() const;
  /// v_i <- v_i + eta (delta_i - sum over children of J^T delta_c), with momentum if above 0; every
  /// state once, in groups of the order. Credits are stale afterwards.
  /// @returns the largest |move| / eta / (1 + |v|) of a state if `measure`, else 0
  double descend(Order order, double eta, double momentum, bool measure);
  /// So many synchronous steps without momentum, in one call and by rows on all threads, where the
  /// network is a chain whose layers behind the first are dense with activations that
  /// tensor/value_steps.h knows. Credits are stale afterwards.
  /// @returns false, with nothing done, where it is not
  bool descend_chain(int64_t steps, double eta);
  /// So many calls of `step`, which calls one of the functions above and reads nothing back; on
  /// devices that can, the device repeats them.
  void repeat(int64_t steps, const std::function<void()>& step);
  /// Copies the weights of dense layers into the layout that predictions are fastest with: for many
  /// steps during which the weights do not change. Until the next `begin`.
  void prepare_for_many_steps();
  /// Takes the hidden states' values from a relaxation of the same forward pass. Credits are stale
  /// afterwards.
  void set_values(Field values);
  /// The weights have changed: nothing that was predicted holds.
  void forget_predictions();
  /// v <- start + step * direction at hidden states. Credits are stale afterwards.
  void move(const Field& start, const Field& direction, double step);

  /// One step on the errors e = delta / p instead of the values: delta_i <- delta_i + eta p_i
  /// (dLoss/dv_i - delta_i), the derivative being total through all later layers. Leaves
  /// predictions and credits as `refresh` does.
  void descend_errors(double eta);

  /// delta_i - sum over children of J^T delta_c of every hidden state, at the last refresh.
  Field forces();
  /// Largest force on a state over 1 + the norm of its value, at the last refresh.
  double largest_force();
  const Field& values() const { return v_; }
  /// Per state; undefined for inputs.
  const Field& credits() const { return delta_; }
  bool hidden(int state) const { return hidden_[static_cast<size_t>(state)]; }
  const std::vector<int>& hops() const { return hops_; }
  /// Largest eigenvalue of the energy's Gauss-Newton matrix at the present values, of whichever
  /// sample has the largest, from above to within this part of it: descent is stable for
  /// eta < 2 / it.
  double curvature(double accuracy = 0.01);
  /// The same with the errors as variables, which is what `descend_errors` moves.
  double error_curvature(double accuracy = 0.01);
  /// By how much rounding may change an energy of this size at values of the present size.
  double energy_rounding(double energy) const;
  /// Energy of values that are off by `tolerance`, absolute and relative, around a minimum here.
  double energy_of_error(double tolerance);

 private:
  double precision(size_t state) const {
    return terms_.precision.empty() ? 1 : terms_.precision[state];
  }
  /// beta times the loss's second derivative at the present output, times a direction.
  Tensor curved(const Tensor& direction) const;
  /// Largest eigenvalue of `matrix`, a product with a field over hidden states.
  double largest_of(double accuracy, const std::function<Field(const Field&)>& matrix);
  void predict(size_t edge);
  Tensor predict_dense(size_t edge);
  void set_credit(size_t edge);
  /// dE/dprediction at these rows of the output.
  Tensor credit_of_output(const Tensor& prediction, const Objective& objective,
                          const Tensor& clamp) const;
  double update(const std::vector<char>& group, double eta, double momentum, bool measure);
  void pull(size_t edge, const Tensor& credit, double alpha, Field& into,
            const std::vector<char>& wanted);

  StatePass& pass_;
  PullBack pull_back_;
  HopFeedback exact_;
  std::vector<char> hidden_, odd_, even_;
  std::vector<int> hops_;
  std::optional<Objective> objective_;
  Tensor pass_output_;
  EnergyTerms terms_;
  Tensor clamp_;  ///< t, where the output is clamped
  Field v_, delta_, velocity_;
  std::vector<Tensor> prediction_;  ///< per edge
  std::vector<Tensor> turned_;      ///< per edge: the weight, its columns side by side
  std::vector<char> stale_;         ///< per edge: a parent has moved since
  RecordedSteps recorded_;
};

}  // namespace altprop
