// How long steps are: a fixed number of equal ones, or such that the estimated error stays below a
// tolerance (E. Hairer, S. Norsett, G. Wanner, "Solving Ordinary Differential Equations I", 1993,
// section II.4; G. Soderlind, "Digital filters in adaptive time-stepping", 2003, ACM TOMS 29(1)).
#pragma once

#include <array>

#include "altprop/ode/step.h"

namespace altprop::ode {

/// I: by the error of the last step alone. PI, PID: also by those of the accepted ones before it,
/// with smoother steps.
enum class Control { I, Pi, Pid };
/// "i", "pi", "pid".
const std::vector<std::string>& control_names();

struct StepSizes {
  int64_t steps = 0;  ///< equal steps between outputs; 0: as `step` says
  double step = 0;    ///< their length, the last one in front of an output shorter; 0: adaptive
  double rtol = 1e-3, atol = 1e-6;  ///< as SciPy's solve_ivp; the state's unit is atol's
  double first_step = 0;            ///< of the adaptive ones, in units of time; 0: estimated
  int64_t max_steps = 10'000;       ///< steps tried, rejected ones too, before giving up
  Control control = Control::I;
  double min_step = 0;  ///< steps of this length are accepted whatever their error
  double max_step = 0;  ///< 0: no bound
  /// After max_steps: the state that was reached instead of an error.
  bool return_early = false;
  /// Adaptive: every sample has steps of its own, by its own error, as if it were alone.
  bool per_sample = false;
  /// Adaptive: after a step that was cut at an output or a jump, the next one grows from the cut
  /// length, as in the code of Matsubara et al. 2021, and is not as long as it would have been.
  bool reference_steps = false;
  /// The state is a vector of parts of these lengths, whose largest norm counts; empty: of one.
  std::vector<int64_t> parts = {};

  bool is_adaptive() const { return steps == 0 && step == 0; }
  /// Of steps that are known before: how many lead to a time that is so far away, in either
  /// direction.
  /// @throws UsageError if `step` makes more than there may be
  int64_t count(double distance) const;
  /// Length of the n-th of these, from 0, with the sign of the distance.
  double length(double distance, int64_t n) const;
};

/// Root of the mean square of value / (atol + rtol size): [1] over all elements of the whole batch
/// (of `parts` the largest), or with steps of their own over those of each sample, [rows].
std::vector<double> scaled_norms(const Tensor& value, const Tensor& size, const StepSizes& sizes);

/// The algorithm of Hairer, Norsett, Wanner II.4 for the first step. Takes one evaluation.
/// @param directions 1 or -1: [1], or with steps of their own [rows] @returns as many, positive
std::vector<double> first_steps(const Scheme& method, const Field& f, const TimeStep& begin,
                                const Tensor& x, const Tensor& slope,
                                const std::vector<int>& directions, const StepSizes& sizes);

/// What the integral (I) controller multiplies h by, given the scaled error of the step that was
/// tried: 0.9 err^(-1/p) in [0.2, 10], not below 1 where the step was accepted (err <= 1).
double next_factor(double error, int order);

/// The same with the errors of the steps before: with r = 1 / err,
///
///   0.9 r_n^((P+I+D)/p) r_{n-1}^(-(P+2D)/p) r_{n-2}^(D/p)   in [0.2, 10], after an accepted step not
///                                                           below 1, after a rejected not above 0.9
///
/// with (P, I, D) = (0, 1, 0) for I, (0.4, 0.3, 0) for PI and (-2/9, 2/9, 1/18) for PID, which is
/// Soderlind's H312PID. r begins at 1.
class Controller {
 public:
  Controller(Control control, int order);
  /// @param error of the step that was tried; it was accepted if at most 1
  double factor(double error);

 private:
  std::array<double, 3> exponents_;
  double before_ = 1, long_before_ = 1;
};

/// How large the rounding errors of a step's error estimate are, on the scale on which the error
/// itself is accepted up to 1: eps |h| sum |d_i| |k_i|. Above 1 steps are rejected because of noise.
/// Of samples with steps of their own the largest.
double rounding_noise(const Tableau& method, const Length& h, const Evaluations& k, const Evaluation& last,
                      const Tensor& size, const StepSizes& sizes);

}  // namespace altprop::ode
