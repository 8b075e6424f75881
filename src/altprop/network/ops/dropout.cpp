#include "altprop/network/ops/dropout.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p < 1))
    throw Refusal(type(), text::cat("p must be at least 0 and below 1, but is ", p));
}

std::string Dropout::settings() const { return "p=" + text::from_number(p_); }

Tensor Dropout::mask(const Stream& draws, const RowIds& rows, IntArrayRef shape,
                     at::TensorOptions options) const {
  return p_ > 0 ? draws.bernoulli_rows(1 - p_, rows, shape, options).div_(1 - p_) : Tensor();
}

Tensor Dropout::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const Tensor& x = inputs[0];
  if (pass.mode != Mode::Replay) saved.t.clear();
  if (pass.mode == Mode::Train && p_ > 0)
    saved.t.assign(1, mask(pass.draws, pass.rows(), x.sizes(), x.options()));
  if (saved.t.empty()) return x;
  return pass.overwrite ? x.mul_(saved.t[0]) : x * saved.t[0];
}

Tensor Dropout::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  return saved.t.empty() ? cot : cot * match_rows(saved.t[0], cot);
}

OpPtr dropout(double p) { return std::make_shared<Dropout>(p); }

}  // namespace altprop
