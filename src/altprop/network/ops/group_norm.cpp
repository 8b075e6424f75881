#include "altprop/network/ops/group_norm.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/network/ops/feature_rows.h"

namespace altprop {

GroupNorm::GroupNorm(int64_t groups, double eps) : groups_(groups), eps_(eps) {
  if (groups < 1 || !(eps > 0))
    throw UsageError(text::cat("group_norm: groups are at least 1 and eps is above 0, but they are ",
                               groups, " and ", eps));
}

std::string GroupNorm::settings() const {
  return text::cat("groups=", groups_, ",eps=", text::from_number(eps_));
}

Spec GroupNorm::infer(std::span<const Spec> inputs) const {
  const Spec& in = inputs[0];
  expect_real(type(), in);
  if (in.shape.empty()) throw Refusal(type(), "the input has no channels");
  if (in.shape[0] % groups_ != 0)
    throw Refusal(type(), text::cat(in.shape[0], " channels cannot be divided into ", groups_,
                                    " groups of one size"),
                  "choose groups that divide the channels");
  if (in.numel() == groups_)
    throw Refusal(type(), "every group has one value, whose variance is 0", "take fewer groups");
  return in;
}

void GroupNorm::build(std::span<const Spec> inputs) {
  if (gain_) return;
  gain_ = std::make_shared<Param>("weight", at::ones({inputs[0].shape[0]}));
  bias_ = std::make_shared<Param>("bias", at::zeros({inputs[0].shape[0]}));
  gain_->decay = bias_->decay = false;
}

Tensor GroupNorm::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor x = inputs[0].contiguous();
  const int64_t b = x.size(0), c = x.size(1);
  auto [out, mean, scale] = at::native_group_norm(x, gain_->value, bias_->value, b, c,
                                                  b == 0 ? 1 : x.numel() / (b * c), groups_, eps_);
  saved.t = {x, mean, scale};
  return out;
}

Tensor GroupNorm::normalised(const Saved& saved, const Tensor& like) const {
  const Tensor x = match_rows(saved.t[0], like);
  return grouped(x)
      .sub(match_rows(saved.t[1], like).unsqueeze(-1))
      .mul_(match_rows(saved.t[2], like).unsqueeze(-1))
      .view(x.sizes());
}

Tensor GroupNorm::per_channel(const Tensor& vector, const Tensor& like) const {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[1] = vector.numel();
  return vector.view(shape);
}

Tensor GroupNorm::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  // Of y = gain n(x): the transposed derivative of n is that of layer norm, group by group.
  const Tensor& gain = substitute ? *substitute : gain_->value;
  const Tensor to_n = grouped(cot * per_channel(gain, cot)),
               n = grouped(normalised(saved, cot));
  return (to_n - to_n.mean(-1, true))
      .sub_(n * (n * to_n).mean(-1, true))
      .mul_(match_rows(saved.t[2], cot).unsqueeze(-1))
      .view(cot.sizes());
}

Tensor GroupNorm::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor moved = grouped(tangent), n = grouped(normalised(saved, tangent));
  return (moved - moved.mean(-1, true))
      .sub_(n * (n * moved).mean(-1, true))
      .mul_(match_rows(saved.t[2], tangent).unsqueeze(-1))
      .view(tangent.sizes())
      .mul_(per_channel(gain_->value, tangent));
}

Tensor GroupNorm::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor d_gain = of(*gain_), d_bias = of(*bias_);
  const Tensor& x = saved.t[0];
  Tensor out;
  if (d_gain.defined()) out = normalised(saved, x) * per_channel(d_gain, x);
  if (!d_bias.defined()) return out;
  const Tensor shift = per_channel(d_bias, x).expand_as(x);
  return out.defined() ? out + shift : shift;
}

void GroupNorm::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor*, const Shared*) const {
  Slot *to_gain = store.of(*gain_), *to_bias = store.of(*bias_);
  if (!to_gain && !to_bias) return;
  const Tensor delta = fold_rows(cot, saved.t[0].size(0));
  // One row for each sample: the sums over the positions.
  const auto rows = [&](const Tensor& t) { return t.reshape({t.size(0), t.size(1), -1}).sum(-1); };
  if (to_gain) to_gain->add_rows(rows(delta * normalised(saved, delta)), scale);
  if (to_bias) to_bias->add_rows(rows(delta), scale);
}

std::optional<WeightRows> GroupNorm::rows(const Saved& saved, const Tensor& cot) const {
  const Tensor& x = saved.t[0];
  return feature_rows(channels_last_rows(normalised(saved, x)),
                      channels_last_rows(fold_rows(cot, x.size(0))));
}

std::vector<ParamPtr> GroupNorm::params() const {
  return gain_ ? std::vector<ParamPtr>{gain_, bias_} : std::vector<ParamPtr>{};
}

OpPtr group_norm(int64_t groups, double eps) { return std::make_shared<GroupNorm>(groups, eps); }

}  // namespace altprop
