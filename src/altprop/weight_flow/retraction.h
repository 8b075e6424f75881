// How a step along a skew matrix ends on the orthogonal group again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "altprop/weight_flow/skew.h"

namespace altprop::weight_flow {

/// A step as its derivatives need it.
struct Turned {
  Tensor a;         ///< what the step was along
  Tensor rotation;  ///< R(a)
  Tensor inverse;   ///< Cayley's: (I - a/2)^{-1}
  double angle = 0;

  /// Of a network's type; steps are taken in double.
  Turned to(at::ScalarType type) const;
};

/// A map R from skew matrices to rotations with R(0) = I and R(a) = I + a + O(a^2). Directions and
/// covectors on rotations are seen from R(a): a direction is R(a)^T dR(a), a covector
/// skew_part(R(a)^T G) of the gradient G by entries; both are skew.
class Retraction {
 public:
  virtual ~Retraction() = default;
  virtual std::string name() const = 0;
  virtual Turned apply(const Tensor& a, Digits digits) const = 0;
  virtual Tensor push(const Turned& step, const Tensor& direction) const = 0;
  virtual Tensor pull(const Turned& step, const Tensor& covector) const = 0;
};

/// "exp": the exponential. "cayley": (I - a/2)^{-1} (I + a/2), which is e^a + a^3/12 + O(a^4).
std::vector<std::string> retraction_names();
/// @throws UsageError naming those that there are
const Retraction& retraction(const std::string& name);

}  // namespace altprop::weight_flow
