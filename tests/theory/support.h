// Draws of small two-layer networks for the tests of this room.
#pragma once

#include "altprop/theory/network_form.h"

namespace altprop::theory {

inline Draws draws_of(Psi psi, const Size& size, at::ScalarType dtype = at::kDouble,
                      uint64_t seed = 3, const std::string& teacher = "nn") {
  return [=](int64_t r) { return draw(psi, teacher, size, Stream(seed).at(r), dtype); };
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

constexpr Psi kAll[] = {Psi::Linear, Psi::Relu, Psi::Tanh, Psi::Sigmoid};

}  // namespace altprop::theory
