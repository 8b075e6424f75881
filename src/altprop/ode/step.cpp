#include "altprop/ode/step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/network/graph.h"

namespace altprop::ode {

Tensor stage_state(const Scheme& method, const Tensor& y, const Length& h, const Evaluations& k,
                   int i) {
  return method.stage_state(y, h, k, i);
}

// ---- steps of single samples ----

void SampleSteps::add(int64_t row, double at, double length, int number, bool jumps) {
  rows.push_back(row);
  t.push_back(at);
  h.push_back(length);
  output.push_back(number);
  jump.push_back(jumps);
}

void SampleSteps::close(const Tensor& like) {
  index = at::tensor(rows, at::kLong).to(like.device());
  lengths = at::tensor(h, at::kDouble).to(like.options());
}

bool SampleSteps::has_jumps() const {
  return std::any_of(jump.begin(), jump.end(), [](char one) { return one != 0; });
}

Moment TimeStep::begin() const {
  return each ? Moment(at::tensor(each->t, at::kDouble), each->index) : Moment(t);
}

Tensor WholeBatch::index(const SampleSteps& each) const {
  const int64_t blocks = each.batch > 0 ? all_.size(dim_) / each.batch : 1;
  if (blocks == 1) return each.index;
  std::vector<Tensor> out;
  for (int64_t k = 0; k < blocks; ++k) out.push_back(each.index + k * each.batch);
  return at::cat(out);
}

Tensor WholeBatch::of(const TimeStep& step) const {
  if (!step.each || step.each->is_all()) return all_;
  return all_.index_select(dim_, index(*step.each));
}

void WholeBatch::put(const TimeStep& step, Tensor rows) {
  if (!step.each || step.each->is_all()) {
    all_ = std::move(rows);
    own_ = false;
    return;
  }
  if (!own_) all_ = all_.clone();
  own_ = true;
  all_.index_copy_(dim_, index(*step.each), rows);
}

// ---- times ----

namespace {

/// The last time before a jump at `at` that the state's number format has.
double before_jump(double at, double begin, double h, const Tensor& like) {
  if (like.scalar_type() == at::kDouble) return std::nextafter(at, begin);
  const auto rounded = static_cast<float>(at);
  const double side = h > 0 ? -1 : 1;
  return side * (rounded - at) > 0
             ? rounded
             : std::nextafter(rounded,
                              static_cast<float>(side) * std::numeric_limits<float>::infinity());
}

/// t_n + c h
Moment time_within(const TimeStep& step, double c, const Tensor& like) {
  if (!step.each) {
    const double at = step.t + c * step.h;
    return step.jump && c == 1 ? before_jump(at, step.t, step.h, like) : at;
  }
  const SampleSteps& each = *step.each;
  std::vector<double> times(each.size());
  for (size_t i = 0; i < times.size(); ++i) {
    times[i] = each.t[i] + c * each.h[i];
    if (each.jump[i] && c == 1) times[i] = before_jump(times[i], each.t[i], each.h[i], like);
  }
  return {at::tensor(times, at::kDouble), each.index};
}

}  // namespace

Moment stage_time(const Scheme& method, const TimeStep& step, int i, const Tensor& like) {
  return time_within(step, method.c(i), like);
}

Moment end_time(const TimeStep& step, const Tensor& like) { return time_within(step, 1, like); }

// ---- the step ----

void evaluate_more(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                   int stages, Evaluations& k) {
  for (int i = static_cast<int>(k.size()); i < stages; ++i)
    k.push_back(f(stage_time(method, step, i, y), method.stage_state(y, step.length(), k, i)));
}

Evaluations evaluate_stages(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, int stages, const Evaluation* first) {
  Evaluations k;
  if (first && stages > 0) k.push_back(*first);
  evaluate_more(method, f, {t, h}, y, stages, k);
  return k;
}

StepResult take_step(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                     const Evaluation* first, bool with_error) {
  const int s = method.stages();
  const Length h = step.length();
  StepResult out;
  if (first) out.k.push_back(*first);
  evaluate_more(method, f, step, y, s, out.k);
  out.evaluations = s - (first ? 1 : 0);
  // Of methods whose last row of a is b, this is that row: the state at which `last` is evaluated.
  out.end = method.end(y, h, out.k);
  if (!with_error) return out;
  if (method.first_same_as_last()) {
    out.last = f(end_time(step, y), method.state(out.end));
    ++out.evaluations;
  }
  out.error = method.error(y, h, out.k, out.last);
  return out;
}

}  // namespace altprop::ode
