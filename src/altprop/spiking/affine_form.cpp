#include "altprop/spiking/affine_form.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/linear.h"

namespace altprop::spiking {

AffineForm::AffineForm(std::string where, int64_t out, const Kernel& kernel)
    : where_(std::move(where)), out_(out), kernel_(kernel) {
  if (out < 1)
    throw Refusal(where_, text::cat("the number of outputs must be positive, but is ", out));
  if (kernel_.width == 0) kernel_.width = kernel_.height;
  if (kernel_.height < 0 || kernel_.width < 0 || (kernel_.height == 0 && kernel_.width > 0))
    throw Refusal(where_, text::cat("the kernel must be at least 1 high and wide, but is ",
                                    kernel_.height, "x", kernel_.width));
  if (kernel_.stride < 1 || kernel_.padding < 0)
    throw Refusal(where_, text::cat("the stride must be at least 1 and the padding at least 0, but "
                                    "they are ",
                                    kernel_.stride, " and ", kernel_.padding));
}

std::string AffineForm::settings() const {
  std::string out = text::cat("out=", out_);
  if (!image()) return out;
  out += text::cat(",kernel=", kernel_.height);
  if (kernel_.width != kernel_.height) out += text::cat(",kernel_w=", kernel_.width);
  if (kernel_.stride != 1) out += text::cat(",stride=", kernel_.stride);
  if (kernel_.padding != 0) out += text::cat(",padding=", kernel_.padding);
  return out;
}

std::vector<int64_t> AffineForm::output_shape(const Spec& input) const {
  const size_t rank = image() ? 3 : 1;
  if (input.shape.size() != rank)
    throw Refusal(where_,
                  text::cat("samples of shape ", image() ? "[channels, height, width]" : "[n]",
                            " are expected, but these are ", shape_text(input.shape)),
                  image() ? "" : "put flatten in front");
  if (!image()) return {out_};
  return {out_,
          window_positions(where_, input.shape[1], kernel_.height, kernel_.stride, kernel_.padding),
          window_positions(where_, input.shape[2], kernel_.width, kernel_.stride, kernel_.padding)};
}

std::vector<int64_t> AffineForm::weight_shape(const Spec& input) const {
  if (!image()) return {out_, input.shape[0]};
  return {out_, input.shape[0], kernel_.height, kernel_.width};
}

void AffineForm::expect_weight(const Tensor& weight, const Spec& input) const {
  output_shape(input);  // fits the input at all
  const std::vector<int64_t> wanted = weight_shape(input);
  if (weight.sizes() != IntArrayRef(wanted))
    throw Refusal(where_, text::cat("its weight has the shape ", shape_text(weight.sizes()),
                                    ", but this input needs ", shape_text(wanted)));
}

int64_t AffineForm::multiply_adds(const Spec& input) const {
  int64_t total = 1;
  const std::vector<int64_t> weight = weight_shape(input), output = output_shape(input);
  for (int64_t extent : weight) total *= extent;
  for (size_t d = 1; d < output.size(); ++d) total *= output[d];
  return total;
}

Tensor AffineForm::stored(const Tensor& images) const {
  const bool last = images.device().is_cpu() && images.scalar_type() == at::kFloat;
  return last ? images.contiguous(at::MemoryFormat::ChannelsLast) : images;
}

Tensor AffineForm::apply(const Tensor& x, const Tensor& weight) const {
  if (!image()) return gemm(x, weight.t());
  const std::vector<int64_t> stride(2, kernel_.stride), padding(2, kernel_.padding);
  return at::convolution(stored(x), weight, {}, stride, padding, {1, 1}, false, {0, 0}, 1);
}

Tensor AffineForm::pull(const Tensor& cot, const Tensor& weight, IntArrayRef shape) const {
  if (!image()) return gemm(cot, weight);
  const std::vector<int64_t> stride(2, kernel_.stride), padding(2, kernel_.padding);
  const Tensor delta = stored(cot);
  // The kernel asks for an input but reads only its shape and layout.
  const Tensor input =
      at::empty(with_rows(shape, cot.size(0)), cot.options(), delta.suggest_memory_format());
  return std::get<0>(at::convolution_backward(delta, input, weight, std::nullopt, stride, padding,
                                              {1, 1}, false, {0, 0}, 1, {true, false, false}));
}

void AffineForm::add_weight_credit(Slot& slot, const Tensor& cot, const Tensor& x,
                                   double scale) const {
  if (!image()) return slot.add_product(cot.t(), x, scale);
  const std::vector<int64_t> stride(2, kernel_.stride), padding(2, kernel_.padding);
  const Tensor weight = at::empty({out_, x.size(1), kernel_.height, kernel_.width}, x.options());
  slot.add(std::get<1>(at::convolution_backward(stored(cot), stored(x), weight, std::nullopt,
                                                stride, padding, {1, 1}, false, {0, 0}, 1,
                                                {false, true, false})),
           scale);
}

Tensor AffineForm::rows_of(const Tensor& x, double outside) const {
  if (!image()) return x;
  const int64_t p = kernel_.padding;
  const Tensor framed = p > 0 ? at::constant_pad_nd(x, {p, p, p, p}, outside) : x;
  return at::im2col(framed.contiguous(), {kernel_.height, kernel_.width}, {1, 1}, {0, 0},
                    {kernel_.stride, kernel_.stride})
      .transpose(1, 2)
      .flatten(0, 1);
}

Tensor AffineForm::from_rows(const Tensor& rows, IntArrayRef shape) const {
  if (!image()) return rows;
  const int64_t p = kernel_.padding, height = shape[2] + 2 * p, width = shape[3] + 2 * p;
  const int64_t positions = ((height - kernel_.height) / kernel_.stride + 1) *
                            ((width - kernel_.width) / kernel_.stride + 1);
  const Tensor columns = rows.view({-1, positions, rows.size(1)}).transpose(1, 2).contiguous();
  const Tensor framed = at::col2im(columns, {height, width}, {kernel_.height, kernel_.width},
                                   {1, 1}, {0, 0}, {kernel_.stride, kernel_.stride});
  return framed.narrow(2, p, shape[2]).narrow(3, p, shape[3]).contiguous();
}

Tensor AffineForm::output_rows(const Tensor& y) const {
  return image() ? y.flatten(2).transpose(1, 2).flatten(0, 1) : y;
}

Tensor AffineForm::spikes_delivered(const Tensor& times) const {
  const Tensor fired = rows_of(times, INFINITY).isfinite();
  return fired.reshape({times.size(0), -1}).sum(1).to(at::kDouble) * out_;
}

Tensor AffineForm::output_of(const Tensor& rows, int64_t batch, IntArrayRef shape) const {
  if (!image()) return rows;
  std::vector<int64_t> full = {batch};
  full.insert(full.end(), shape.begin(), shape.end());
  return rows.view({batch, -1, rows.size(1)}).transpose(1, 2).contiguous().view(full);
}

}  // namespace altprop::spiking
