#include "altprop/ode/integrate.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/graph.h"
#include "altprop/ode/adaptive.h"
#include "altprop/ode/failure.h"

namespace altprop::ode {

namespace {

bool all_finite(const Tensor& x) { return x.isfinite().all().item<bool>(); }

/// The end of a step whose end is not finite, of the first sample of which it is so.
Where end_of(const TimeStep& step, int64_t number, const Tensor& end, int dim) {
  if (!step.each) return {step.t + step.h, number};
  const SampleSteps& each = *step.each;
  for (size_t i = 0; i < each.size(); ++i)
    if (!all_finite(end.select(dim, static_cast<int64_t>(i))))
      return {each.t[i] + each.h[i], number, each.rows[i]};
  return {each.t.back() + each.h.back(), number, each.rows.back()};
}

/// Looks at the end of all steps alone: what is not finite once stays so, because every step adds
/// to the state. Only then it is found out where it began.
void expect_finite(const Scheme& method, const Field& f, const Tensor& begin,
                   std::span<const TimeStep> steps, const Tensor& end) {
  if (all_finite(end)) return;
  const int dim = method.rows_dim();
  if (!all_finite(begin)) fail_not_finite({steps.empty() || steps[0].each ? 0 : steps[0].t, 0});
  WholeBatch y(begin, dim);
  int64_t number = 0;
  for (const TimeStep& step : steps) {
    ++number;
    y.put(step, take_step(method, f, step, y.of(step), nullptr, false).end);
    if (const Tensor now = y.of(step); !all_finite(now))
      fail_not_finite(end_of(step, number, now, dim));
  }
  fail_not_finite(end_of(steps.back(), number, y.of(steps.back()), dim));
}

/// What is carried at the begin.
Tensor carried_at_begin(const Scheme& method, const Field& f, const Tensor& x, const Moment& begin,
                        const Journey& journey) {
  if (!method.carries_slope()) return method.carry(x, {});
  Evaluation first = f(begin, x);
  ++journey.costs.evaluations;
  journey.costs.sample_evaluations += x.size(0);
  Tensor y = method.carry(x, first.slope);
  if (journey.first) *journey.first = std::move(first);
  return y;
}

/// Equal steps from a time to a stop, the last one of which ends there and may be shorter.
void add_equal_steps(double from, const Stop& stop, const StepSizes& sizes,
                     std::vector<TimeStep>& out) {
  const double distance = stop.time - from;
  const int64_t count = sizes.count(distance);
  for (int64_t i = 0; i < count; ++i) {
    const auto n = static_cast<double>(i);
    const double way = sizes.steps > 0 ? distance * (n / static_cast<double>(count))
                                       : std::copysign(sizes.step, distance) * n;
    out.push_back({from + way, sizes.length(distance, i)});
  }
  out.back().output = stop.output;
  out.back().jump = stop.jump;
}

std::vector<TimeStep> equal_steps(const Span& span, const StepSizes& sizes) {
  std::vector<TimeStep> out;
  double from = span.begin;
  for (const Stop& stop : span.stops) {
    if (stop.time != from) add_equal_steps(from, stop, sizes, out);
    from = stop.time;
  }
  // Outputs on the way belong to the step that they lie in.
  std::vector<std::vector<Read>> reads(out.size());
  size_t n = 0;
  for (const Stop& read : span.reads) {
    while (n + 1 < out.size() && (read.time - out[n + 1].t) * out[n].h >= 0) ++n;
    reads[n].push_back({read.output, read.time, (read.time - out[n].t) / out[n].h});
  }
  for (n = 0; n < out.size(); ++n)
    if (!reads[n].empty())
      out[n].reads = std::make_shared<const std::vector<Read>>(std::move(reads[n]));
  return out;
}

/// Those of every sample side by side.
std::vector<TimeStep> equal_steps(std::span<const Span> spans, const StepSizes& sizes,
                                  const Tensor& like) {
  std::vector<std::vector<TimeStep>> all;
  size_t most = 0;
  for (const Span& span : spans) {
    all.push_back(equal_steps(span, sizes));
    most = std::max(most, all.back().size());
  }
  std::vector<TimeStep> out;
  for (size_t n = 0; n < most; ++n) {
    auto each = std::make_shared<SampleSteps>();
    each->batch = static_cast<int64_t>(spans.size());
    std::vector<Read> reads;
    for (size_t b = 0; b < all.size(); ++b) {
      if (n >= all[b].size()) continue;
      const TimeStep& one = all[b][n];
      if (one.reads)
        for (Read read : *one.reads) {
          read.place = static_cast<int64_t>(each->size());
          reads.push_back(read);
        }
      each->add(static_cast<int64_t>(b), one.t, one.h, one.output, one.jump);
    }
    each->close(like);
    out.push_back(TimeStep::of_samples(std::move(each)));
    if (!reads.empty())
      out.back().reads = std::make_shared<const std::vector<Read>>(std::move(reads));
  }
  return out;
}

}  // namespace

int64_t steps_of(const Span& span, const StepSizes& sizes) {
  int64_t out = 0;
  double from = span.begin;
  for (const Stop& stop : span.stops) {
    out += stop.time == from ? 0 : sizes.count(stop.time - from);
    from = stop.time;
  }
  return out;
}

void Costs::add(const Costs& other) {
  if (other.sequences > 0) {
    fewest = sequences > 0 ? std::min(fewest, other.fewest) : other.fewest;
    most = std::max(most, other.most);
    sequences += other.sequences;
  }
  evaluations += other.evaluations;
  sample_evaluations += other.sample_evaluations;
  accepted += other.accepted;
  rejected += other.rejected;
  repeated += other.repeated;
  cut += other.cut;
  stiff += other.stiff;
  noise = std::max(noise, other.noise);
}

void Costs::add_sequence(int64_t steps) {
  fewest = sequences > 0 ? std::min(fewest, steps) : steps;
  most = std::max(most, steps);
  ++sequences;
}

Moment begin_of(std::span<const Span> spans) {
  if (spans.size() == 1) return spans[0].begin;
  std::vector<double> times;
  for (const Span& span : spans) times.push_back(span.begin);
  return {at::tensor(times, at::kDouble), {}};
}

Tensor travel_along(const Scheme& method, const Field& f, const Tensor& x, const Moment& at_begin,
                    std::span<const TimeStep> steps, const Journey& journey) {
  Costs& count = journey.costs;
  const int dim = method.rows_dim();
  const Tensor begin = carried_at_begin(method, f, x, at_begin, journey);
  WholeBatch y(begin, dim);
  int64_t number = 0;
  std::vector<int64_t> taken(steps.empty() || !steps[0].each ? 1 : static_cast<size_t>(x.size(0)));
  for (const TimeStep& step : steps) {
    const Tensor from = y.of(step);
    StepResult result = take_step(method, f, step, from, nullptr, false);
    if (step.reads) {
      result.last = f(end_time(step, from), method.state(result.end));
      ++result.evaluations;
    }
    count.evaluations += result.evaluations;
    count.sample_evaluations += result.evaluations * from.size(dim);
    const std::function<Tensor()> whole = [&] { return y.all().clone(); };
    if (journey.observe)
      journey.observe({number++, step.t, step.h, from, result, step.output, step.jump, step.each,
                       step.each && !step.each->is_all() ? whole : nullptr, step.reads});
    count.accepted += step.sequences();
    if (step.each) {
      for (const int64_t row : step.each->rows) ++taken[static_cast<size_t>(row)];
    } else {
      ++taken[0];
    }
    y.put(step, std::move(result.end));
  }
  for (const int64_t one : taken) count.add_sequence(one);
  expect_finite(method, f, begin, steps, y.all());
  return y.all();
}

Tensor travel(const Scheme& method, const Field& f, const Tensor& x, std::span<const Span> spans,
              const StepSizes& sizes, const Journey& journey) {
  if (sizes.is_adaptive()) {
    if (!method.estimates_error())
      throw UsageError("solver '" + method.name() +
                       "' has no estimate of its error: say how many steps it takes, as in "
                       "steps=8, or use dopri5");
    return Adaptive(method, f, sizes, journey).run(x, spans);
  }
  const std::vector<TimeStep> steps =
      spans.size() == 1 ? equal_steps(spans[0], sizes) : equal_steps(spans, sizes, x);
  return travel_along(method, f, x, begin_of(spans), steps, journey);
}

Tensor integrate_along(const Scheme& method, const Field& f, const Tensor& x,
                       std::span<const TimeStep> steps, const Observer& observe, Costs* costs) {
  Costs unused;
  const Moment begin = steps.empty() ? Moment(0) : steps[0].begin();
  return method.state(travel_along(method, f, x, begin, steps,
                                   {.observe = observe, .costs = costs ? *costs : unused}));
}

Tensor integrate(const Scheme& method, const Field& f, const Tensor& x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs) {
  Costs unused;
  const Span span{t0, {{t1}}};
  return method.state(travel(method, f, x, {&span, 1}, sizes,
                             {.observe = observe, .costs = costs ? *costs : unused}));
}

}  // namespace altprop::ode
