// Forward passes that leave a record, and tangents along it.
#include "altprop/ode/record.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/revolve.h"

namespace altprop::ode {

Field field_of(const Graph& f, const Pass& pass, bool keep) {
  const Pass own{
      .mode = pass.mode, .draws = pass.draws, .ids = pass.ids, .first_row = pass.first_row};
  return [&f, own, keep](double t, const Tensor& x) {
    std::vector<Tensor> inputs = {x};
    if (f.input_nodes().size() > 1) inputs.push_back(at::full({1}, t, x.options()));
    auto activity = std::make_shared<Activity>();
    Evaluation out{f.run(inputs, *activity, own, {.forget = !keep})};
    // A reverse pass reads what the operations have saved, not the values on the edges.
    activity->values.clear();
    if (keep) out.activity = std::move(activity);
    return out;
  };
}

namespace {

/// Decides which states of a forward pass stay.
class StatesKept {
 public:
  StatesKept(Record& record, int64_t steps) : record_(record), plan_(steps, c(record)) {
    const Gradient kind = record.method.kind;
    // A pass that nobody learns from keeps the begin alone; a reverse pass finds the others again.
    const bool learns = record.pass.mode == Mode::Train;
    all_ = learns && (kind == Gradient::Aca || kind == Gradient::Symplectic ||
                      (kind == Gradient::Naive && record.times));
    binomial_ = learns && kind == Gradient::Binomial;
  }

  void take(const Accepted& step) {
    record_.states.emplace_back();
    const bool keep = binomial_ ? plan_.keep(step.number) : all_ || step.number == 0;
    if (keep) record_.states.back() = step.begin;
    if (binomial_) record_.last = step.begin;
    for (const int64_t dropped : plan_.take_dropped())
      record_.states[static_cast<size_t>(dropped)].reset();
  }

  /// How many may be kept in the reverse pass, of N steps.
  int64_t slots(int64_t n) const {
    const GradientMethod& method = record_.method;
    if (method.kind != Gradient::Binomial) return n;
    return method.checkpoints > 0 ? method.checkpoints : logarithmic_checkpoints(n);
  }

 private:
  static int64_t c(const Record& record) { return record.method.checkpoints; }

  Record& record_;
  Keeping plan_;
  bool all_, binomial_;
};

/// Steps of a pass, where they are known before it.
int64_t known_steps(const StepSizes& sizes, const Record& record,
                    const std::vector<TimeStep>& given) {
  if (!given.empty()) return static_cast<int64_t>(given.size());
  return sizes.steps * static_cast<int64_t>(record.stops.size());
}

}  // namespace

std::vector<Tensor> record_forward(const Scheme& method, const Graph& f, const Tensor& begin,
                                   const StepSizes& sizes, Record& record) {
  const Gradient kind = record.method.kind;
  const bool keep = kind == Gradient::Naive && record.pass.mode == Mode::Train;
  const std::vector<TimeStep> given = std::move(record.steps);
  record.steps.clear();
  record.states.clear();
  record.stages.clear();
  record.slopes.clear();
  record.outputs.clear();
  record.first = nullptr;
  record.forward = record.backward = {};
  record.begin = begin;
  record.end = record.last = Tensor();
  std::vector<Tensor> outputs;
  if (record.reads_begin) outputs.push_back(begin);
  StatesKept states(record, known_steps(sizes, record, given));
  const Observer observe = [&](Accepted step) {
    record.steps.push_back(step.step());
    states.take(step);
    if (step.output >= 0) outputs.push_back(method.state(step.result.end));
    if (!keep) return;
    record.stages.emplace_back();
    if (record.times) record.slopes.emplace_back();
    for (Evaluation& k : step.result.k) {
      record.stages.back().push_back(std::move(k.activity));
      if (record.times) record.slopes.back().push_back(k.slope);
    }
  };
  const Field field = field_of(f, record.pass, keep);
  Evaluation first;
  const Journey journey{.observe = observe,
                        .costs = record.forward,
                        .first = &first,
                        .watch_noise = record.watch_noise};
  const Tensor end = given.empty() ? travel(method, field, begin, 0, record.stops, sizes, journey)
                                   : travel_along(method, field, begin, given, journey);
  if (keep) record.first = std::move(first.activity);
  if (record.steps.empty())
    throw Diverged(text::cat("ode: max-steps=", sizes.max_steps,
                             " steps were tried and none was accepted; raise max-steps or the "
                             "tolerances"));
  if (record.forward.cut > 0) {  // it ended early, and where it ended is its output
    record.steps.back().output = record.stops.back().output;
    outputs.push_back(method.state(end));
  }
  record.slots = states.slots(static_cast<int64_t>(record.steps.size()));
  if (kind == Gradient::Adjoint) {
    record.outputs = outputs;
    record.end = outputs.back();
  }
  if (kind == Gradient::Mali) record.end = end;
  return outputs;
}

std::vector<Tensor> push_along(const Scheme& method, const Graph& f, const Record& record,
                               const TangentFrom& from) {
  const Field field = field_of(f, record.pass, true);
  const double per_time = from.end_time / record.end_time();
  const bool timed = f.input_nodes().size() > 1;
  /// Evaluates f and pushes a tangent through it.
  const auto evaluate = [&](double t, const Tensor& x, const Tensor& moved, double of_t,
                            Evaluations& k, Evaluations& tangents) {
    k.push_back(field(t, x));
    Push push{.inputs = {moved}, .params = from.params};
    if (timed && of_t != 0) push.inputs.push_back(at::full({1, 1}, of_t, x.options()));
    const Tensor out = f.push(*k.back().activity, push);
    tangents.push_back({out.defined() ? out : at::zeros_like(moved)});
    k.back().activity.reset();
  };
  const Tensor zero = from.begin.defined() ? from.begin : at::zeros_like(record.begin);
  Evaluations first, first_tangent;
  if (method.carries_slope()) evaluate(0, record.begin, zero, 0, first, first_tangent);
  Tensor y = method.carry(record.begin, first.empty() ? Tensor() : first[0].slope);
  Tensor moved = method.carry(zero, first.empty() ? Tensor() : first_tangent[0].slope);
  std::vector<Tensor> outputs;
  if (record.reads_begin) outputs.push_back(zero);
  const int s = method.stages();
  for (const TimeStep& step : record.steps) {
    const double of_t = per_time * step.t, of_h = per_time * step.h;
    Evaluations k, tangents;
    const auto tangent = [&](int i, Tensor linear) {
      if (of_h == 0) return linear;
      const Tensor by = method.by_length(y, step.h, k, i);
      return by.defined() ? linear + by * of_h : linear;
    };
    for (int i = 0; i < s; ++i)
      evaluate(stage_time(method, step, i, y), method.stage_state(y, step.h, k, i),
               tangent(i, method.stage_state(moved, step.h, tangents, i)),
               of_t + method.c(i) * of_h, k, tangents);
    moved = tangent(s, method.end(moved, step.h, tangents));
    y = method.end(y, step.h, k);
    if (step.output >= 0) outputs.push_back(method.state(moved));
  }
  return outputs;
}

std::vector<double> credits_of_output_times(const Record& record) {
  if (record.method.kind == Gradient::Adjoint) return record.of_times;
  std::vector<double> out(1, 0), between;
  double from = 0;
  for (size_t n = 0; n < record.steps.size(); ++n) {
    const TimeStep& step = record.steps[n];
    if (n == 0) out[0] += record.of_times.at(0);
    if (step.output < 0) {
      between.push_back(record.of_times[n + 1]);
      continue;
    }
    const double to = step.t + step.h;
    out.push_back(record.of_times[n + 1]);
    for (size_t i = 0; i < between.size(); ++i) {
      const double at = record.steps[n - between.size() + i + 1].t;
      const double fraction = (at - from) / (to - from);
      out.back() += fraction * between[i];
      out[out.size() - 2] += (1 - fraction) * between[i];
    }
    between.clear();
    from = to;
  }
  return out;
}

double credit_of_end_time(const Record& record) {
  double out = 0;
  if (record.method.kind == Gradient::Adjoint) {
    size_t next = 1;
    for (const Stop& stop : record.stops)
      if (stop.output >= 0) out += stop.time * record.of_times.at(next++);
    return out / record.end_time();
  }
  for (size_t n = 0; n < record.steps.size(); ++n)
    out += (record.steps[n].t + record.steps[n].h) * record.of_times.at(n + 1);
  return out / record.end_time();
}

}  // namespace altprop::ode
