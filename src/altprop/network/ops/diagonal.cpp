#include "altprop/network/ops/diagonal.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/network/ops/feature_rows.h"

namespace altprop {

Spec Diagonal::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  if (weight_ && weight_->value.sizes() != IntArrayRef(inputs[0].shape))
    throw Refusal(type(), text::cat("it has weights of shape ", shape_text(weight_->value.sizes()),
                                    ", but the input has ", shape_text(inputs[0].shape)));
  return inputs[0];
}

void Diagonal::build(std::span<const Spec> inputs) {
  if (weight_) return;
  weight_ = std::make_shared<Param>("weight", at::zeros(inputs[0].shape));
  if (with_bias_) bias_ = std::make_shared<Param>("bias", at::zeros(inputs[0].shape));
}

Tensor Diagonal::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.t.assign(1, inputs[0]);
  return bias_ ? at::addcmul(bias_->value, inputs[0], weight_->value) : inputs[0] * weight_->value;
}

Tensor Diagonal::vjp(const Saved&, const Tensor& cot, int, const Tensor* substitute) const {
  return cot * (substitute ? *substitute : weight_->value);
}

Tensor Diagonal::jvp(const Saved&, const Tensor& tangent, int) const {
  return tangent * weight_->value;
}

Tensor Diagonal::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_), db = bias_ ? of(*bias_) : Tensor();
  if (!dw.defined()) return db.defined() ? db.expand_as(saved.t[0]) : Tensor();
  const Tensor out = saved.t[0] * dw;
  return db.defined() ? out + db : out;
}

void Diagonal::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                          const Tensor*, const Shared*) const {
  const Tensor delta = fold_rows(cot, saved.t[0].size(0));
  if (Slot* slot = store.of(*weight_)) slot->add_rows(delta * saved.t[0], scale);
  if (Slot* slot = bias_ ? store.of(*bias_) : nullptr) slot->add_rows(delta, scale);
}

std::optional<WeightRows> Diagonal::rows(const Saved& saved, const Tensor& cot) const {
  const int64_t features = weight_->value.numel();
  return feature_rows(last_feature_rows(saved.t[0], features),
                      last_feature_rows(fold_rows(cot, saved.t[0].size(0)), features));
}

std::vector<ParamPtr> Diagonal::params() const {
  if (!weight_) return {};
  return bias_ ? std::vector<ParamPtr>{weight_, bias_} : std::vector<ParamPtr>{weight_};
}

OpPtr diagonal(bool bias) { return std::make_shared<Diagonal>(bias); }

}  // namespace altprop
