#include "altprop/network/ops/rms_norm.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/network/ops/feature_rows.h"

namespace altprop {

RmsNorm::RmsNorm(double eps) : eps_(eps) {
  if (!(eps > 0)) throw UsageError(text::cat("rms_norm: eps is above 0, but is ", eps));
}

std::string RmsNorm::settings() const { return "eps=" + text::from_number(eps_); }

Spec RmsNorm::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  if (inputs[0].shape.empty()) throw Refusal(type(), "samples of one number have no dimension");
  if (gain_ && gain_->value.sizes() != IntArrayRef(inputs[0].shape.back()))
    throw Refusal(type(), text::cat("its gain has shape ", shape_text(gain_->value.sizes()),
                                    ", but the last dimension is ", inputs[0].shape.back()));
  return {inputs[0].shape};
}

void RmsNorm::build(std::span<const Spec> inputs) {
  if (gain_) return;
  gain_ = std::make_shared<Param>("weight", at::ones({inputs[0].shape.back()}));
  gain_->decay = false;
}

Tensor RmsNorm::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& x = inputs[0];
  const Tensor scale = (x * x).mean(-1, true).add_(eps_).rsqrt_();
  saved.t = {x, scale};
  return (x * scale).mul_(gain_->value);
}

Tensor RmsNorm::normalised(const Saved& saved, const Tensor& like) const {
  return match_rows(saved.t[0], like) * match_rows(saved.t[1], like);
}

Tensor RmsNorm::across(const Saved& saved, const Tensor& t) const {
  const Tensor n = normalised(saved, t);
  return (t - n * (n * t).mean(-1, true)).mul_(match_rows(saved.t[1], t));
}

Tensor RmsNorm::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  return across(saved, cot * (substitute ? *substitute : gain_->value));
}

Tensor RmsNorm::jvp(const Saved& saved, const Tensor& tangent, int) const {
  return across(saved, tangent).mul_(gain_->value);
}

Tensor RmsNorm::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor moved = of(*gain_);
  return moved.defined() ? normalised(saved, saved.t[0]) * moved : Tensor();
}

void RmsNorm::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                         const Tensor*, const Shared*) const {
  Slot* slot = store.of(*gain_);
  if (!slot) return;
  const Tensor delta = fold_rows(cot, saved.t[0].size(0));
  slot->add_rows((delta * normalised(saved, delta)).reshape({-1, gain_->value.numel()}), scale);
}

std::optional<WeightRows> RmsNorm::rows(const Saved& saved, const Tensor& cot) const {
  const Tensor& x = saved.t[0];
  const int64_t features = gain_->value.numel();
  return feature_rows(last_feature_rows(normalised(saved, x), features),
                      last_feature_rows(fold_rows(cot, x.size(0)), features));
}

std::vector<ParamPtr> RmsNorm::params() const {
  return gain_ ? std::vector<ParamPtr>{gain_} : std::vector<ParamPtr>{};
}

OpPtr rms_norm(double eps) { return std::make_shared<RmsNorm>(eps); }

}  // namespace altprop
