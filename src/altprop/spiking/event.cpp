#include "altprop/spiking/event.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/signal.h"
#include "altprop/spiking/event_plain.h"

namespace altprop::spiking {

const std::vector<std::string>& remedy_names() {
  static const std::vector<std::string> names = {"none", "weight-sum-penalty", "silent-push"};
  return names;
}

Event::Event(const EventSettings& settings)
    : s_(settings),
      form_(settings.kernel.height > 0 ? "relpsp_event_conv" : "relpsp_event", settings.out,
            settings.kernel) {
  const auto positive = [&](const char* name, double value) {
    if (!(value > 0) || !std::isfinite(value))
      throw Refusal(type(), text::cat(name, " must be positive and finite, but is ", value));
  };
  positive("the threshold", s_.threshold);
  positive("active, the share of inputs that fire,", s_.active);
  positive("fire-after", s_.fire_after);
  if (!(s_.max_inv_slope >= 0) || !(s_.strength >= 0) || !(s_.spread >= 0))
    throw Refusal(type(), "max-inv-slope, strength and spread must be at least 0");
}

std::string Event::settings() const {
  const EventSettings usual;
  std::string out = form_.settings();
  const auto unless = [&](const char* name, double value, double normally) {
    if (value != normally) out += text::cat(",", name, "=", text::from_number(value));
  };
  unless("threshold", s_.threshold, usual.threshold);
  if (s_.learn_threshold) out += ",learn-threshold=true";
  if (s_.delays) out += ",delays=true";
  unless("max-inv-slope", s_.max_inv_slope, usual.max_inv_slope);
  if (s_.remedy != usual.remedy) out += ",remedy=" + remedy_names()[static_cast<size_t>(s_.remedy)];
  unless("strength", s_.strength, usual.strength);
  return out;
}

Takes Event::takes(int) const {
  return {.kinds = {Kind::SpikeTime},
          .instead = "put latency or direct-code in front, which make spike times of values"};
}

Spec Event::infer(std::span<const Spec> inputs) const {
  const Spec out{.shape = form_.output_shape(inputs[0]), .kind = Kind::SpikeTime};
  if (weight_) form_.expect_weight(weight_->value, inputs[0]);
  return out;
}

void Event::build(std::span<const Spec> inputs) {
  const std::vector<int64_t> shape = form_.weight_shape(inputs[0]);
  if (!weight_) {
    weight_ = std::make_shared<Param>("weight", at::zeros(shape));
    const double fan = static_cast<double>(weight_->value[0].numel());
    const double mean = s_.threshold / (s_.active * fan * s_.fire_after);
    weight_->init = "normal:" + text::from_number(s_.spread * mean) + ":" + text::from_number(mean);
  }
  if (s_.learn_threshold && !log_threshold_) {
    log_threshold_ =
        std::make_shared<Param>("log_threshold", at::full({s_.out}, std::log(s_.threshold)));
    log_threshold_->init = "normal:0:" + text::from_number(std::log(s_.threshold));
    log_threshold_->decay = false;
  }
  if (s_.delays && !delay_) {
    delay_ = std::make_shared<Param>("delay", at::zeros(shape));
    delay_->init = "zero";
    delay_->decay = false;
  }
}

std::vector<ParamPtr> Event::params() const {
  std::vector<ParamPtr> out;
  for (const ParamPtr& param : {weight_, log_threshold_, delay_})
    if (param) out.push_back(param);
  return out;
}

Tensor Event::thresholds() const {
  return log_threshold_ ? log_threshold_->value.exp()
                        : at::full({s_.out}, s_.threshold, weight_->value.options());
}

Tensor Event::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor rows = form_.rows_of(inputs[0], INFINITY), w = matrix(weight_->value);
  const Crossings found = delay_ ? plain::first_crossings(rows, w, thresholds(), delay_matrix())
                                 : first_crossings(rows, w, thresholds());
  const bool narrow = weight_->value.scalar_type() == at::kFloat;
  const double bound = s_.max_inv_slope > 0 ? s_.max_inv_slope : narrow ? 1e3 : INFINITY;
  Tensor inverse = found.slopes.reciprocal().masked_fill_(found.slopes.eq(0), 0);
  if (std::isfinite(bound)) inverse.clamp_max_(bound);
  saved.t = {inputs[0], found.times, inverse};
  std::vector<int64_t> shape = form_.output_shape({.shape = inputs[0].sizes().slice(1).vec()});
  return form_.output_of(found.times, inputs[0].size(0), shape);
}

Tensor Event::over_slope(const Saved& saved, const Tensor& cot_rows) const {
  const Tensor inverse = match_rows(saved.t[2], cot_rows);
  return (cot_rows * inverse).masked_fill_(inverse.eq(0), 0);
}

Tensor Event::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor rows = form_.output_rows(cot), q = over_slope(saved, rows);
  const Tensor seen = match_rows(form_.rows_of(saved.t[0], INFINITY), rows),
               times = match_rows(saved.t[1], rows);
  const Tensor w = matrix(substitute ? *substitute : weight_->value);
  const Tensor credit = delay_ ? plain::arrivals_credit(seen, times, q, w, delay_matrix())
                               : arrivals_credit(seen, times, q, w);
  return form_.from_rows(credit, saved.t[0].sizes());
}

Tensor Event::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor moved = form_.rows_of(tangent, 0);
  const Tensor seen = match_rows(form_.rows_of(saved.t[0], INFINITY), moved),
               times = match_rows(saved.t[1], moved);
  const Tensor lifted =
      plain::arrivals_tangent(seen, times, matrix(weight_->value), moved, delay_matrix());
  const std::vector<int64_t> shape =
      form_.output_shape({.shape = saved.t[0].sizes().slice(1).vec()});
  return form_.output_of(over_slope(saved, lifted), tangent.size(0), shape);
}

Tensor Event::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_), dd = delay_ ? of(*delay_) : Tensor(),
               dt = log_threshold_ ? of(*log_threshold_) : Tensor();
  if (!dw.defined() && !dd.defined() && !dt.defined()) return {};
  const Tensor& times = saved.t[1];
  Tensor lifted = at::zeros_like(times);
  if (dw.defined() || dd.defined())
    lifted = plain::parameters_tangent(form_.rows_of(saved.t[0], INFINITY), times,
                                       matrix(weight_->value), dw.defined() ? matrix(dw) : Tensor(),
                                       dd.defined() ? matrix(dd) : Tensor(), delay_matrix());
  if (dt.defined()) lifted = lifted + thresholds() * dt;
  const std::vector<int64_t> shape =
      form_.output_shape({.shape = saved.t[0].sizes().slice(1).vec()});
  return form_.output_of(over_slope(saved, lifted), saved.t[0].size(0), shape);
}

void Event::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                       const Tensor* substitute, const Shared*) const {
  Slot *to_weight = store.of(*weight_), *to_delay = delay_ ? store.of(*delay_) : nullptr,
       *to_threshold = log_threshold_ ? store.of(*log_threshold_) : nullptr;
  if (!to_weight && !to_delay && !to_threshold) return;
  const Tensor folded = form_.output_rows(fold_rows(cot, saved.t[0].size(0)));
  const Tensor q = over_slope(saved, folded), &times = saved.t[1];
  if (to_threshold) to_threshold->add(q.sum(0) * thresholds(), scale);
  if (!to_weight && !to_delay) return;
  const Tensor seen = form_.rows_of(saved.t[0], INFINITY);
  if (to_delay)
    to_delay->add(plain::delay_credit(seen, times, q,
                                      matrix(substitute ? *substitute : weight_->value),
                                      delay_matrix())
                      .view(delay_->value.sizes()),
                  scale);
  if (!to_weight) return;
  Tensor credit =
      delay_ ? plain::weight_credit(seen, times, q, delay_matrix()) : weight_credit(seen, times, q);
  if (s_.remedy == Remedy::SilentPush && s_.strength > 0) {
    const Tensor wanted = times.eq(INFINITY).logical_and(folded.gt(0)).to(seen.scalar_type());
    credit = credit.sub(at::mm(wanted.t(), seen.ne(INFINITY).to(seen.scalar_type())), s_.strength);
  }
  to_weight->add(credit.reshape(weight_->value.sizes()), scale);
}

void Event::penalise(double share, Sink& sink) const {
  if (s_.remedy != Remedy::WeightSum || s_.strength == 0) return;
  const Tensor w = matrix(weight_->value), theta = thresholds();
  const Tensor low = w.sum(1).lt(theta).to(w.scalar_type());
  if (!low.any().item<bool>()) return;
  const double each = share * s_.strength / static_cast<double>(s_.out);
  std::vector<int64_t> column(weight_->value.sizes().size(), 1);
  column[0] = s_.out;
  sink.take(ParamSignal{weight_.get(), low.view(column).expand(weight_->value.sizes()), -each});
  if (log_threshold_) sink.take(ParamSignal{log_threshold_.get(), low * theta, each});
}

Tensor Event::synaptic_events(const Tensor& arrivals, const Tensor& out) const {
  const Tensor rows = form_.rows_of(arrivals, INFINITY),
               times = form_.output_rows(out).contiguous();
  Tensor reached;  // by row
  if (!delay_) {
    reached = at::searchsorted(std::get<0>(rows.sort(1)), times).sum(1);
  } else {
    const Tensor delays = delay_matrix();
    reached = at::zeros({rows.size(0)}, rows.options().dtype(at::kLong));
    for (int64_t j = 0; j < s_.out; ++j)
      reached += (rows + delays[j]).lt(times.narrow(1, j, 1)).sum(1);
  }
  return reached.view({arrivals.size(0), -1}).sum(1).to(at::kDouble);
}

void Event::project() const {
  if (!delay_) return;
  delay_->value.clamp_min_(0);
}

}  // namespace altprop::spiking
