// Operations as a user writes them, each the twin of one of the library's: another class, another
// type name, another order of parameters, other products.
#pragma once

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/max_pool2d.h>

#include "altprop/network/ops/planar_form.h"
#include "altprop/tensor/softmax_pool.h"

namespace altprop::own {

/// What a dense map and a convolution have in common: weight, bias, and gradients through rows.
class Affine : public Op {
 public:
  std::vector<ParamPtr> params() const override {
    return bias_ ? std::vector<ParamPtr>{bias_, weight_} : std::vector<ParamPtr>{weight_};
  }
  ParamPtr weight() const override { return weight_; }
  Traits traits() const override { return {.response = Response::Linear, .affine = true}; }
  Saved saved_for(const Tensor& input) const override {
    return {.t = {input}, .shape = input.sizes().vec()};
  }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved = saved_for(inputs[0]);
    return apply(inputs[0], weight_->value, bias_ ? bias_->value : Tensor());
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override {
    return apply(tangent, weight_->value, {});
  }
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override {
    const Tensor dw = of(*weight_), db = bias_ ? of(*bias_) : Tensor();
    if (!dw.defined() && !db.defined()) return {};
    return apply(saved.t[0], dw.defined() ? dw : at::zeros_like(weight_->value), db);
  }
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store, const Tensor*,
                  const Shared*) const override {
    const Tensor folded = fold_rows(cot, saved.t[0].size(0));
    if (Slot* slot = store.of(*weight_)) slot->add(gradient(saved.t[0], folded, slot->into), scale);
    if (Slot* slot = bias_ ? store.of(*bias_) : nullptr)
      slot->add((folded.dim() > 2 ? folded.flatten(2).sum(2) : folded).sum(0), scale);
  }

 protected:
  virtual Tensor apply(const Tensor& x, const Tensor& weight, const Tensor& bias) const = 0;
  /// @param like of the weight's shape, or with another number of outputs
  virtual Tensor gradient(const Tensor& x, const Tensor& cot, const Tensor& like) const = 0;

  ParamPtr weight_, bias_;
};

/// a = h W^T + b of [B, n]. Its name is none that says so.
class Dense : public Affine {
 public:
  Dense(int64_t out, bool bias) : out_(out), with_bias_(bias) {}
  std::string type() const override { return "own-transpose"; }
  Spec infer(std::span<const Spec>) const override { return {{out_}}; }
  void build(std::span<const Spec> inputs) override {
    if (weight_) return;  // another graph has it, too
    weight_ = std::make_shared<Param>("weight", at::zeros({out_, inputs[0].shape[0]}));
    if (with_bias_) bias_ = std::make_shared<Param>("bias", at::zeros({out_}));
  }
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor* substitute) const override {
    return at::mm(cot, substitute ? *substitute : weight_->value);
  }
  std::optional<DenseMap> dense() const override { return DenseMap{weight_, bias_}; }
  OpPtr with_weight(const ParamPtr& weight) const override {
    auto out = std::make_shared<Dense>(out_, false);
    out->weight_ = weight;
    return out;
  }

 protected:
  Tensor apply(const Tensor& x, const Tensor& weight, const Tensor& bias) const override {
    const Tensor out = at::mm(x, weight.t());
    return bias.defined() ? out + bias : out;
  }
  Tensor gradient(const Tensor& x, const Tensor& cot, const Tensor&) const override {
    return at::mm(cot.t(), x);
  }

 private:
  int64_t out_;
  bool with_bias_;
};

/// A convolution of images with kernels of 3 x 3 and a border of 1, or the transposed one, which
/// has no axis of output channels in front. Their names say nothing.
class Conv : public Affine {
 public:
  Conv(int64_t out, bool transposed) : out_(out), transposed_(transposed) {}
  std::string type() const override { return transposed_ ? "own-up" : "own-conv"; }
  Spec infer(std::span<const Spec> inputs) const override {
    return {{out_, inputs[0].shape[1], inputs[0].shape[2]}};
  }
  void build(std::span<const Spec> inputs) override {
    if (weight_) return;  // another graph has it, too
    const int64_t in = inputs[0].shape[0];
    weight_ = std::make_shared<Param>(
        "weight", transposed_ ? at::zeros({in, out_, 3, 3}) : at::zeros({out_, in, 3, 3}));
    bias_ = std::make_shared<Param>("bias", at::zeros({out_}));
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const override {
    const Tensor& w = substitute ? *substitute : weight_->value;
    std::vector<int64_t> shape = saved.shape;
    shape[0] = cot.size(0);
    const Tensor x = at::zeros(shape, cot.options());
    return std::get<0>(at::convolution_backward(cot, x, w, std::nullopt, {1, 1}, {1, 1}, {1, 1},
                                                transposed_, {0, 0}, 1, {true, false, false}));
  }
  std::optional<Channels> channels() const override {
    if (transposed_) return std::nullopt;
    return Channels{.outputs = out_, .last = false};
  }
  OpPtr with_weight(const ParamPtr& weight) const override {
    auto out = std::make_shared<Conv>(out_, transposed_);
    out->weight_ = weight;
    return out;
  }

 protected:
  Tensor apply(const Tensor& x, const Tensor& weight, const Tensor& bias) const override {
    return at::convolution(x, weight, bias, {1, 1}, {1, 1}, {1, 1}, transposed_, {0, 0}, 1);
  }
  Tensor gradient(const Tensor& x, const Tensor& cot, const Tensor& like) const override {
    return std::get<1>(at::convolution_backward(cot, x, like, std::nullopt, {1, 1}, {1, 1}, {1, 1},
                                                transposed_, {0, 0}, 1, {false, true, false}));
  }

 private:
  int64_t out_;
  bool transposed_;
};

/// tanh, as an activation that is in no table.
class Squash : public Op {
 public:
  std::string type() const override { return "own-squash"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Traits traits() const override { return {.activation = true}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved.t.assign(1, at::tanh(inputs[0]));
    return saved.t[0].clone();
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const Tensor y = match_rows(saved.t[0], cot);
    return cot * (1 - y * y);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }
};

/// sin(W h): a weight that the output is not affine in.
class Sine : public Op {
 public:
  std::string type() const override { return "own-sine"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  void build(std::span<const Spec> inputs) override {
    if (weight_) return;  // another graph has it, too
    const int64_t n = inputs[0].shape[0];
    weight_ = std::make_shared<Param>("weight", at::zeros({n, n}));
  }
  std::vector<ParamPtr> params() const override { return {weight_}; }
  ParamPtr weight() const override { return weight_; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor a = at::mm(inputs[0], weight_->value.t());
    saved.t = {inputs[0], at::cos(a)};
    return at::sin(a);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const override {
    return at::mm(cot * match_rows(saved.t[1], cot), substitute ? *substitute : weight_->value);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return at::mm(tangent, weight_->value.t()) * match_rows(saved.t[1], tangent);
  }
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override {
    const Tensor dw = of(*weight_);
    return dw.defined() ? at::mm(saved.t[0], dw.t()) * saved.t[1] : Tensor();
  }
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store, const Tensor*,
                  const Shared*) const override {
    const Tensor delta = fold_rows(cot * match_rows(saved.t[1], cot), saved.t[0].size(0));
    if (Slot* slot = store.of(*weight_)) slot->add_product(delta.t(), saved.t[0], scale);
  }

 private:
  ParamPtr weight_;
};

/// A factor for each feature, which credit crosses on its way.
class Gain : public Op {
 public:
  std::string type() const override { return "own-gain"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  void build(std::span<const Spec> inputs) override {
    if (gain_) return;  // another graph has it, too
    gain_ = std::make_shared<Param>("gain", at::full(inputs[0].shape, 3.0));
  }
  std::vector<ParamPtr> params() const override { return {gain_}; }
  ParamPtr gain() const override { return gain_; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved.t.assign(1, inputs[0]);
    return inputs[0] * gain_->value;
  }
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor* substitute) const override {
    return cot * (substitute ? *substitute : gain_->value);
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override {
    return tangent * gain_->value;
  }
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override {
    const Tensor d = of(*gain_);
    return d.defined() ? saved.t[0] * d : Tensor();
  }
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store, const Tensor*,
                  const Shared*) const override {
    if (Slot* slot = store.of(*gain_))
      slot->add(fold_rows(cot * match_rows(saved.t[0], cot), saved.t[0].size(0)).sum(0), scale);
  }

 private:
  ParamPtr gain_;
};

/// The largest of each 2 x 2 window, by comparisons and not by libtorch's kernel.
class LargestOfFour : public Op {
 public:
  std::string type() const override { return "own-largest"; }
  Spec infer(std::span<const Spec> inputs) const override {
    const std::vector<int64_t>& s = inputs[0].shape;
    return {{s[0], s[1] / 2, s[2] / 2}};
  }
  Traits traits() const override { return {.response = Response::Selects}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const auto [values, winner] = windows(inputs[0]).max(-1, true);
    saved.t.assign(1, winner);
    return values.squeeze(-1).contiguous();
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const Tensor winner = match_rows(saved.t[0], cot);
    std::vector<int64_t> shape = winner.sizes().vec();
    shape.back() = 4;
    const Tensor out = at::zeros(shape, cot.options()).scatter(-1, winner, cot.unsqueeze(-1));
    return out.unflatten(-1, {2, 2}).permute({0, 1, 2, 4, 3, 5}).flatten(4, 5).flatten(2, 3);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return windows(tangent).gather(-1, match_rows(saved.t[0], tangent)).squeeze(-1);
  }

 private:
  /// [B, C, h, w, 4]
  static Tensor windows(const Tensor& x) {
    return x.unflatten(3, {-1, 2}).unflatten(2, {-1, 2}).permute({0, 1, 2, 4, 3, 5}).flatten(4);
  }
};

/// Dropout of a third of the numbers.
class Drop : public Op {
 public:
  std::string type() const override { return "own-drop"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Traits traits() const override {
    return {.draws = true, .masks = true, .response = Response::Linear};
  }
  Takes takes(int) const override { return {.kinds = {Kind::Real, Kind::Probability}}; }
  Tensor mask(const Stream& draws, const RowIds& rows, IntArrayRef shape,
              at::TensorOptions options) const override {
    return draws.bernoulli_rows(1 - kShare, rows, shape, options).div_(1 - kShare);
  }
  Saved saved_with(const Tensor& mask) const override { return {.t = {at::ones({1}), mask}}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    const Tensor& x = inputs[0];
    if (pass.mode == Mode::Eval) saved.t.clear();
    if (pass.mode == Mode::Train)
      saved = saved_with(mask(pass.draws, pass.rows(), x.sizes(), x.options()));
    return saved.t.empty() ? x.clone() : x * saved.t[1];
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return saved.t.empty() ? cot : cot * match_rows(saved.t[1], cot);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }

  static constexpr double kShare = 0.3;
};

/// The nearest number from 0 to 1, or from 0 on.
class Nearest : public Op {
 public:
  explicit Nearest(double high) : high_(high) {}
  std::string type() const override { return "own-nearest"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Traits traits() const override {
    return {.activation = true, .nearest_in = Interval{0, high_}};
  }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved.t.assign(1, inputs[0].clamp(0, high_));
    return saved.t[0].clone();
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const Tensor y = match_rows(saved.t[0], cot);
    return cot * y.gt(0).logical_and(y.lt(high_));
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }

 private:
  double high_;
};

/// The mean of each 2 x 2 window, weighted by a softmax.
class SoftestOfFour : public Op, public PlanarForm {
 public:
  std::string type() const override { return "own-softest"; }
  Spec infer(std::span<const Spec> inputs) const override {
    const std::vector<int64_t>& s = inputs[0].shape;
    return {{s[0], s[1] / 2, s[2] / 2}};
  }
  const PlanarForm* planar() const override { return this; }
  Tensor planar_forward(const Tensor& x, const PlanarRows& rows, Saved& saved) const override {
    SoftmaxPooled pooled = softmax_pool(x, rows, 2, 1);
    saved.t = {at::ones({1}), pooled.slope};
    return pooled.out;
  }
  Tensor planar_pull(const Saved& saved, const Tensor& cot, const PlanarRows& rows) const override {
    return softmax_pool_pull(saved.t[1], cot, rows, 2);
  }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    return planar_forward(inputs[0], {inputs[0].size(0), 0}, saved);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return softmax_pool_pull(match_rows(saved.t[1], cot), cot, {cot.size(0), 0}, 2);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return softmax_pool_push(match_rows(saved.t[1], tangent), tangent, 2);
  }
};

}  // namespace altprop::own
