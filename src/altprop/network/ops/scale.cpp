#include "altprop/network/ops/scale.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

Scale::Scale(double factor) : factor_(factor) {
  if (!std::isfinite(factor) || factor == 0)
    throw UsageError("scale: the factor must be a finite number other than 0, but is " +
                     text::from_number(factor));
}

std::string Scale::settings() const { return "factor=" + text::from_number(factor_); }

Spec Scale::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  return inputs[0];
}

OpPtr scale(double factor) { return std::make_shared<Scale>(factor); }

}  // namespace altprop
