#include "altprop/ode/adaptive.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"
#include "altprop/ode/failure.h"

namespace altprop::ode {

namespace {

/// From this step on it is watched whether stability keeps steps short.
constexpr int64_t kWatchedFrom = 20;

/// x with other rows where `taken` says so.
Tensor with_rows(const Tensor& x, const Tensor& rows, const std::vector<char>& taken, int dim) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(dim)] = x.size(dim);
  const Tensor mask = at::tensor(std::vector<int64_t>(taken.begin(), taken.end()), at::kLong)
                          .to(x.device(), at::kBool)
                          .view(shape);
  return at::where(mask, rows, x);
}

}  // namespace

Where Adaptive::where(const Clock& clock, int64_t step) const {
  return {clock.t, step, each() ? clock.row : -1};
}

double Adaptive::bounded(double length) const {
  if (sizes_.max_step > 0) length = std::min(length, sizes_.max_step);
  return std::max(length, sizes_.min_step);
}

std::vector<char> Adaptive::finite_rows(const Tensor& y, int dim) const {
  const Tensor finite = y.isfinite();
  if (!each() || y.numel() == 0)
    return std::vector<char>(running_.size(), finite.all().item<bool>());
  const Tensor rows = finite.transpose(0, dim).reshape({y.size(dim), -1}).all(1).to(at::kCPU);
  const bool* const from = rows.const_data_ptr<bool>();
  return {from, from + rows.numel()};
}

TimeStep Adaptive::step_of(const std::vector<Clock*>& clocks) const {
  if (!each()) {
    const Clock& one = *clocks[0];
    return {one.t, one.direction * one.length, one.output(), one.jumps()};
  }
  auto out = std::make_shared<SampleSteps>();
  out->batch = batch_;
  for (const Clock* one : clocks)
    out->add(one->row, one->t, one->direction * one->length, one->output(), one->jumps());
  out->close(y_);
  return TimeStep::of_samples(std::move(out));
}

Tensor Adaptive::index_of(const std::vector<size_t>& places) const {
  return at::tensor(std::vector<int64_t>(places.begin(), places.end()), at::kLong).to(y_.device());
}

// ---- begin and end ----

Tensor Adaptive::run(const Tensor& x, std::span<const Span> spans) {
  begin(x, spans);
  compact();
  while (!running_.empty()) {
    give_up_after_max_steps();
    if (running_.empty()) break;
    plan();
    try_step();
    compact();
  }
  for (const Clock& clock : clocks_) {
    costs_.add_sequence(clock.accepted);
    costs_.stiff += clock.stiffness.is_stiff();
  }
  return whole_.all();
}

void Adaptive::begin(const Tensor& x, std::span<const Span> spans) {
  batch_ = x.size(0);
  const size_t sequences = each() ? static_cast<size_t>(batch_) : 1;
  for (size_t i = 0; i < sequences; ++i) {
    const Span& span = spans[spans.size() > 1 ? i : 0];
    Clock clock{.row = static_cast<int64_t>(i),
                .t = span.begin,
                .stops = span.stops,
                .reads = span.reads,
                .controller = Controller(sizes_.control, method_.error_order())};
    if (!span.stops.empty() && span.stops.back().time < span.begin) clock.direction = -1;
    while (!clock.is_done() && clock.stop().time == clock.t) ++clock.next;
    clocks_.push_back(std::move(clock));
  }
  for (Clock& clock : clocks_) running_.push_back(&clock);
  y_ = x;
  std::vector<char> finite = finite_rows(x, 0);
  for (size_t i = 0; i < finite.size(); ++i)
    if (!finite[i]) fail_not_finite(where(*running_[i], 0));
  const TimeStep at_begin = step_of(running_);
  first_ = f_(at_begin.each ? at_begin.begin() : Moment(at_begin.t), x);
  ++costs_.evaluations;
  costs_.sample_evaluations += batch_;
  std::vector<double> lengths(sequences, sizes_.first_step);
  if (sizes_.first_step == 0 && batch_ > 0) {
    std::vector<int> directions;
    for (const Clock& clock : clocks_) directions.push_back(clock.direction);
    lengths = first_steps(method_, f_, at_begin, x, first_.slope, directions, sizes_);
    ++costs_.evaluations;
    costs_.sample_evaluations += batch_;
  }
  finite = finite_rows(first_.slope, 0);
  for (size_t i = 0; i < sequences; ++i) {
    if (!std::isfinite(lengths[i]) || !finite[i]) fail_not_finite(where(clocks_[i], 1));
    clocks_[i].h = bounded(lengths[i]);
  }
  y_ = method_.carry(x, first_.slope);
  whole_ = WholeBatch(y_, method_.rows_dim());
  if (method_.carries_slope() && journey_.first) *journey_.first = std::move(first_);
  if (!journey_.event) return;
  const std::vector<double> values = journey_.event->value(at_begin.begin(), x);
  for (size_t i = 0; i < sequences; ++i) {
    expect_event_value(values[i], clocks_[i]);
    clocks_[i].event = values[i];
  }
}

void Adaptive::give_up_after_max_steps() {
  bool any = false;
  for (Clock* clock : running_) {
    if (clock->tried < sizes_.max_steps) continue;
    if (!sizes_.return_early)
      fail_too_many(where(*clock, clock->accepted + 1), sizes_.max_steps, clock->stop().time,
                    method_, stiffness_at(*clock));
    ++costs_.cut;
    if (journey_.cut) journey_.cut->push_back(clock->row);
    clock->next = clock->stops.size();
    clock->clipped = false;
    any = true;
  }
  if (any) compact();
}

void Adaptive::compact() {
  std::vector<Clock*> done, still;
  std::vector<size_t> places;
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->is_done()) {
      done.push_back(running_[i]);
    } else {
      still.push_back(running_[i]);
      places.push_back(i);
    }
  }
  if (done.empty()) return;
  // Those that are done are the only ones that are read in the end.
  whole_.put(step_of(running_), y_);
  running_ = std::move(still);
  if (running_.empty()) return;
  const Tensor index = index_of(places);
  y_ = y_.index_select(method_.rows_dim(), index);
  if (first_.slope.defined()) first_ = {first_.slope.index_select(0, index)};
}

// ---- a step ----

void Adaptive::plan() {
  for (Clock* clock : running_) {
    const double left = std::abs(clock->stop().time - clock->t);
    clock->clipped = clock->h >= left;
    clock->length = clock->clipped ? left : clock->h;
    if (clock->end() == clock->t)
      fail_underflow(where(*clock, clock->accepted + 1), method_, stiffness_at(*clock));
    ++clock->tried;
  }
}

void Adaptive::try_step() {
  const TimeStep step = step_of(running_);
  const bool begins = method_.begins_at_state();
  StepResult result = take_step(method_, f_, step, y_, begins ? &first_ : nullptr, true);
  costs_.evaluations += result.evaluations;
  costs_.sample_evaluations += result.evaluations * y_.size(method_.rows_dim());
  decide(step, result);
  std::vector<size_t> taken;
  for (size_t i = 0; i < running_.size(); ++i)
    if (running_[i]->is_accepted) taken.push_back(i);
  if (taken.empty()) return;
  tell(step, result, taken);
  go_on(result, taken);
}

void Adaptive::decide(const TimeStep& step, const StepResult& result) {
  const Tensor size = at::maximum(method_.state(y_).abs(), method_.state(result.end).abs());
  const std::vector<double> errors = scaled_norms(result.error, size, sizes_);
  const std::vector<char> end_is_finite = finite_rows(result.end, method_.rows_dim());
  bool long_run = false;
  for (size_t i = 0; i < running_.size(); ++i) {
    Clock& clock = *running_[i];
    const double error = errors[i], length = clock.length;
    // A trial step that is far too long may overflow where the solution does not.
    const bool finite = std::isfinite(error) && end_is_finite[i];
    clock.is_accepted = finite && (error <= 1 || length <= sizes_.min_step);
    if (clock.is_accepted) {
      clock.last = length;
      ++clock.accepted;
      ++costs_.accepted;
      long_run |= clock.accepted > kWatchedFrom;
      const double planned = clock.clipped && !sizes_.reference_steps ? clock.h : 0.0;
      clock.h = bounded(std::max(planned, length * clock.controller.factor(error)));
      continue;
    }
    ++costs_.rejected;
    clock.h = length * (finite ? clock.controller.factor(error) : 0.2);
    if (finite) clock.h = bounded(clock.h);
    if (!finite && clock.t + clock.direction * clock.h == clock.t)
      fail_not_finite(where(clock, clock.accepted + 1));
  }
  if (journey_.watch_noise) watch(step, result, size);
  if (!long_run) return;
  const std::vector<double> seen = stiffness_of(method_, step, y_, result);
  const double bound = stiffness_bound(method_);
  for (size_t i = 0; i < seen.size(); ++i)
    if (running_[i]->is_accepted) running_[i]->stiffness.take(seen[i], bound);
}

std::vector<Read> Adaptive::reads_on_the_way(const std::vector<Clock*>& clocks) const {
  std::vector<Read> out;
  for (size_t i = 0; i < clocks.size(); ++i) {
    Clock& clock = *clocks[i];
    const double length = clock.direction * clock.length, end = clock.end();
    for (; clock.next_read < clock.reads.size(); ++clock.next_read) {
      const Stop& read = clock.reads[clock.next_read];
      if ((read.time - end) * clock.direction > 0) break;
      out.push_back({read.output, read.time, std::min(1.0, (read.time - clock.t) / length),
                     static_cast<int64_t>(i)});
    }
  }
  return out;
}

void Adaptive::tell(const TimeStep& step, StepResult& result, const std::vector<size_t>& taken) {
  if (!journey_.observe) return;
  const int64_t number = number_++;
  const bool all = taken.size() == running_.size();
  std::vector<Clock*> clocks;
  for (const size_t i : taken) clocks.push_back(running_[i]);
  std::vector<Read> reads = reads_on_the_way(clocks);
  TimeStep own = step;
  Tensor from = y_;
  StepResult part;
  StepResult* told = &result;
  if (!all) {  // activities are of more samples than have taken the step, and go
    own = step_of(clocks);
    const Tensor index = index_of(taken);
    const int dim = method_.rows_dim();
    from = y_.index_select(dim, index);
    part.end = result.end.index_select(dim, index);
    if (journey_.slopes) {
      for (const Evaluation& k : result.k) part.k.push_back({k.slope.index_select(0, index)});
      if (result.last.slope.defined()) part.last = {result.last.slope.index_select(0, index)};
    }
    told = &part;
  }
  if ((journey_.event || !reads.empty()) && !told->last.slope.defined()) {
    told->last = f_(end_time(own, from), method_.state(told->end));
    ++costs_.evaluations;
    costs_.sample_evaluations += from.size(method_.rows_dim());
  }
  if (journey_.event) look_for_event(own, from, *told, clocks, reads);
  std::shared_ptr<const std::vector<Read>> shared;
  if (!reads.empty()) shared = std::make_shared<const std::vector<Read>>(std::move(reads));
  std::function<Tensor()> whole;
  if (each())
    whole = [&] {
      WholeBatch now(whole_.all(), method_.rows_dim());
      now.put(step, y_);
      return now.all();
    };
  journey_.observe(
      {number, own.t, own.h, from, *told, own.output, own.jump, own.each, whole, shared});
}

void Adaptive::go_on(StepResult& result, const std::vector<size_t>& taken) {
  // Where f at the end is there, it is the next step's first.
  const bool same = result.last.slope.defined(), all = taken.size() == running_.size();
  std::vector<char> mask(running_.size(), 0);
  std::vector<size_t> again;
  for (const size_t i : taken) {
    Clock& clock = *running_[i];
    const bool jumps = clock.jumps();
    clock.t = clock.end();
    if (clock.clipped) ++clock.next;
    if (clock.arrived) clock.next = clock.stops.size();
    clock.clipped = false;
    mask[i] = 1;
    if (!clock.is_done() && (!same || jumps)) again.push_back(i);
  }
  y_ = all ? result.end : with_rows(y_, result.end, mask, method_.rows_dim());
  if (!method_.begins_at_state()) return;
  if (same)
    first_ = all ? std::move(result.last)
                 : Evaluation{with_rows(first_.slope, result.last.slope, mask, 0)};
  if (!again.empty()) evaluate_first(again);
}

void Adaptive::evaluate_first(const std::vector<size_t>& places) {
  std::vector<Clock*> clocks;
  for (const size_t i : places) clocks.push_back(running_[i]);
  const Tensor state = method_.state(y_);
  const TimeStep step = step_of(clocks);
  ++costs_.evaluations;
  costs_.sample_evaluations += each() ? static_cast<int64_t>(places.size()) : batch_;
  if (places.size() == running_.size()) {
    first_ = f_(step.begin(), state);
    return;
  }
  const Tensor index = index_of(places);
  first_ = {
      first_.slope.index_copy(0, index, f_(step.begin(), state.index_select(0, index)).slope)};
}

// ---- what goes wrong ----

void Adaptive::watch(const TimeStep& step, const StepResult& result, const Tensor& size) {
  const auto* table = dynamic_cast<const Tableau*>(&method_);
  const bool any = std::any_of(running_.begin(), running_.end(),
                               [](const Clock* clock) { return clock->is_accepted; });
  if (table && any)
    costs_.noise = std::max(
        costs_.noise, rounding_noise(*table, step.length(), result.k, result.last, size, sizes_));
}

/// Of the last accepted step's length at the state that was reached, or of the next one's.
Stiffness Adaptive::stiffness_at(const Clock& clock) const {
  Stiffness out{.bound = stiffness_bound(method_), .found = clock.stiffness.is_stiff()};
  if (method_.carries_slope()) return out;
  Clock again = clock;
  again.length = clock.last > 0 ? clock.last : clock.h;
  again.clipped = false;
  const TimeStep step = step_of({&again});
  Tensor y = y_;
  if (each()) {
    const auto place = std::find_if(running_.begin(), running_.end(),
                                    [&](const Clock* one) { return one->row == clock.row; });
    y = y_.narrow(0, place - running_.begin(), 1);
  }
  const std::vector<double> seen =
      stiffness_of(method_, step, y, take_step(method_, f_, step, y, nullptr, true), &f_);
  if (!seen.empty()) out.seen = seen[0];
  return out;
}

}  // namespace altprop::ode
