#include "altprop/network/ops/check.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

void expect_real(const std::string& where, const Spec& spec) {
  if (spec.kind != Kind::Real || spec.dtype != Dtype::Float)
    throw Refusal(where, "the input does not hold real numbers");
}

void expect_alike(const std::string& where, const Spec& a, const Spec& b) {
  if (a.kind != b.kind || a.dtype != b.dtype)
    throw Refusal(where, "it joins values of one kind, but its inputs are " + values_text(a) +
                             " and " + values_text(b));
}

void expect_rank(const std::string& where, const Spec& spec, size_t rank,
                 const std::string& layout) {
  expect_real(where, spec);
  if (spec.shape.size() != rank)
    throw Refusal(where, text::cat("samples of shape [", layout, "] are expected, but these are ",
                                   shape_text(spec.shape)));
}

int64_t window_positions(const std::string& where, int64_t extent, int64_t kernel, int64_t stride,
                         int64_t padding, int64_t dilation) {
  const int64_t covered = dilation * (kernel - 1) + 1;
  if (extent + 2 * padding < covered)
    throw Refusal(where, text::cat("a window of ", covered, " does not fit an input of ", extent,
                                   " with padding ", padding));
  return (extent + 2 * padding - covered) / stride + 1;
}

std::vector<int64_t> with_rows(IntArrayRef shape, int64_t rows) {
  std::vector<int64_t> out(shape.begin(), shape.end());
  out[0] = rows;
  return out;
}

Tensor stored_like(const Tensor& t, const Tensor& model) {
  return t.dim() == 4 && model.dim() == 4 ? t.contiguous(model.suggest_memory_format()) : t;
}

}  // namespace altprop
