#include "altprop/network/ops/conv.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/narrow_conv.h"

namespace altprop {

Conv::Conv(Form form, const ConvSettings& settings) : form_(form), settings_(settings) {
  if (settings_.kernel_w == 0) settings_.kernel_w = settings_.kernel;
  const ConvSettings& s = settings_;
  auto at_least = [&](const char* name, int64_t value, int64_t least) {
    if (value < least)
      throw Refusal(type(), text::cat(name, " must be at least ", least, ", but is ", value));
  };
  at_least("the number of output channels", s.out, 1);
  at_least("the kernel", std::min(s.kernel, s.kernel_w), 1);
  at_least("the stride", s.stride, 1);
  at_least("the padding", s.padding, 0);
  at_least("the dilation", s.dilation, 1);
  at_least("the number of groups", s.groups, 1);
  at_least("the output padding", s.output_padding, 0);
  if (form == Form::OneD && s.kernel_w != s.kernel)
    throw Refusal(type(), "its kernel has no width", "use conv2d");
  if (s.output_padding > 0 && !transposed())
    throw Refusal(type(), "only a transposed convolution has an output padding");
  if (s.output_padding >= std::max(s.stride, s.dilation) && s.output_padding > 0)
    throw Refusal(type(), text::cat("the output padding ", s.output_padding,
                                    " must be smaller than the stride or the dilation"));
  if (s.out % s.groups != 0)
    throw Refusal(
        type(), text::cat(s.out, " output channels cannot be divided into ", s.groups, " groups"));
  kernel_ = {s.kernel, s.kernel_w};
  kernel_.resize(dims());
  stride_.assign(dims(), s.stride);
  padding_.assign(dims(), s.padding);
  dilation_.assign(dims(), s.dilation);
  output_padding_.assign(dims(), s.output_padding);
}

namespace {
ConvSettings settings_of(Conv::Form form, ConvSettings settings, const Tensor& weight,
                         bool has_bias) {
  const bool one_d = form == Conv::Form::OneD;
  if (weight.dim() != (one_d ? 3 : 4))
    throw Refusal("convolution",
                  text::cat("its shared weight has the shape ", shape_text(weight.sizes()),
                            ", which is not a kernel's"));
  settings.out =
      form == Conv::Form::TransposedTwoD ? weight.size(1) * settings.groups : weight.size(0);
  settings.kernel = weight.size(2);
  settings.kernel_w = one_d ? 0 : weight.size(3);
  settings.bias = has_bias;
  return settings;
}
}  // namespace

Conv::Conv(Form form, const ConvSettings& settings, ParamPtr weight, ParamPtr bias)
    : Conv(form, settings_of(form, settings, weight->value, bias != nullptr)) {
  weight_ = std::move(weight);
  bias_ = std::move(bias);
}

std::string Conv::type() const {
  switch (form_) {
    case Form::OneD:
      return "conv1d";
    case Form::TransposedTwoD:
      return "conv_transpose2d";
    case Form::TwoD:
      break;
  }
  return "conv2d";
}

std::string Conv::settings() const {
  const ConvSettings& s = settings_;
  std::string out = text::cat("out=", s.out, ",kernel=", s.kernel);
  auto unless = [&](const char* name, int64_t value, int64_t usual) {
    if (value != usual) out += text::cat(",", name, "=", value);
  };
  unless("kernel_w", s.kernel_w, s.kernel);
  unless("stride", s.stride, 1);
  unless("padding", s.padding, 0);
  unless("dilation", s.dilation, 1);
  unless("groups", s.groups, 1);
  unless("output_padding", s.output_padding, 0);
  return s.bias ? out : out + ",bias=false";
}

std::vector<int64_t> Conv::weight_shape(int64_t channels) const {
  std::vector<int64_t> shape =
      transposed() ? std::vector<int64_t>{channels, settings_.out / settings_.groups}
                   : std::vector<int64_t>{settings_.out, channels / settings_.groups};
  for (int64_t extent : kernel_) shape.push_back(extent);
  return shape;
}

Spec Conv::infer(std::span<const Spec> inputs) const {
  const Spec& in = inputs[0];
  expect_rank(type(), in, dims() + 1, dims() == 1 ? "channels, length" : "channels, height, width");
  const int64_t channels = in.shape[0];
  if (channels % settings_.groups != 0)
    throw Refusal(type(), text::cat(channels, " input channels cannot be divided into ",
                                    settings_.groups, " groups"));
  const std::vector<int64_t> shape = weight_shape(channels);
  if (weight_ && weight_->value.sizes() != IntArrayRef(shape))
    throw Refusal(type(),
                  text::cat("its shared weight has the shape ", shape_text(weight_->value.sizes()),
                            ", but this input needs ", shape_text(shape)));
  Spec out{{settings_.out}, Kind::Real};
  for (size_t d = 0; d < dims(); ++d) {
    const int64_t extent = in.shape[d + 1];
    if (!transposed()) {
      out.shape.push_back(
          window_positions(type(), extent, kernel_[d], stride_[d], padding_[d], dilation_[d]));
      continue;
    }
    const int64_t length = (extent - 1) * stride_[d] - 2 * padding_[d] +
                           dilation_[d] * (kernel_[d] - 1) + output_padding_[d] + 1;
    if (length < 1)
      throw Refusal(type(), text::cat("with padding ", padding_[d],
                                      " nothing is left of an input of ", extent));
    out.shape.push_back(length);
  }
  return out;
}

void Conv::build(std::span<const Spec> inputs) {
  if (!weight_)
    weight_ = std::make_shared<Param>("weight", at::zeros(weight_shape(inputs[0].shape[0])));
  if (settings_.bias && !bias_) bias_ = std::make_shared<Param>("bias", at::zeros({settings_.out}));
}

/// In the layout that the kernels are fastest with: channels last for float32 images on the CPU,
/// where measured convolutions and poolings gain up to a factor of 4. What follows a convolution
/// keeps its layout.
Tensor Conv::stored(const Tensor& images) const {
  const bool last =
      form_ == Form::TwoD && images.device().is_cpu() && images.scalar_type() == at::kFloat;
  return last ? images.contiguous(at::MemoryFormat::ChannelsLast) : images;
}

Tensor Conv::apply(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  return at::convolution(x, weight, bias, stride_, padding_, dilation_, transposed(),
                         output_padding_, settings_.groups);
}

std::tuple<Tensor, Tensor, Tensor> Conv::backward(const Tensor& cot, const Tensor& input,
                                                  const Tensor& weight, bool to_input,
                                                  bool to_weight, bool to_bias) const {
  return at::convolution_backward(cot, input, weight, IntArrayRef({settings_.out}), stride_,
                                  padding_, dilation_, transposed(), output_padding_,
                                  settings_.groups, {to_input, to_weight, to_bias});
}

Tensor Conv::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  // Kept as it came: a copy in another layout would stay alive until the reverse pass.
  saved.t.assign(1, inputs[0]);
  saved.shape = inputs[0].sizes().vec();
  return apply(stored(inputs[0]), weight_->value, bias_ ? bias_->value : Tensor());
}

// Two separate calls for the input's and the parameters' gradients: one combined call was measured
// to be no faster on the CPU (it runs the same two kernels), and apart each can be left out.

Tensor Conv::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor delta = stored(cot);
  const Tensor& weight = substitute ? *substitute : weight_->value;
  if (form_ == Form::TwoD && settings_.stride == 1 && settings_.dilation == 1 &&
      settings_.groups == 1 && narrow_credit_fits(delta, weight, settings_.padding))
    return narrow_credit(delta, weight, settings_.padding);
  // The kernel asks for an input but reads only its shape and layout.
  const bool at_hand = !saved.t.empty() && saved.t[0].size(0) == cot.size(0);
  const Tensor input = at_hand ? stored(saved.t[0])
                               : at::empty(with_rows(saved.shape, cot.size(0)), cot.options(),
                                           delta.suggest_memory_format());
  return std::get<0>(backward(delta, input, weight, true, false, false));
}

Tensor Conv::jvp(const Saved&, const Tensor& tangent, int) const {
  return apply(stored(tangent), weight_->value, {});
}

void Conv::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                      const Tensor* substitute, const Shared*) const {
  Slot* to_weight = store.of(*weight_);
  Slot* to_bias = bias_ ? store.of(*bias_) : nullptr;
  if (!to_weight && !to_bias) return;
  const Tensor input = stored(saved.t[0]);
  const Tensor delta = stored(fold_rows(cot, input.size(0)));
  if (to_weight) {
    // Asked for both, the kernel sums the bias on the way.
    const auto [unused, dw, db] = backward(delta, input, substitute ? *substitute : weight_->value,
                                           false, true, to_bias != nullptr);
    to_weight->add(dw, scale);
    if (to_bias) to_bias->add(db, scale);
  } else {
    to_bias->add(delta.transpose(0, 1).flatten(1).sum(1), scale);
  }
}

Tensor Conv::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_), db = bias_ ? of(*bias_) : Tensor();
  if (!dw.defined() && !db.defined()) return {};
  return apply(stored(saved.t[0]), dw.defined() ? dw : at::zeros_like(weight_->value), db);
}

std::optional<Channels> Conv::channels() const {
  if (transposed()) return std::nullopt;
  return Channels{.outputs = settings_.out, .groups = settings_.groups, .last = false};
}

std::optional<WeightRows> Conv::rows(const Saved& saved, const Tensor& cot) const {
  if (transposed() || settings_.groups != 1) return std::nullopt;
  const Tensor input = saved.t[0], delta = fold_rows(cot, input.size(0));
  WeightRows out{input.size(0), delta[0][0].numel()};
  const bool one_d = form_ == Form::OneD;
  const auto square = [one_d](const std::vector<int64_t>& v, int64_t fill) {
    return one_d ? std::vector<int64_t>{fill, v[0]} : v;
  };
  out.of = [=, kernel = square(kernel_, 1), stride = square(stride_, 1),
            padding = square(padding_, 0),
            dilation = square(dilation_, 1)](int64_t from, int64_t to) {
    Tensor x = input.narrow(0, from, to - from);
    if (one_d) x = x.unsqueeze(2);
    const Tensor windows = at::im2col(x.contiguous(), kernel, dilation, padding, stride);
    const Tensor credits = delta.narrow(0, from, to - from).flatten(2);
    return std::pair(windows.transpose(1, 2).flatten(0, 1), credits.transpose(1, 2).flatten(0, 1));
  };
  return out;
}

std::vector<ParamPtr> Conv::params() const {
  if (!weight_) return {};
  return bias_ ? std::vector<ParamPtr>{weight_, bias_} : std::vector<ParamPtr>{weight_};
}

int64_t Conv::multiply_adds(std::span<const Spec> inputs) const {
  // Every weight is used once per position of the window: on the input of a transposed convolution,
  // on the output of a plain one.
  const Spec swept = transposed() ? inputs[0] : infer(inputs);
  const int64_t positions = swept.numel() / swept.shape[0];
  int64_t weights = 1;
  for (int64_t extent : weight_shape(inputs[0].shape[0])) weights *= extent;
  return positions * weights;
}

OpPtr conv1d(const ConvSettings& s) { return std::make_shared<Conv>(Conv::Form::OneD, s); }
OpPtr conv2d(const ConvSettings& s) { return std::make_shared<Conv>(Conv::Form::TwoD, s); }
OpPtr conv_transpose2d(const ConvSettings& s) {
  return std::make_shared<Conv>(Conv::Form::TransposedTwoD, s);
}
OpPtr conv1d(const ConvSettings& s, ParamPtr weight, ParamPtr bias) {
  return std::make_shared<Conv>(Conv::Form::OneD, s, std::move(weight), std::move(bias));
}
OpPtr conv2d(const ConvSettings& s, ParamPtr weight, ParamPtr bias) {
  return std::make_shared<Conv>(Conv::Form::TwoD, s, std::move(weight), std::move(bias));
}
OpPtr conv_transpose2d(const ConvSettings& s, ParamPtr weight, ParamPtr bias) {
  return std::make_shared<Conv>(Conv::Form::TransposedTwoD, s, std::move(weight), std::move(bias));
}

}  // namespace altprop
