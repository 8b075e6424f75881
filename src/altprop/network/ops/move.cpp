#include "altprop/network/ops/move.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

Permute::Permute(std::vector<int64_t> order) : order_(std::move(order)) {
  order_.insert(order_.begin(), 0);
  back_.assign(order_.size(), -1);
  for (size_t i = 0; i < order_.size(); ++i) {
    const int64_t from = order_[i];
    if (from < 0 || from >= static_cast<int64_t>(order_.size()) ||
        back_[static_cast<size_t>(from)] >= 0)
      throw Refusal(type(),
                    "the order names every dimension of a sample once, the first being 1, as in 2x1, "
                    "but is " +
                        settings());
    back_[static_cast<size_t>(from)] = static_cast<int64_t>(i);
  }
}

std::string Permute::settings() const {
  std::vector<std::string> parts;
  for (size_t i = 1; i < order_.size(); ++i) parts.push_back(std::to_string(order_[i]));
  return text::join(parts, "x");
}

Spec Permute::infer(std::span<const Spec> inputs) const {
  if (inputs[0].shape.size() + 1 != order_.size())
    throw Refusal(type(), text::cat("it orders ", order_.size() - 1,
                                    " dimensions, but samples have shape ",
                                    shape_text(inputs[0].shape)));
  Spec out = inputs[0];
  for (size_t i = 1; i < order_.size(); ++i)
    out.shape[i - 1] = inputs[0].shape[static_cast<size_t>(order_[i]) - 1];
  return out;
}

Tensor Permute::apply(const Tensor& x) const { return x.permute(order_).contiguous(); }

Tensor Permute::transposed(const Tensor& cot, IntArrayRef) const {
  return cot.permute(back_).contiguous();
}

Slice::Slice(int64_t dim, int64_t from, int64_t count, int64_t step)
    : dim_(dim), from_(from), count_(count), step_(step) {
  if (dim < 1 || from < 0 || count < 1 || step < 1)
    throw Refusal(type(), text::cat("a dimension, a number of entries and a step are at least 1, and "
                                    "the first entry at least 0, but they are ",
                                    settings()));
}

std::string Slice::settings() const {
  return text::cat("dim=", dim_, ",from=", from_, ",count=", count_,
                   step_ == 1 ? "" : text::cat(",step=", step_));
}

Spec Slice::infer(std::span<const Spec> inputs) const {
  const std::vector<int64_t>& shape = inputs[0].shape;
  if (dim_ > static_cast<int64_t>(shape.size()) || end() > shape[static_cast<size_t>(dim_ - 1)])
    throw Refusal(type(), text::cat("samples of shape ", shape_text(shape), " have no entries up to ",
                                    end() - 1, " in dimension ", dim_));
  Spec out = inputs[0];
  out.shape[static_cast<size_t>(dim_ - 1)] = count_;
  return out;
}

Tensor Slice::apply(const Tensor& x) const {
  return x.slice(dim_, from_, end(), step_).contiguous();
}

Tensor Slice::transposed(const Tensor& cot, IntArrayRef shape) const {
  Tensor out = at::zeros(shape, cot.options());
  out.slice(dim_, from_, end(), step_).copy_(cot);
  return out;
}

OpPtr permute(std::vector<int64_t> order) { return std::make_shared<Permute>(std::move(order)); }
OpPtr slice(int64_t dim, int64_t from, int64_t count, int64_t step) {
  return std::make_shared<Slice>(dim, from, count, step);
}

}  // namespace altprop
