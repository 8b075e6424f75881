// Forward passes that leave a record.
#include "altprop/ode/record.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/dense.h"
#include "altprop/ode/revolve.h"

namespace altprop::ode {

Field field_of(const Graph& f, const Pass& pass, bool keep, std::vector<Tensor> constants) {
  return [&f, own = pass.inside(), keep, constants = std::move(constants)](const Moment& at, const Tensor& x) {
    std::vector<Tensor> inputs = {x};
    const std::vector<int>& nodes = f.input_nodes();
    if (nodes.size() > 1) {
      if (!f.node(nodes[1]).spec.batched) {
        inputs.push_back(at::full({1}, double(at), x.options()));
      } else if (at.each.defined()) {
        inputs.push_back(at.each.to(x.options()).unsqueeze(1));
      } else {
        inputs.push_back(at::full({x.size(0), 1}, at.t, x.options()));
      }
    }
    Pass pass = own;
    for (size_t i = 0; i < constants.size(); ++i) {
      const bool own_rows = at.rows.defined() && f.node(nodes.at(i + 2)).spec.batched;
      inputs.push_back(own_rows ? constants[i].index_select(0, at.rows) : constants[i]);
    }
    if (at.rows.defined())  // samples draw what they draw in the whole batch
      pass.ids = own.ids.defined() ? own.ids.index_select(0, at.rows.to(own.ids.device()))
                                   : at.rows + own.first_row;
    auto activity = std::make_shared<Activity>();
    Evaluation out{f.run(inputs, *activity, pass, {.forget = !keep})};
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
                      (kind == Gradient::Naive && record.keeps_slopes()));
    binomial_ = learns && kind == Gradient::Binomial;
  }

  /// States are those of all samples where others will be found from them.
  bool whole() const { return !all_; }

  void take(const Accepted& step) {
    record_.states.emplace_back();
    const bool keep = binomial_ ? plan_.keep(step.number) : all_ || step.number == 0;
    if (keep) record_.states.back() = all_ ? step.begin : step.whole_begin();
    if (binomial_) record_.last = keep ? record_.states.back() : step.whole_begin();
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

/// Steps of a pass, where they are known before it; 0 where they are not.
int64_t known_steps(const StepSizes& sizes, const Record& record,
                    const std::vector<TimeStep>& given) {
  if (!given.empty()) return static_cast<int64_t>(given.size());
  if (sizes.is_adaptive()) return 0;
  int64_t most = 0;
  for (const Span& span : record.spans) most = std::max(most, steps_of(span, sizes));
  return most;
}

/// The states at the outputs, as steps come to them.
class OutputsRead {
 public:
  OutputsRead(const Scheme& method, const Record& record, const Tensor& begin)
      : method_(method), begin_(begin) {
    outputs_.resize(static_cast<size_t>(record.outputs_count()));
    if (record.reads_begin) outputs_[0] = begin;
  }

  void take(const TimeStep& step, const Tensor& end) {
    if (!step.each) {
      if (step.output >= 0) outputs_.at(static_cast<size_t>(step.output)) = method_.state(end);
      return;
    }
    const SampleSteps& each = *step.each;
    for (size_t i = 0; i < each.size(); ++i)
      if (each.output[i] >= 0)
        at_row(each.output[i], each.rows[i])
            .copy_(method_.state(end).select(0, static_cast<int64_t>(i)));
  }
  /// Those between begin and end.
  void take_reads(const TimeStep& step, const Accepted& accepted) {
    const std::vector<Tensor> slopes = slopes_of(accepted.result.k, accepted.result.last.slope);
    for (const Between& between : reads_of(method_, step))
      between.put(
          between.states(accepted.begin, slopes),
          [&](int output) -> Tensor& { return allocated(output); }, 1);
  }
  Tensor at_row(int output, int64_t row) { return allocated(output).select(0, row); }
  Tensor& operator[](int output) { return outputs_.at(static_cast<size_t>(output)); }

  Tensor& allocated(int output) {
    Tensor& to = outputs_.at(static_cast<size_t>(output));
    if (!to.defined()) to = at::zeros_like(begin_);
    return to;
  }

  /// Outputs that no sample came to are zeros, too.
  std::vector<Tensor> take_all() {
    for (Tensor& one : outputs_)
      if (!one.defined()) one = at::zeros_like(begin_);
    return std::move(outputs_);
  }

 private:
  const Scheme& method_;
  const Tensor& begin_;
  std::vector<Tensor> outputs_;
};

[[noreturn]] void none_was_accepted(const StepSizes& sizes, const std::string& whom) {
  throw Diverged(text::cat("ode: ", whom, "max-steps=", sizes.max_steps,
                           " steps were tried and none was accepted; raise max-steps or the "
                           "tolerances"));
}

/// Where samples gave up, their last step leads to their last output.
void end_early(const Scheme& method, const Tensor& end, const std::vector<int64_t>& samples,
               const StepSizes& sizes, Record& record, OutputsRead& outputs) {
  for (const int64_t sample : samples) {
    const Span& span = record.spans[record.spans.size() > 1 ? static_cast<size_t>(sample) : 0];
    const int last = span.stops.back().output;
    if (!record.per_sample()) {
      record.steps.back().output = last;
      outputs[last] = method.state(end);
      continue;
    }
    bool found = false;
    for (size_t n = record.steps.size(); n-- > 0 && !found;) {
      SampleSteps& each = *record.steps[n].each;
      const auto at = std::lower_bound(each.rows.begin(), each.rows.end(), sample);
      found = at != each.rows.end() && *at == sample;
      if (found) each.output[static_cast<size_t>(at - each.rows.begin())] = last;
    }
    if (!found) none_was_accepted(sizes, text::cat("of sample ", sample, " of the batch "));
    outputs.at_row(last, sample).copy_(method.state(end).select(0, sample));
  }
}

/// When samples came to the event, and how fast they moved there.
void note_events(const Scheme& method, const Accepted& accepted, Record& record) {
  const TimeStep step = accepted.step();
  const Tensor rates = Between(method, step, *step.reads)
                           .rates(slopes_of(accepted.result.k, accepted.result.last.slope));
  for (size_t m = 0; m < step.reads->size(); ++m) {
    const Read& read = (*step.reads)[m];
    const int64_t row = step.each->rows[static_cast<size_t>(read.place)];
    record.event_times[row] = read.time;
    record.event_rates.select(0, row).copy_(rates.select(0, static_cast<int64_t>(m)));
  }
}

}  // namespace

int Record::outputs_count() const {
  int last = reads_begin ? 0 : -1;
  for (const Span& span : spans) {
    for (const Stop& stop : span.stops) last = std::max(last, stop.output);
    for (const Stop& read : span.reads) last = std::max(last, read.output);
  }
  return last + 1;
}

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
  record.event_times.clear();
  record.event_rates = record.event ? at::zeros_like(begin) : Tensor();
  OutputsRead outputs(method, record, begin);
  StatesKept states(record, known_steps(sizes, record, given));
  record.whole_states = states.whole();
  const Field field = field_of(f, record.pass, keep, record.constants);
  const auto keep_stages = [&](const Accepted& accepted) {
    const TimeStep step = accepted.step();
    Evaluations& k = accepted.result.k;
    record.stages.emplace_back();
    if (record.keeps_slopes()) record.slopes.emplace_back();
    for (int i = 0; i < method.stages(); ++i) {
      Evaluation& one = k[static_cast<size_t>(i)];
      if (!one.activity) {  // it was tried with samples that did not take the step
        one.activity = field(stage_time(method, step, i, accepted.begin),
                             method.stage_state(accepted.begin, step.length(), k, i))
                           .activity;
        ++record.forward.evaluations;
        record.forward.sample_evaluations += step.each ? step.sequences() : begin.size(0);
      }
      record.stages.back().push_back(std::move(one.activity));
      if (record.keeps_slopes()) record.slopes.back().push_back(one.slope);
    }
  };
  const Observer observe = [&](Accepted step) {
    record.steps.push_back(step.step());
    states.take(step);
    outputs.take(record.steps.back(), step.result.end);
    if (step.reads) outputs.take_reads(record.steps.back(), step);
    if (step.reads && record.event) note_events(method, step, record);
    if (keep) keep_stages(step);
  };
  Evaluation first;
  std::vector<int64_t> cut;
  const Journey journey{.observe = observe,
                        .costs = record.forward,
                        .first = &first,
                        .watch_noise = record.watch_noise,
                        .slopes = keep || record.dense,
                        .event = record.event,
                        .cut = &cut};
  const Tensor end = given.empty()
                         ? travel(method, field, begin, record.spans, sizes, journey)
                         : travel_along(method, field, begin, record.begin_time(), given, journey);
  if (keep) record.first = std::move(first.activity);
  if (record.steps.empty() && record.forward.cut > 0) none_was_accepted(sizes, "");
  if (given.empty()) end_early(method, end, cut, sizes, record, outputs);
  record.slots = states.slots(static_cast<int64_t>(record.steps.size()));
  std::vector<Tensor> out = outputs.take_all();
  if (kind == Gradient::Adjoint) {
    record.outputs = out;
    record.end = out.back();
  }
  if (kind == Gradient::Mali) record.end = end;
  return out;
}

}  // namespace altprop::ode
