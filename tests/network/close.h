// Comparisons of tensors, and of what is refused.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/tensor.h"

namespace altprop {

inline double largest(const Tensor& t) { return t.numel() == 0 ? 0 : t.abs().max().item<double>(); }

/// The largest difference, relative to the larger of 1 and the largest entry.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  const double d = largest(a.to(at::kCPU, at::kDouble) - b.to(at::kCPU, at::kDouble));
  return std::isnan(d) ? INFINITY : d / std::max(1.0, largest(b.to(at::kDouble)));
}

inline void expect_close(const Tensor& a, const Tensor& b, double tolerance,
                         const std::string& what) {
  EXPECT_EQ(shape_text(a.sizes()), shape_text(b.sizes())) << what;
  EXPECT_LE(distance(a, b), tolerance) << what;
}

inline double dot_product(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }

/// The same numbers at other strides (the last two dimensions are swapped in memory).
inline Tensor restrided(const Tensor& t) {
  return t.dim() < 2 ? t : t.transpose(-1, -2).contiguous().transpose(-1, -2);
}

/// Expects a Refusal whose text contains `part`.
template <class F>
void expect_refusal(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was refused; expected: " << part;
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

}  // namespace altprop
