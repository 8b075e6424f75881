#include "altprop/network/ops/linear.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {
Tensor flat(const Tensor& t) { return t.dim() == 2 ? t : t.reshape({-1, t.size(-1)}); }

std::vector<int64_t> with_last(IntArrayRef shape, int64_t last) {
  std::vector<int64_t> out(shape.begin(), shape.end());
  out.back() = last;
  return out;
}
}  // namespace

std::string Linear::settings() const {
  return text::cat("out=", out_, with_bias_ ? "" : ",bias=false");
}

Spec Linear::infer(std::span<const Spec> inputs) const {
  const Spec& in = inputs[0];
  if (out_ < 1)
    throw Refusal("linear", text::cat("the number of outputs must be positive, but is ", out_));
  if (in.shape.empty()) throw Refusal("linear", "the input has no feature dimension");
  if (in.kind != Kind::Real) throw Refusal("linear", "the input does not hold real numbers");
  if (weight_ && weight_->value.size(1) != in.shape.back())
    throw Refusal("linear", text::cat("its shared weight takes ", weight_->value.size(1),
                                      " features, but the input has ", in.shape.back()));
  return {with_last(in.shape, out_), Kind::Real};
}

void Linear::build(std::span<const Spec> inputs) {
  if (!weight_)
    weight_ = std::make_shared<Param>("weight", at::zeros({out_, inputs[0].shape.back()}));
  if (with_bias_ && !bias_) bias_ = std::make_shared<Param>("bias", at::zeros({out_}));
}

Tensor Linear::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  return forward_with(inputs[0], saved, Epilogue::None);
}

Tensor Linear::forward_with(const Tensor& input, Saved& saved, Epilogue epilogue,
                            const Tensor* stored) const {
  saved.t.assign(1, input);
  Tensor out = linear_forward(flat(input), stored ? *stored : weight_->value,
                              bias_ ? bias_->value : Tensor(), epilogue);
  return input.dim() == 2 ? out : out.view(with_last(input.sizes(), out_));
}

Tensor Linear::vjp(const Saved&, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor& matrix = substitute ? *substitute : weight_->value;
  Tensor out = gemm(flat(cot), matrix);
  return cot.dim() == 2 ? out : out.view(with_last(cot.sizes(), matrix.size(1)));
}

Tensor Linear::jvp(const Saved&, const Tensor& tangent, int) const {
  Tensor out = gemm(flat(tangent), weight_->value.t());
  return tangent.dim() == 2 ? out : out.view(with_last(tangent.sizes(), out_));
}

std::pair<Tensor, Tensor> Linear::gradient_factors(const Saved& saved, const Tensor& cot) const {
  const Tensor& input = saved.t[0];
  return {flat(fold_rows(cot, input.size(0))), flat(input)};
}

Tensor Linear::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_), db = bias_ ? of(*bias_) : Tensor();
  const Tensor& input = saved.t[0];
  const std::vector<int64_t> shape = with_last(input.sizes(), out_);
  if (!dw.defined()) return db.defined() ? db.expand(shape) : Tensor();
  const Tensor out = gemm(flat(input), dw.t()).view(shape);
  return db.defined() ? out + db : out;
}

std::optional<WeightRows> Linear::rows(const Saved& saved, const Tensor& cot) const {
  auto [credits, inputs] = gradient_factors(saved, cot);
  const int64_t samples = saved.t[0].size(0), each = samples ? inputs.size(0) / samples : 1;
  WeightRows out{
      .samples = samples, .per_sample = each, .inputs = inputs, .credits = credits};
  out.of = [=, inputs = inputs, credits = credits](int64_t from, int64_t to) {
    const int64_t n = (to - from) * each;
    return std::pair(inputs.narrow(0, from * each, n), credits.narrow(0, from * each, n));
  };
  return out;
}

void Linear::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                        const Tensor*, const Shared*) const {
  const auto [delta, input] = gradient_factors(saved, cot);
  if (Slot* slot = store.of(*weight_)) slot->add_product(delta.t(), input, scale);
  if (Slot* slot = bias_ ? store.of(*bias_) : nullptr) slot->add_rows(delta, scale);
}

std::vector<ParamPtr> Linear::params() const {
  if (!weight_) return {};
  return bias_ ? std::vector<ParamPtr>{weight_, bias_} : std::vector<ParamPtr>{weight_};
}

int64_t Linear::multiply_adds(std::span<const Spec> inputs) const {
  return inputs[0].numel() * out_;
}

}  // namespace altprop
