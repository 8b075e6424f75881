// The worked examples of the tests of holomorphic equilibrium propagation, in float64: the dense
// one of equilibrium propagation, and an asymmetric one of sines whose exact gradients are known.
#pragma once

#include "altprop/base/text.h"
#include "altprop/rules/holomorphic/estimate.h"
#include "altprop/rules/holomorphic/homeostasis.h"
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {

inline const char* const kHep = "holomorphic-ep";

inline OptionValues circle(int64_t points, double radius, const OptionValues& more = {}) {
  return with({{"hep.points", std::to_string(points)},
               {"hep.radius", text::from_number(radius)},
               {"hep.tolerance", "0"},
               {"hep.free-steps", "400"},
               {"hep.nudged-steps", "400"}},
              more);
}

/// NamedGradients of the network's and, under their own names, of the rule's parameters.
inline NamedGradients gradients_of_all(Learner& rule, EpExample& e, bool exact = false) {
  return gradients(rule, e.net, *e.loss, e.x, e.y, 0, exact, rule.owned());
}

inline NamedGradients hep(EpExample& e, const OptionValues& values, bool exact = false) {
  return gradients_of_all(*bound(kHep, values, e.net, *e.loss), e, exact);
}

inline double hep_error(EpExample& e, const OptionValues& values) {
  return EpExample::apart(hep(e, values), hep(e, values, true));
}

/// c sin(1 + 0.7 a + 1.3 b + 2.1 l), a and b row and column.
inline Tensor waves(int64_t rows, int64_t columns, double l, double c) {
  Tensor t = at::empty({rows, columns}, at::kDouble);
  auto w = t.accessor<double, 2>();
  for (int64_t a = 0; a < rows; ++a)
    for (int64_t b = 0; b < columns; ++b)
      w[a][b] =
          c * std::sin(1 + 0.7 * static_cast<double>(a) + 1.3 * static_cast<double>(b) + 2.1 * l);
  return t;
}

inline Tensor small_biases(int64_t n, double l, double offset) {
  Tensor t = at::empty({n}, at::kDouble);
  for (int64_t a = 0; a < n; ++a) t[a] = offset + 0.1 * std::cos(static_cast<double>(a) + l);
  return t;
}

/// 3-4-3 with shifted sigmoids, a readout of 2 and feedback of its own: fixture B.
struct AsymmetricExample : EpExample {
  Tensor feedback = waves(4, 3, 2, 0.5);  ///< from the second layer to the first
  AsymmetricExample() : EpExample("mlp:3-4-3-2:shifted-sigmoid", {3}, 2, "cross-entropy") {
    value(0).copy_(waves(4, 3, 0, 0.5));
    value(1).copy_(small_biases(4, 0, 0.5));
    value(2).copy_(waves(3, 4, 1, 0.5));
    value(3).copy_(small_biases(3, 1, 0.5));
    value(4).copy_(waves(2, 3, 3, 1));
    value(5).copy_(small_biases(2, 3, 0));
    x = at::tensor({0.2, 0.7, -0.4}, at::kDouble).view({1, 3});
    y = at::tensor({0}, at::kLong);
  }
  /// A rule with this feedback.
  std::unique_ptr<Learner> rule(const OptionValues& values) {
    auto out = bound(kHep, with({{"hep.weights", "separate"}}, values), net, *loss);
    out->owned().at(0)->value.copy_(feedback.t());
    return out;
  }
  NamedGradients own(const OptionValues& values) { return gradients_of_all(*rule(values), *this); }
  NamedGradients exact() { return gradients_of_all(*rule({}), *this, true); }
};

inline void expect_numbers(const Tensor& found, const std::vector<double>& expected,
                           double tolerance) {
  const Tensor flat = found.flatten();
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(flat[static_cast<int64_t>(i)].item<double>(), expected[i], tolerance) << i;
}

}  // namespace altprop::testing
