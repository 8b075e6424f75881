#include "altprop/ode/time_gate.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

std::string TimeGate::settings() const { return dim_ == 1 ? "" : text::cat("dim=", dim_); }

Spec TimeGate::infer(std::span<const Spec> inputs) const {
  if (inputs[1].shape != std::vector<int64_t>{1})
    throw Refusal(type(),
                  "its second input is a time, one number for the whole batch or each sample");
  const auto rank = static_cast<int64_t>(inputs[0].shape.size());
  const int64_t dim = place(rank + 1);
  if (dim < 1 || dim > rank)
    throw Refusal(type(), text::cat("samples of shape ", shape_text(inputs[0].shape),
                                    " have no dimension ", dim_, " (0 is the batch)"));
  const int64_t channels = inputs[0].shape[static_cast<size_t>(dim - 1)];
  if (slope_ && slope_->value.size(0) != channels)
    throw Refusal(type(), text::cat("it has gates for ", slope_->value.size(0),
                                    " channels, but the input has ", channels));
  return Spec{inputs[0].shape};
}

void TimeGate::build(std::span<const Spec> inputs) {
  if (slope_) return;
  const auto rank = static_cast<int64_t>(inputs[0].shape.size());
  const int64_t channels = inputs[0].shape[static_cast<size_t>(place(rank + 1) - 1)];
  const auto param = [&](const char* name) {
    auto out = std::make_shared<Param>(name, at::zeros({channels}));
    out->init = "uniform:1";  // of FFJORD's maps of the time, which have one input
    return out;
  };
  slope_ = param("gate");
  offset_ = param("gate_offset");
  shift_ = param("shift");
  offset_->decay = false;
}

Tensor TimeGate::gate(const Tensor& t) const {
  return at::addcmul(offset_->value, slope_->value, t).sigmoid_();
}

Tensor TimeGate::along(const Tensor& vector, const Tensor& like) const {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[static_cast<size_t>(place(like.dim()))] = vector.size(-1);
  if (vector.dim() == 1) return vector.view(shape);
  const Tensor rows = match_rows(vector, like);
  shape[0] = rows.size(0);
  return rows.view(shape);
}

Tensor TimeGate::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor &a = inputs[0], &t = inputs[1];
  saved.t = {a, t};
  return at::addcmul(along(shift_->value * t, a), a, along(gate(t), a));
}

Tensor TimeGate::by_time(const Saved& saved, const Tensor& like) const {
  const Tensor s = gate(saved.t[1]), a = match_rows(saved.t[0], like);
  return at::addcmul(along(shift_->value, a), a, along(s * (1 - s) * slope_->value, a));
}

Tensor TimeGate::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  if (input == 0) return cot * along(gate(saved.t[1]), cot);
  const Tensor of_time = (cot * by_time(saved, cot)).reshape({cot.size(0), -1}).sum(1, true);
  return saved.t[1].dim() == 2 ? of_time : sum_to_unbatched(of_time, saved.t[0].size(0));
}

Tensor TimeGate::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  if (input == 0) return tangent * along(gate(saved.t[1]), tangent);
  const Tensor rows = saved.t[1].dim() == 2 ? tangent  // [K*B, 1]
                                            : spread_over_batch(tangent, saved.t[0].size(0));
  std::vector<int64_t> shape(static_cast<size_t>(saved.t[0].dim()), 1);
  shape[0] = rows.size(0);
  const Tensor factor = rows.reshape(shape);
  std::vector<int64_t> like = saved.t[0].sizes().vec();
  like[0] = rows.size(0);
  return by_time(saved, factor.expand(like)) * factor;
}

Tensor TimeGate::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const auto& [a, t] = std::tie(saved.t[0], saved.t[1]);
  const Tensor s = gate(t), rate = s * (1 - s);
  Tensor out;
  const auto add = [&](const Tensor& part) { out = out.defined() ? out + part : part; };
  if (const Tensor d = of(*slope_); d.defined()) add(a * along(rate * d * t, a));
  if (const Tensor d = of(*offset_); d.defined()) add(a * along(rate * d, a));
  if (const Tensor d = of(*shift_); d.defined()) add(along(d * t, a).expand_as(a));
  return out;
}

Tensor TimeGate::channel_sums(const Tensor& x, bool by_sample) const {
  const int64_t dim = place(x.dim());
  if (by_sample) return x.movedim(dim, 1).reshape({x.size(0), x.size(dim), -1}).sum(2);
  return x.transpose(0, dim).reshape({x.size(dim), -1}).sum(1);
}

void TimeGate::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                          const Tensor*, const Shared*) const {
  Slot *to_slope = store.of(*slope_), *to_offset = store.of(*offset_),
       *to_shift = store.of(*shift_);
  if (!to_slope && !to_offset && !to_shift) return;
  const Tensor &a = saved.t[0], &t = saved.t[1], delta = fold_rows(cot, a.size(0));
  const auto sums = [&](const Tensor& x) { return channel_sums(x, t.dim() == 2); };
  const auto total = [&](const Tensor& x) { return t.dim() == 2 ? x.sum(0) : x; };
  if (to_slope || to_offset) {
    const Tensor s = gate(t), of_offset = sums(delta * a) * s * (1 - s);
    if (to_slope) to_slope->add(total(of_offset * t), scale);
    if (to_offset) to_offset->add(total(of_offset), scale);
  }
  if (to_shift) to_shift->add(total(sums(delta) * t), scale);
}

// ydot = adot s + tdot (a s' g + h) with s = sigmoid(g t + g_0).

Tensor TimeGate::jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                         int input) const {
  const Tensor &a = saved.t[0], &moved = tangents[0];
  const bool of_each = saved.t[1].dim() == 2;
  const int64_t batch = a.size(0);
  const Tensor of_time = of_each || !tangents[1].defined()
                             ? tangents[1]
                             : spread_over_batch(tangents[1], batch);  // [K*B, 1]
  const int64_t rows = (moved.defined() ? moved : of_time).size(0);
  const Tensor s = gate(saved.t[1]), rate = s * (1 - s) * slope_->value;
  /// cot tdot, as rows of cot.
  const auto by_time_moved = [&] {
    std::vector<int64_t> shape(static_cast<size_t>(cot.dim()), 1);
    shape[0] = rows;
    return cot * match_rows(of_time.reshape(shape), cot);
  };
  if (input == 0) {
    if (!of_time.defined()) return {};
    return fold_tangents(by_time_moved() * along(rate, cot), rows, batch);
  }
  Tensor out;
  if (moved.defined()) out = cot * match_rows(moved, cot) * along(rate, cot);
  if (of_time.defined()) {
    const Tensor part =
        by_time_moved() * match_rows(a, cot) * along(rate * (1 - 2 * s) * slope_->value, cot);
    out = out.defined() ? out + part : part;
  }
  const Tensor of_rows = fold_tangents(out.reshape({cot.size(0), -1}).sum(1, true), rows, batch);
  return of_each ? of_rows : sum_to_unbatched(of_rows, batch);
}

void TimeGate::jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents,
                              const Tensor& cot, double scale, Store& store) const {
  Slot *to_slope = store.of(*slope_), *to_offset = store.of(*offset_),
       *to_shift = store.of(*shift_);
  if (!to_slope && !to_offset && !to_shift) return;
  const Tensor &a = saved.t[0], &t = saved.t[1], &moved = tangents[0], &of_time = tangents[1];
  const bool of_each = t.dim() == 2;
  const Tensor s = gate(t), rate = s * (1 - s), none = at::zeros_like(slope_->value);
  const auto sums = [&](const Tensor& x) { return channel_sums(x, of_each); };
  const auto total = [&](const Tensor& x) { return of_each ? x.sum(0) : x; };
  // Of a sample as often as there are rows of it.
  const auto at_rows = [&](const Tensor& x, const Tensor& like) {
    return of_each ? match_rows(x, like) : x;
  };
  Tensor of_slope = none, of_offset = none, of_shift = none;
  if (moved.defined()) {
    Tensor sum = sums(fold_rows(cot, moved.size(0)) * moved);
    sum = sum * at_rows(rate, sum);
    of_slope = total(sum * at_rows(t, sum));
    of_offset = total(sum);
  }
  if (of_time.defined()) {
    const Tensor rows = of_each ? of_time : spread_over_batch(of_time, a.size(0));
    std::vector<int64_t> shape(static_cast<size_t>(a.dim()), 1);
    shape[0] = rows.size(0);
    const Tensor delta = fold_rows(cot, rows.size(0)) * rows.reshape(shape);
    Tensor sum = sums(delta * match_rows(a, delta));
    sum = sum * at_rows(rate, sum);
    const Tensor bend = sum * (1 - 2 * at_rows(s, sum)) * slope_->value;
    of_slope = of_slope + total(sum + bend * at_rows(t, sum));
    of_offset = of_offset + total(bend);
    of_shift = total(sums(delta));
  }
  if (to_slope) to_slope->add(of_slope, scale);
  if (to_offset) to_offset->add(of_offset, scale);
  if (to_shift) to_shift->add(of_shift, scale);
}

std::vector<ParamPtr> TimeGate::params() const {
  return slope_ ? std::vector<ParamPtr>{slope_, offset_, shift_} : std::vector<ParamPtr>{};
}

OpPtr time_gate(int64_t dim) { return std::make_shared<TimeGate>(dim); }

namespace {

class ZeroChannels : public Op {
 public:
  explicit ZeroChannels(int64_t count) : count_(count) {}
  std::string type() const override { return "zero_channels"; }
  std::string settings() const override { return text::cat("count=", count_); }
  Spec infer(std::span<const Spec> inputs) const override {
    if (inputs[0].shape.empty()) throw Refusal(type(), "the input has no channels");
    Spec out = inputs[0];
    out.shape[0] += count_;
    return out;
  }
  Tensor forward(std::span<const Tensor> inputs, Saved&, const Pass&) const override {
    return extended(inputs[0]);
  }
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override {
    return cot.narrow(1, 0, cot.size(1) - count_);
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override { return extended(tangent); }
  Traits traits() const override { return {.response = Response::Linear}; }
  int64_t count() const { return count_; }

 private:
  Tensor extended(const Tensor& x) const {
    std::vector<int64_t> shape = x.sizes().vec();
    shape[1] = count_;
    return at::cat({x, at::zeros(shape, x.options())}, 1);
  }
  int64_t count_;
};

}  // namespace

int64_t zero_channels_of(const Op& op) {
  const auto* zeros = dynamic_cast<const ZeroChannels*>(&op);
  return zeros ? zeros->count() : 0;
}

OpPtr zero_channels(int64_t count) { return std::make_shared<ZeroChannels>(count); }

}  // namespace altprop::ode
