// What a forward pass through an ODE block leaves for its reverse pass, by gradient method.
#pragma once

#include <map>
#include <string>

#include "altprop/network/graph.h"
#include "altprop/ode/integrate.h"
#include "altprop/ode/method.h"

namespace altprop::ode {

struct Record {
  GradientMethod method;
  Pass pass;                 ///< whose draws every evaluation repeats
  /// Where the integration begins and the times at which its steps end, the last one an output: one
  /// for all samples, or one for each.
  std::vector<Span> spans;
  bool reads_begin = false;  ///< the first output is the begin itself
  bool times = false;        ///< credits of times will be wanted
  bool dense = false;        ///< some outputs lie between the ends of steps
  /// What ends the integration of a sample, while it is on its way; null: nothing.
  const EventSearch* event = nullptr;
  bool watch_noise = false;
  /// Further inputs of f, behind the state and the time, which stay as they are over the solve.
  std::vector<Tensor> constants;

  std::vector<TimeStep> steps;  ///< those that were accepted
  Tensor begin;                 ///< x at the begin
  Tensor end;                   ///< y at the end: Mali; x(T): Adjoint
  /// y_n by step, undefined where it is not kept: of those that take part in it, or of all.
  std::vector<Tensor> states;
  bool whole_states = false;  ///< states are those of all samples
  int64_t slots = 0;          ///< how many of them may be kept at once
  Tensor last;                ///< Binomial: y at the begin of the last step
  std::vector<std::vector<std::shared_ptr<Activity>>> stages;  ///< of every step: Naive
  std::vector<std::vector<Tensor>> slopes;  ///< of every step: Naive that keeps slopes
  std::shared_ptr<Activity> first;  ///< Naive: of the slope that is carried from the begin
  std::vector<Tensor> outputs;      ///< x at the outputs: Adjoint
  /// After a reverse pass with `times`: credit of t_n, begin and end of the steps, at fixed times of
  /// the others, [steps + 1]. Adjoint: of 0 and the output times.
  std::vector<double> of_times;
  /// The same where samples have steps of their own: what each step adds to the credits of its begin
  /// and end, [those that take part].
  struct OfStep {
    std::vector<double> begin, end;
  };
  std::vector<OfStep> of_steps;
  std::map<int64_t, double> event_times;  ///< of the samples that came to the event
  Tensor event_rates;                     ///< dx/dt there, of the steps' polynomials; zeros of others
  /// What the time of an output between the ends of steps receives: by output, of the whole batch [1] or
  /// of each sample.
  std::map<int, std::vector<double>> of_reads;
  std::vector<double> of_begin;  ///< ... and what the begin gets beside, where f there is carried
  /// After a reverse pass: credits of the constants, summed over all evaluations.
  std::vector<Tensor> of_constants;
  Costs forward, backward;

  /// Of the only span.
  double end_time() const { return spans.at(0).stops.back().time; }
  /// Reverse passes need y_n and k_i, be all activities there or not.
  bool keeps_slopes() const { return times || dense; }
  int outputs_count() const;
  bool per_sample() const { return !steps.empty() && steps[0].each != nullptr; }
  Moment begin_time() const { return begin_of(spans); }
};

/// f(t, z, constants), a graph of the inputs z and, if it has more, the time and constants. The time
/// is [1], or of a graph that takes one for each sample [rows, 1].
/// @param keep evaluations hold what a reverse pass through f needs
Field field_of(const Graph& f, const Pass& pass, bool keep, std::vector<Tensor> constants = {});

/// Integrates through record.spans, along record.steps if there are any, else with steps of its own,
/// and fills the record as its method needs.
/// @returns x at the outputs; where a sample does not come to one, zeros
std::vector<Tensor> record_forward(const Scheme& method, const Graph& f, const Tensor& begin,
                                   const StepSizes& sizes, Record& record);

/// Where a tangent begins.
struct TangentFrom {
  Tensor begin;          ///< of x(0), [K*B, ...]; undefined: none
  ParamTangents params;  ///< of f's parameters; may be null
  std::vector<Tensor> constants = {};  ///< of the constants; undefined or left out: none
  double end_time = 0;   ///< of T, with all times in proportion
};
/// Tangents of the outputs, at the recorded steps.
std::vector<Tensor> push_along(const Scheme& method, const Graph& f, const Record& record,
                               const TangentFrom& from);

/// The reverse pass: credit of the begin, with the feedback and the sink of `sweep`, which receives
/// signals of f's operations, once per evaluation of the samples that took the step. Site::use is
/// step * s + stage, and with outputs between steps step * (s + 1) + stage, f at the end the last.
/// Fills record.of_constants.
/// @param cots of the outputs
Tensor record_back(const Scheme& method, const Graph& f, const StepSizes& sizes, Record& record,
                   const std::vector<Tensor>& cots, Sweep& sweep);

/// The same with the continuous adjoint equation; see adjoint.cpp.
Tensor adjoint_back(const Scheme& method, const Graph& f, const StepSizes& sizes, Record& record,
                    const std::vector<Tensor>& cots, Sweep& sweep);

/// The reverse pass of the tangents that begin at x(0), at the recorded steps: credits of the begin
/// and of its tangent, with signals of f's operations. Stages that were not kept are evaluated again
/// and all kept. @param tangent [K*B, ...] @param cots of the outputs' tangents, [M*K*B, ...]
TangentCredits tangents_back(const Scheme& method, const Graph& f, const Record& record,
                             const Tensor& tangent, const std::vector<Tensor>& cots, Sweep& sweep);

/// Credits of the output times, of 0 first, from those of the steps' ends: times between two outputs
/// stay at the same fraction of the way. [outputs + 1], or [outputs] if the first output is the
/// begin; where samples have steps of their own, the sum over all of them
std::vector<double> credits_of_output_times(const Record& record);
/// The same of every sample with steps of its own, float64: [samples, outputs + 1], that of the begin
/// first; zeros where a sample does not come to an output.
Tensor credits_of_sample_times(const Record& record);
/// Credit of T where all times are in proportion to it.
double credit_of_end_time(const Record& record);

}  // namespace altprop::ode
