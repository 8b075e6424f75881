// Integration from one time to another with an explicit one-step method: the one stepper that
// forward passes, their repetitions and the continuous adjoint share. Samples share the steps, or
// every sample has its own; then those that have reached their end cost nothing any more.
#pragma once

#include <span>

#include "altprop/ode/step_size.h"
#include "altprop/ode/stiffness.h"

namespace altprop::ode {

/// Costs of one integration, or of several.
struct Costs {
  int64_t evaluations = 0;  ///< of f
  /// Steps. Where samples have steps of their own, of all samples together.
  int64_t accepted = 0, rejected = 0;
  int64_t repeated = 0;  ///< in a reverse pass: steps taken again to find a state that was not kept
  int64_t cut = 0;       ///< integrations that ended early, after max_steps
  /// Largest rounding_noise of an accepted step, where that was asked for.
  double noise = 0;
  /// Sequences of steps: one for each integration or, with steps of their own, for each sample.
  int64_t sequences = 0;
  int64_t fewest = 0, most = 0;  ///< accepted steps of a sequence
  int64_t stiff = 0;             ///< sequences that stability and not accuracy kept short
  /// Evaluations of single samples in forward integrations: samples that are at their end, or have
  /// their own time to go, are not evaluated with the others.
  int64_t sample_evaluations = 0;

  void add(const Costs& other);
  /// Another sequence of so many accepted steps.
  void add_sequence(int64_t accepted_steps);
};

/// An accepted step, told to whoever records steps.
struct Accepted {
  int64_t number;       ///< from 0
  double t, h;          ///< of its begin; h < 0 backwards in time; NAN where samples have their own
  const Tensor& begin;  ///< y_n, of those that take part
  /// Of those that take part. May be moved from, except for `end` and `last`. Activities are there
  /// where they were kept and are of no others.
  StepResult& result;
  int output = -1;  ///< of TimeStep
  bool jump = false;
  std::shared_ptr<SampleSteps> each = nullptr;
  /// y_n of the whole batch.
  std::function<Tensor()> whole = nullptr;
  /// Outputs on the way; then `result.last` is there.
  std::shared_ptr<const std::vector<Read>> reads = nullptr;

  TimeStep step() const { return {t, h, output, jump, each, reads}; }
  Tensor whole_begin() const { return whole ? whole() : begin; }
};
using Observer = std::function<void(Accepted)>;

/// A time at which a step has to end.
struct Stop {
  double time;
  int output = -1;    ///< number of the output that is read there; -1: none
  bool jump = false;  ///< f jumps there
};

/// Where an integration begins, and the times at which its steps have to end, in one direction.
struct Span {
  double begin = 0;
  std::vector<Stop> stops;
  /// Outputs that are read between the ends of steps, in the same direction.
  std::vector<Stop> reads = {};
};

/// A number of every sample whose change of sign ends its integration, on the way of a step: it is
/// read there as an output. Samples have steps of their own then.
struct EventSearch {
  /// @param x [rows, ...] @returns as many
  std::function<std::vector<double>(const Moment& at, const Tensor& x)> value;
  int direction = 0;  ///< 1, -1: only where it rises, falls
  int output = 1;     ///< as which the state there is read
};

/// dx/dt = f(t, x) from t0 to t1, which may be smaller.
/// @param observe called after every accepted step; may be null
/// @returns x(t1)
/// @throws UsageError if the method estimates no error and the number of steps is not given,
/// Diverged naming time and step, and with steps of their own the sample, if the state is not
/// finite, the step size underflows or there are more than max_steps steps
Tensor integrate(const Scheme& method, const Field& f, const Tensor& x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs = nullptr);

/// The same along steps that are given, as they were accepted before.
Tensor integrate_along(const Scheme& method, const Field& f, const Tensor& x,
                       std::span<const TimeStep> steps, const Observer& observe,
                       Costs* costs = nullptr);

/// What a journey is told beside f.
struct Journey {
  const Observer& observe;
  Costs& costs;
  /// Filled with f at the begin where the method carries it; may be null.
  Evaluation* first = nullptr;
  bool watch_noise = false;  ///< also fill Costs::noise
  bool slopes = true;        ///< the observer reads those of the stages
  const EventSearch* event = nullptr;
  /// Filled with the samples that gave up after max_steps; may be null.
  std::vector<int64_t>* cut = nullptr;
};

/// How many equal steps lead through all stops.
int64_t steps_of(const Span& span, const StepSizes& sizes);

/// From the begin through all stops in turn. Equal steps: `steps` to each stop, or of length
/// `step`.
/// @param spans one for all samples, or with steps of their own also one for each
/// @returns what is carried, at the last stop
Tensor travel(const Scheme& method, const Field& f, const Tensor& x, std::span<const Span> spans,
              const StepSizes& sizes, const Journey& journey);
/// @param begin of all samples, where the method carries f there
Tensor travel_along(const Scheme& method, const Field& f, const Tensor& x, const Moment& begin,
                    std::span<const TimeStep> steps, const Journey& journey);

/// When all samples begin.
Moment begin_of(std::span<const Span> spans);

}  // namespace altprop::ode
