// What the settings of an ODE block have to be, and their text.
#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/block.h"

namespace altprop::ode {

namespace {

bool ascends(const std::vector<double>& times) {
  return std::adjacent_find(times.begin(), times.end(), std::greater_equal<>()) == times.end();
}

/// "0.25/0.5/1"
std::string times_text(const std::vector<double>& times) {
  std::vector<std::string> out;
  for (const double time : times) out.push_back(text::from_number(time));
  return text::join(out, "/");
}

}  // namespace

void Block::expect_inputs() const {
  const std::vector<int>& inputs = f_->input_nodes();
  if (inputs.empty() || f_->output_nodes().size() != 1)
    throw Refusal("ode",
                  text::cat("f has ", inputs.size(), " inputs and ", f_->output_nodes().size(),
                            " outputs, but is a function of the state z, the time t and, "
                            "behind these, of constants"));
  if (inputs.size() < 2) return;
  const Spec& time = f_->node(inputs[1]).spec;
  if (time == sample_time_spec()) return;  // the same for all is a special case
  if (time != time_spec())
    throw Refusal("ode", "the second input of f is the time, one number for the whole batch");
  if (problem_.sizes.per_sample)
    throw Refusal("ode",
                  "samples have steps of their own, but f takes one time for the whole batch",
                  "declare it by f.input(ode::sample_time_spec()), or let samples share the steps");
}

void Block::expect_times() const {
  const double end = problem_.end_time;
  if (!(end > 0) || !std::isfinite(end))
    throw UsageError(
        text::cat("ode: T is the time at which the state is read, above 0, but is ", end));
  const std::vector<double>&outputs = problem_.outputs, &jumps = problem_.jumps;
  if (!outputs.empty() && (!ascends(outputs) || outputs.front() < 0 || outputs.back() != end))
    throw UsageError(text::cat("ode: output times ascend from 0 or later, and the last one is T=",
                               text::from_number(end), ", but they are ", times_text(outputs)));
  if (!jumps.empty() && (!ascends(jumps) || !(jumps.front() > 0) || !(jumps.back() < end)))
    throw UsageError(text::cat("ode: times of jumps ascend between 0 and T=",
                               text::from_number(end), ", but they are ", times_text(jumps)));
}

std::string Block::settings() const {
  const StepSizes &sizes = problem_.sizes, usual;
  std::string out = text::cat("solver=", problem_.solver, ",T=", problem_.end_time);
  const auto say = [&](bool differs, const char* name, const auto& value) {
    if (differs) out += text::cat(",", name, "=", value);
  };
  say(problem_.eta != 1, "eta", problem_.eta);
  say(problem_.coupling != 0, "coupling", problem_.coupling);
  say(stacks(), "times", times_text(problem_.outputs));
  say(problem_.interpolate, "interpolate", "true");
  say(!problem_.jumps.empty(), "jumps", times_text(problem_.jumps));
  say(problem_.learnt_time != LearntTime::No, "learn-T",
      problem_.learnt_time == LearntTime::Square ? "sqrt" : "plain");
  if (sizes.steps > 0) return text::cat(out, ",steps=", sizes.steps);
  if (sizes.step > 0) return text::cat(out, ",step=", sizes.step);
  out = text::cat(out, ",rtol=", sizes.rtol, ",atol=", sizes.atol);
  say(sizes.first_step > 0, "first-step", sizes.first_step);
  say(sizes.control != Control::I, "controller",
      control_names()[static_cast<size_t>(sizes.control)]);
  say(sizes.min_step > 0, "min-step", sizes.min_step);
  say(sizes.max_step > 0, "max-step", sizes.max_step);
  say(sizes.max_steps != usual.max_steps, "max-steps", sizes.max_steps);
  say(sizes.return_early, "on-max-steps", "return");
  say(sizes.per_sample, "steps-of", "sample");
  say(sizes.reference_steps, "reference-steps", "true");
  return out;
}

}  // namespace altprop::ode
