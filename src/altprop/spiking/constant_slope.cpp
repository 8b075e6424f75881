#include "altprop/spiking/constant_slope.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::spiking {

namespace {

/// [out] as it is added to [B, out] or [B, out, H, W].
Tensor along_channels(const Tensor& bias, const Tensor& like) {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[1] = bias.size(0);
  return bias.view(shape);
}

}  // namespace

ConstantSlope::ConstantSlope(const ConstantSlopeSettings& settings)
    : s_(settings),
      form_(settings.kernel.height > 0 ? "constant_slope_conv" : "constant_slope", settings.out,
            settings.kernel) {
  for (double window : {s_.window, s_.input_window})
    if (!(window > 0) || !std::isfinite(window))
      throw Refusal(type(), text::cat("windows must be positive and finite, but one is ", window));
}

ConstantSlope::ConstantSlope(const ConstantSlopeSettings& settings, ParamPtr weight, ParamPtr bias)
    : ConstantSlope(settings) {
  weight_ = std::move(weight);
  bias_ = std::move(bias);
  s_.bias = bias_ != nullptr;
}

std::string ConstantSlope::settings() const {
  std::string out = form_.settings();
  if (s_.window != 1) out += ",T=" + text::from_number(s_.window);
  if (s_.input_window != 1) out += ",T-in=" + text::from_number(s_.input_window);
  if (s_.readout) out += ",readout=true";
  return s_.bias ? out : out + ",bias=false";
}

Takes ConstantSlope::takes(int) const {
  return {.kinds = {Kind::SpikeTime},
          .instead = "put latency or direct-code in front, which make spike times of values"};
}

Spec ConstantSlope::infer(std::span<const Spec> inputs) const {
  const Spec out{.shape = form_.output_shape(inputs[0]),
                 .kind = s_.readout ? Kind::Real : Kind::SpikeTime};
  if (weight_) form_.expect_weight(weight_->value, inputs[0]);
  return out;
}

void ConstantSlope::build(std::span<const Spec> inputs) {
  if (!weight_)
    weight_ = std::make_shared<Param>("weight", at::zeros(form_.weight_shape(inputs[0])));
  if (s_.bias && !bias_) bias_ = std::make_shared<Param>("bias", at::zeros({s_.out}));
}

std::vector<ParamPtr> ConstantSlope::params() const {
  if (!weight_) return {};
  return bias_ ? std::vector<ParamPtr>{weight_, bias_} : std::vector<ParamPtr>{weight_};
}

Tensor ConstantSlope::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor silent = inputs[0].eq(INFINITY);
  const Tensor a = (s_.input_window - inputs[0]).masked_fill_(silent, 0);
  Tensor z = form_.apply(a, weight_->value);
  if (bias_) z = z + along_channels(bias_->value, z);
  const Tensor rises =
      s_.readout ? at::ones_like(z) : z.gt(0).logical_and(z.lt(s_.window)).to(z.scalar_type());
  saved.t = {a, rises, silent.logical_not().to(a.scalar_type())};
  if (s_.readout) return z;
  // NaN is neither below nor above, and stays.
  return (s_.window - z.clamp_max(s_.window)).masked_fill_(z.le(0), INFINITY);
}

Tensor ConstantSlope::vjp(const Saved& saved, const Tensor& cot, int,
                          const Tensor* substitute) const {
  const Tensor rises = match_rows(saved.t[1], cot);
  const Tensor q = cot.masked_fill(rises.eq(0), 0);
  return (form_.pull(q, substitute ? *substitute : weight_->value, saved.t[0].sizes()) *
          -by_potential())  // da/dt = -1
      .masked_fill_(match_rows(saved.t[2], cot).eq(0), 0);
}

Tensor ConstantSlope::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor moved = tangent.masked_fill(match_rows(saved.t[2], tangent).eq(0), 0);
  return (form_.apply(moved, weight_->value) * -by_potential())
      .masked_fill_(match_rows(saved.t[1], tangent).eq(0), 0);
}

Tensor ConstantSlope::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_), db = bias_ ? of(*bias_) : Tensor();
  if (!dw.defined() && !db.defined()) return {};
  Tensor dz = dw.defined() ? form_.apply(saved.t[0], dw) : at::zeros_like(saved.t[1]);
  if (db.defined()) dz = dz + along_channels(db, dz);
  return (dz * by_potential()).masked_fill_(saved.t[1].eq(0), 0);
}

void ConstantSlope::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                               const Tensor*, const Shared*) const {
  Slot *to_weight = store.of(*weight_), *to_bias = bias_ ? store.of(*bias_) : nullptr;
  if (!to_weight && !to_bias) return;
  const Tensor q = fold_rows(cot, saved.t[0].size(0)).masked_fill(saved.t[1].eq(0), 0);
  if (to_weight) form_.add_weight_credit(*to_weight, q, saved.t[0], by_potential() * scale);
  if (to_bias) to_bias->add(form_.output_rows(q).sum(0), by_potential() * scale);
}

}  // namespace altprop::spiking
