#include "altprop/network/ops/circular_pad.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

namespace {

class CircularPad : public Op {
 public:
  explicit CircularPad(int64_t padding) : padding_(padding) {
    if (padding < 1) throw UsageError("circular_pad: the padding is at least 1");
  }
  std::string type() const override { return "circular_pad"; }
  std::string settings() const override { return text::cat("padding=", padding_); }

  Spec infer(std::span<const Spec> inputs) const override {
    const Spec& in = inputs[0];
    expect_real(type(), in);
    if (in.shape.size() != 2 && in.shape.size() != 3)
      throw Refusal(type(), text::cat("it takes channels of a line or an image, [channels, length] "
                                      "or [channels, height, width], but the input has ",
                                      shape_text(in.shape)));
    Spec out = in;
    for (size_t d = 1; d < in.shape.size(); ++d) {
      if (in.shape[d] < padding_)
        throw Refusal(type(), text::cat("a border of ", padding_, " is longer than the ",
                                        in.shape[d], " values of the input"),
                      "pad by less");
      out.shape[d] += 2 * padding_;
    }
    return out;
  }

  Tensor forward(std::span<const Tensor> inputs, Saved&, const Pass&) const override {
    return padded(inputs[0]);
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override { return padded(tangent); }
  Traits traits() const override { return {.response = Response::Linear}; }
  /// What lies in the borders goes back to where it was taken from.
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override {
    Tensor out = cot;
    for (int64_t d = 2; d < cot.dim(); ++d) {
      const int64_t n = out.size(d) - 2 * padding_;
      Tensor inner = out.narrow(d, padding_, n).clone();
      inner.narrow(d, n - padding_, padding_).add_(out.narrow(d, 0, padding_));
      inner.narrow(d, 0, padding_).add_(out.narrow(d, n + padding_, padding_));
      out = inner;
    }
    return out;
  }

 private:
  Tensor padded(Tensor t) const {
    for (int64_t d = 2; d < t.dim(); ++d)
      t = at::cat({t.narrow(d, t.size(d) - padding_, padding_), t, t.narrow(d, 0, padding_)}, d);
    return t;
  }

  int64_t padding_;
};

}  // namespace

OpPtr circular_pad(int64_t padding) { return std::make_shared<CircularPad>(padding); }

}  // namespace altprop
