#include "altprop/network/ops/norm.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/network/ops/feature_rows.h"

namespace altprop {

namespace {

void expect_positive(const std::string& where, double eps) {
  if (!(eps > 0)) throw Refusal(where, text::cat("eps must be positive, but is ", eps));
}

void add_gradients(const ParamPtr& gain, const ParamPtr& bias, const Tensor& d_gain,
                   const Tensor& d_bias, double scale, Store& store) {
  if (Slot* slot = store.of(*gain)) slot->add(d_gain, scale);
  if (Slot* slot = store.of(*bias)) slot->add(d_bias, scale);
}

// ---- batch norm ----

/// A per-channel vector shaped to broadcast against x.
Tensor per_channel(const Tensor& v, const Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = v.size(0);
  return v.view(shape);
}

Tensor sum_but_channels(const Tensor& x) {
  return x.dim() == 2 ? x.sum(0) : x.flatten(2).sum(IntArrayRef({0, 2}));
}

/// Saved.extra of a pass with batch statistics.
struct OverBatch {};

bool over_batch(const Saved& saved) { return saved.extra.type() == typeid(OverBatch); }

void expect_same_rows(const Saved& saved, const Tensor& cot) {
  if (cot.size(0) != saved.t[0].size(0))
    throw Refusal("batch_norm",
                  text::cat("with batch statistics the samples depend on each other, so ",
                            cot.size(0), " cotangents do not fit ", saved.t[0].size(0), " samples"),
                  "sweep one cotangent per sample at a time, or run in evaluation mode");
}

}  // namespace

BatchNorm::BatchNorm(double eps, double momentum) : eps_(eps), momentum_(momentum) {
  expect_positive(type(), eps);
  if (!(momentum >= 0 && momentum <= 1))
    throw Refusal(type(), text::cat("momentum must be between 0 and 1, but is ", momentum));
}

std::string BatchNorm::settings() const {
  return text::cat("eps=", text::from_number(eps_), ",momentum=", text::from_number(momentum_));
}

Spec BatchNorm::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  if (inputs[0].shape.empty()) throw Refusal(type(), "the input has no channels");
  if (gain_ && gain_->value.size(0) != inputs[0].shape[0])
    throw Refusal(type(), text::cat("it normalises ", gain_->value.size(0),
                                    " channels, but the input has ", inputs[0].shape[0]));
  return inputs[0];
}

void BatchNorm::build(std::span<const Spec> inputs) {
  const int64_t channels = inputs[0].shape[0];
  one_a_channel_ = inputs[0].numel() == channels;
  if (!gain_) {
    gain_ = std::make_shared<Param>("weight", at::ones({channels}));
    bias_ = std::make_shared<Param>("bias", at::zeros({channels}));
    gain_->decay = bias_->decay = false;
  }
  if (running_mean_.defined()) return;
  running_mean_ = at::zeros({channels});
  running_var_ = at::ones({channels});
}

Tensor BatchNorm::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const Tensor& x = inputs[0];
  if (pass.mode == Mode::Train) {
    if (x.numel() <= x.size(1))
      throw Refusal(type(), "a batch of one value per channel has no variance",
                    "use a larger batch, or layer_norm");
    auto [out, mean, scale] = at::native_batch_norm(x, gain_->value, bias_->value, running_mean_,
                                                    running_var_, true, momentum_, eps_);
    saved.t = {x, mean, scale};
    saved.extra = OverBatch();
    return out;
  }
  if (pass.mode == Mode::Eval || saved.t.size() != 3) {
    saved.t = {x, running_mean_.clone(), (running_var_ + eps_).rsqrt_()};
    saved.extra.reset();
  }
  saved.t[0] = x;
  const Tensor slope = gain_->value * saved.t[2];
  const Tensor offset = bias_->value - saved.t[1] * slope;
  return at::addcmul(per_channel(offset, x), x, per_channel(slope, x));
}

std::tuple<Tensor, Tensor, Tensor> BatchNorm::backward(const Saved& saved, const Tensor& cot,
                                                       const Tensor& gain,
                                                       std::array<bool, 3> wanted) const {
  return at::native_batch_norm_backward(cot, saved.t[0], gain, {}, {}, saved.t[1], saved.t[2], true,
                                        eps_, wanted);
}

Tensor BatchNorm::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor& gain = substitute ? *substitute : gain_->value;
  if (!over_batch(saved)) return cot * per_channel(gain * saved.t[2], cot);
  expect_same_rows(saved, cot);
  return std::get<0>(backward(saved, cot, gain, {true, false, false}));
}

// One call for input and parameters: the sums that both need are made once.
Credits BatchNorm::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                          const Tensor* substitute, Sweep& sweep) const {
  if (!over_batch(saved) || !sweep.sink || !sweep.shared || !wanted[0])
    return Op::credit(saved, cot, wanted, substitute, sweep);
  expect_same_rows(saved, cot);
  auto [to_input, to_gain, to_bias] =
      backward(saved, cot, substitute ? *substitute : gain_->value, {true, true, true});
  *sweep.shared = {cot, {to_gain, to_bias}};
  return {to_input};
}

Tensor BatchNorm::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor slope = per_channel(gain_->value * saved.t[2], tangent);
  if (!over_batch(saved)) return tangent * slope;
  expect_same_rows(saved, tangent);
  // Moving x moves mean and deviation too: y' = slope (t - mean(t) - xhat mean(xhat t)).
  const double count = static_cast<double>(tangent.numel()) / static_cast<double>(tangent.size(1));
  const Tensor xhat =
      (saved.t[0] - per_channel(saved.t[1], tangent)).mul_(per_channel(saved.t[2], tangent));
  const Tensor mean = per_channel(sum_but_channels(tangent) / count, tangent);
  const Tensor drift = per_channel(sum_but_channels(xhat * tangent) / count, tangent);
  return (tangent - mean).sub_(xhat * drift).mul_(slope);
}

Tensor BatchNorm::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor d_gain = of(*gain_), d_bias = of(*bias_);
  const Tensor& x = saved.t[0];
  if (!d_gain.defined()) return d_bias.defined() ? per_channel(d_bias, x).expand_as(x) : Tensor();
  const Tensor out = (x - per_channel(saved.t[1], x)).mul_(per_channel(saved.t[2] * d_gain, x));
  return d_bias.defined() ? out + per_channel(d_bias, x) : out;
}

void BatchNorm::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor*, const Shared* shared) const {
  if (!store.of(*gain_) && !store.of(*bias_)) return;
  if (over_batch(saved)) {
    expect_same_rows(saved, cot);
    if (shared && shared->is_for(cot))
      return add_gradients(gain_, bias_, shared->t[0], shared->t[1], scale, store);
    const auto [unused, to_gain, to_bias] = backward(saved, cot, gain_->value, {false, true, true});
    return add_gradients(gain_, bias_, to_gain, to_bias, scale, store);
  }
  const Tensor delta = fold_rows(cot, saved.t[0].size(0));
  const Tensor centred = saved.t[0] - per_channel(saved.t[1], delta);
  add_gradients(gain_, bias_, sum_but_channels(centred.mul_(delta)).mul_(saved.t[2]),
                sum_but_channels(delta), scale, store);
}

std::optional<WeightRows> BatchNorm::rows(const Saved& saved, const Tensor& cot) const {
  if (over_batch(saved)) expect_same_rows(saved, cot);
  const Tensor& x = saved.t[0];
  const Tensor normalised = (x - per_channel(saved.t[1], x)).mul_(per_channel(saved.t[2], x));
  return feature_rows(channels_last_rows(normalised),
                      channels_last_rows(fold_rows(cot, x.size(0))));
}

std::vector<ParamPtr> BatchNorm::params() const {
  return gain_ ? std::vector<ParamPtr>{gain_, bias_} : std::vector<ParamPtr>{};
}

std::vector<std::pair<std::string, Tensor*>> BatchNorm::buffers() {
  return {{"running_mean", &running_mean_}, {"running_var", &running_var_}};
}

// ---- layer norm ----

LayerNorm::LayerNorm(double eps, bool all_features) : eps_(eps), all_features_(all_features) {
  expect_positive(type(), eps);
}

std::string LayerNorm::settings() const {
  return text::cat("eps=", text::from_number(eps_), all_features_ ? ",all_features=true" : "");
}

Spec LayerNorm::infer(std::span<const Spec> inputs) const {
  const Spec& in = inputs[0];
  expect_real(type(), in);
  if (in.shape.empty()) throw Refusal(type(), "the input has no features");
  if (gain_ &&
      gain_->value.sizes() != IntArrayRef(in.shape).slice(all_features_ ? 0 : in.shape.size() - 1))
    throw Refusal(type(),
                  text::cat("it normalises features of shape ", shape_text(gain_->value.sizes()),
                            ", but the input has ", shape_text(in.shape)));
  return in;
}

void LayerNorm::build(std::span<const Spec> inputs) {
  if (gain_) return;
  const IntArrayRef all = inputs[0].shape;
  const IntArrayRef over = all.slice(all_features_ ? 0 : all.size() - 1);
  gain_ = std::make_shared<Param>("weight", at::ones(over));
  bias_ = std::make_shared<Param>("bias", at::zeros(over));
  gain_->decay = bias_->decay = false;
}

Tensor LayerNorm::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& g = gain_->value;
  auto [out, mean, scale] = at::native_layer_norm(inputs[0], g.sizes(), g, bias_->value, eps_);
  saved.t = {inputs[0], mean, scale};
  return out;
}

std::tuple<Tensor, Tensor, Tensor> LayerNorm::backward(const Saved& saved, const Tensor& cot,
                                                       const Tensor& gain,
                                                       std::array<bool, 3> wanted) const {
  return at::native_layer_norm_backward(cot.contiguous(), match_rows(saved.t[0], cot).contiguous(),
                                        gain_->value.sizes(), match_rows(saved.t[1], cot),
                                        match_rows(saved.t[2], cot), gain, bias_->value, wanted);
}

Tensor LayerNorm::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor& gain = substitute ? *substitute : gain_->value;
  return std::get<0>(backward(saved, cot, gain, {true, false, false}));
}

Credits LayerNorm::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                          const Tensor* substitute, Sweep& sweep) const {
  if (!sweep.sink || !sweep.shared || !wanted[0])
    return Op::credit(saved, cot, wanted, substitute, sweep);
  auto [to_input, to_gain, to_bias] =
      backward(saved, cot, substitute ? *substitute : gain_->value, {true, true, true});
  *sweep.shared = {cot, {to_gain, to_bias}};
  return {to_input};
}

Tensor LayerNorm::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor scale = match_rows(saved.t[2], tangent);
  const Tensor xhat =
      (match_rows(saved.t[0], tangent) - match_rows(saved.t[1], tangent)).mul_(scale);
  std::vector<int64_t> over(static_cast<size_t>(gain_->value.dim()));
  for (size_t d = 0; d < over.size(); ++d) over[d] = -1 - static_cast<int64_t>(d);
  return (tangent - tangent.mean(over, true))
      .sub_(xhat * (xhat * tangent).mean(over, true))
      .mul_(scale)
      .mul_(gain_->value);
}

Tensor LayerNorm::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor d_gain = of(*gain_), d_bias = of(*bias_);
  const Tensor& x = saved.t[0];
  if (!d_gain.defined()) return d_bias.defined() ? d_bias.expand_as(x) : Tensor();
  const Tensor out = (x - saved.t[1]).mul_(saved.t[2]).mul_(d_gain);
  return d_bias.defined() ? out + d_bias : out;
}

void LayerNorm::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor*, const Shared* shared) const {
  if (!store.of(*gain_) && !store.of(*bias_)) return;
  if (shared && shared->is_for(cot))
    return add_gradients(gain_, bias_, shared->t[0], shared->t[1], scale, store);
  const auto [unused, to_gain, to_bias] =
      backward(saved, fold_rows(cot, saved.t[0].size(0)), gain_->value, {false, true, true});
  add_gradients(gain_, bias_, to_gain, to_bias, scale, store);
}

std::optional<WeightRows> LayerNorm::rows(const Saved& saved, const Tensor& cot) const {
  const Tensor& x = saved.t[0];
  const int64_t features = gain_->value.numel();
  return feature_rows(last_feature_rows((x - saved.t[1]).mul_(saved.t[2]), features),
                      last_feature_rows(fold_rows(cot, x.size(0)), features));
}

std::vector<ParamPtr> LayerNorm::params() const {
  return gain_ ? std::vector<ParamPtr>{gain_, bias_} : std::vector<ParamPtr>{};
}

OpPtr batch_norm(double eps, double momentum) { return std::make_shared<BatchNorm>(eps, momentum); }
OpPtr layer_norm(double eps, bool all_features) {
  return std::make_shared<LayerNorm>(eps, all_features);
}

}  // namespace altprop
