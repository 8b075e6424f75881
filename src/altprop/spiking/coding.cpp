#include "altprop/spiking/coding.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/pool.h"
#include "altprop/spiking/affine_form.h"
#include "altprop/spiking/synaptic_events.h"

namespace altprop::spiking {

namespace {

constexpr double kRounding = 1e-4;  ///< of intensities that were calculated

void expect_span(const std::string& where, double span) {
  if (!(span > 0) || !std::isfinite(span))
    throw Refusal(where, text::cat("its time must be positive and finite, but is ", span));
}

/// t = span (1 - x), elementwise: what both codes have in common.
class Code : public Op {
 public:
  explicit Code(double span) : span_(span) {}
  Spec infer(std::span<const Spec> inputs) const override {
    return {.shape = inputs[0].shape, .kind = Kind::SpikeTime};
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return (cot * -span_).masked_fill_(match_rows(saved.t[0], cot), 0);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }

 protected:
  double span_;  ///< Saved.t = {what has no derivative}
};

class Latency : public Code {
 public:
  Latency(double span, bool zero_is_silent) : Code(span), zero_is_silent_(zero_is_silent) {
    expect_span(type(), span);
  }
  std::string type() const override { return "latency"; }
  Takes takes(int) const override {
    return {.instead_of_times = "leave it out, these are spike times already"};
  }
  std::string settings() const override {
    return text::cat("T=", text::from_number(span_),
                     zero_is_silent_ ? "" : ",zero-is-silent=false");
  }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor& x = inputs[0];
    if (x.numel() > 0) {
      const auto [low, high] = at::aminmax(x);  // NaN is neither
      refuse_outside(low.item<double>(), high.item<double>());
    }
    const Tensor silent = zero_is_silent_ ? x.eq(0) : at::zeros_like(x, at::kBool);
    saved.t.assign(1, silent);
    return ((1 - x) * span_).masked_fill_(silent, INFINITY);
  }

 private:
  static void refuse_outside(double low, double high) {
    if (!(low < 0) && !(high > 1 + kRounding)) return;
    throw UsageError(text::cat(
        "latency: intensities are from 0 to 1, but ", text::from_number(low < 0 ? low : high),
        " is among them; deliver the data in this range (data option normalise=unit), or split "
        "signed values into two channels"));
  }

  bool zero_is_silent_;
};

class DirectCode : public Code {
 public:
  explicit DirectCode(double span) : Code(span) { expect_span(type(), span); }
  std::string type() const override { return "direct_code"; }
  Takes takes(int) const override {
    return {.instead_of_times = "leave it out, these are spike times already"};
  }
  std::string settings() const override { return text::cat("T=", text::from_number(span_)); }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor& x = inputs[0];
    saved.t.assign(1, x.le(0).logical_or(x.ge(1)));
    return ((1 - x.clamp_max(1)) * span_).masked_fill_(x.le(0), INFINITY);
  }
};

class EarliestPool : public Op {
 public:
  EarliestPool(int64_t kernel, int64_t stride, int64_t padding)
      : largest_(max_pool2d(kernel, stride, padding)) {}
  std::string type() const override { return "earliest_pool2d"; }
  std::string settings() const override { return largest_->settings(); }
  Takes takes(int) const override {
    return {.kinds = {Kind::SpikeTime}, .instead = "use maxpool, which pools values"};
  }
  Spec infer(std::span<const Spec> inputs) const override {
    Spec values = inputs[0];
    values.kind = Kind::Real;
    Spec out = largest_->infer({&values, 1});
    out.kind = Kind::SpikeTime;
    return out;
  }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    const Tensor sooner = inputs[0].neg();
    const Tensor out = largest_->forward({&sooner, 1}, saved, pass).neg();
    saved.t.resize(1);
    saved.t.push_back(out.eq(INFINITY));  // the position that won there means nothing
    return out;
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return largest_->vjp(saved, cot.masked_fill(match_rows(saved.t[1], cot), 0), 0, nullptr);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    const Tensor out = largest_->jvp(saved, tangent, 0);
    return out.masked_fill(match_rows(saved.t[1], out), 0);
  }
  Traits traits() const override { return {.response = Response::Selects}; }

 private:
  OpPtr largest_;
};

class Membrane : public Op, public CountsSynapticEvents {
 public:
  Membrane(int64_t out, double window, ParamPtr weight)
      : form_("membrane", out, {}), window_(window), weight_(std::move(weight)) {
    expect_span(type(), window);
  }
  std::string type() const override { return "membrane"; }
  std::string settings() const override {
    return form_.settings() + (window_ == 1 ? "" : ",T=" + text::from_number(window_));
  }
  Takes takes(int) const override {
    return {.kinds = {Kind::SpikeTime}, .instead = "use linear, which weighs values"};
  }
  Spec infer(std::span<const Spec> inputs) const override {
    if (weight_) form_.expect_weight(weight_->value, inputs[0]);
    return {.shape = form_.output_shape(inputs[0])};
  }
  void build(std::span<const Spec> inputs) override {
    if (!weight_)
      weight_ = std::make_shared<Param>("weight", at::zeros(form_.weight_shape(inputs[0])));
  }
  std::vector<ParamPtr> params() const override {
    return weight_ ? std::vector<ParamPtr>{weight_} : std::vector<ParamPtr>();
  }
  ParamPtr weight() const override { return weight_; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override {
    return form_.multiply_adds(inputs[0]);
  }
  Tensor synaptic_events(const Tensor& arrivals, const Tensor&) const override {
    return form_.spikes_delivered(arrivals);
  }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor silent = inputs[0].eq(INFINITY);
    const Tensor ramp = (2 * window_ - inputs[0]).masked_fill_(silent, 0);
    saved.t = {ramp, silent};
    return form_.apply(ramp, weight_->value);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const override {
    return form_.pull(cot, substitute ? *substitute : weight_->value, saved.t[0].sizes())
        .neg()
        .masked_fill_(match_rows(saved.t[1], cot), 0);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return form_.apply(tangent.neg().masked_fill_(match_rows(saved.t[1], tangent), 0),
                       weight_->value);
  }
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override {
    const Tensor dw = of(*weight_);
    return dw.defined() ? form_.apply(saved.t[0], dw) : Tensor();
  }
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store, const Tensor*,
                  const Shared*) const override {
    if (Slot* slot = store.of(*weight_))
      form_.add_weight_credit(*slot, fold_rows(cot, saved.t[0].size(0)), saved.t[0], scale);
  }
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override {
    const Tensor credits = fold_rows(cot, saved.t[0].size(0)), inputs = saved.t[0];
    WeightRows out{.samples = inputs.size(0), .inputs = inputs, .credits = credits};
    out.of = [=](int64_t from, int64_t to) {
      return std::pair(inputs.narrow(0, from, to - from), credits.narrow(0, from, to - from));
    };
    return out;
  }

 private:
  AffineForm form_;
  double window_;
  ParamPtr weight_;
};

}  // namespace

OpPtr latency(double span, bool zero_is_silent) {
  return std::make_shared<Latency>(span, zero_is_silent);
}
OpPtr direct_code(double span) { return std::make_shared<DirectCode>(span); }
OpPtr earliest_pool2d(int64_t kernel, int64_t stride, int64_t padding) {
  return std::make_shared<EarliestPool>(kernel, stride, padding);
}
OpPtr membrane(int64_t out, double window, ParamPtr weight) {
  return std::make_shared<Membrane>(out, window, std::move(weight));
}

}  // namespace altprop::spiking
