// Every optimizer's steps, number by number: against its formula in plain arithmetic, and against
// what torch.optim gives (torch_optim.py). Both agree on where eps stands: adam and rmsprop add it
// to the root, not under it.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

#include "altprop/optim/own_updater.h"
#include "optim/torch_optim.h"

namespace altprop::optimizer_values {
namespace {

constexpr int kSize = 6, kSteps = 5;
using Numbers = std::array<double, kSize>;

OptimizerSettings settings(const std::string& kind, double decay) {
  return {.kind = kind,
          .lr = 0.05,
          .momentum = 0.8,
          .weight_decay = decay,
          .beta1 = 0.7,
          .beta2 = 0.95,
          .eps = 0.02,
          .rms_decay = 0.6};
}

double start(int k) { return std::cos(0.9 * k); }
double gradient(int t, int k) { return std::sin(0.7 * k + 1.3 * t) / (1 + k); }

/// Six numbers as a matrix and a vector under one updater.
struct SixNumbers {
  ParamPtr matrix = std::make_shared<Param>("fc.weight", at::empty({2, 2}, at::kDouble)),
           vector = std::make_shared<Param>("fc.bias", at::empty({2}, at::kDouble));
  OwnUpdater updater;

  explicit SixNumbers(const OptimizerSettings& s) : updater(s) {
    for (int k = 0; k < kSize; ++k) entry(k).fill_(start(k));
    updater.bind({matrix, vector});
  }
  Tensor entry(int k) { return k < 4 ? matrix->value.view(-1)[k] : vector->value[k - 4]; }
  void step(const Numbers& g) {
    updater.take(
        ParamSignal{matrix.get(), at::tensor({g[0], g[1], g[2], g[3]}, at::kDouble).view({2, 2})});
    updater.take(ParamSignal{vector.get(), at::tensor({g[4], g[5]}, at::kDouble)});
    updater.apply();
  }
  Numbers values() {
    Numbers out{};
    for (int k = 0; k < kSize; ++k) out[static_cast<size_t>(k)] = entry(k).item<double>();
    return out;
  }
};

Numbers gradients(int t) {
  Numbers g{};
  for (int k = 0; k < kSize; ++k) g[static_cast<size_t>(k)] = gradient(t, k);
  return g;
}

/// One number under the formula of its optimizer.
struct ByHand {
  OptimizerSettings s;
  double w, m = 0, v = 0;
  int t = 0;

  void step(double g) {
    ++t;
    const double lr = s.lr;
    if (s.kind == "adamw") {
      w -= lr * s.weight_decay * w;
    } else {
      g += s.weight_decay * w;
    }
    if (s.kind == "sgd") {
      w -= lr * g;
    } else if (s.kind == "momentum") {
      m = s.momentum * m + g;
      w -= lr * m;
    } else if (s.kind == "nesterov") {
      m = s.momentum * m + g;
      w -= lr * (g + s.momentum * m);
    } else if (s.kind == "rmsprop") {
      v = s.rms_decay * v + (1 - s.rms_decay) * g * g;
      w -= lr * g / (std::sqrt(v) + s.eps);
    } else {
      m = s.beta1 * m + (1 - s.beta1) * g;
      v = s.beta2 * v + (1 - s.beta2) * g * g;
      const double mean = m / (1 - std::pow(s.beta1, t)), square = v / (1 - std::pow(s.beta2, t));
      w -= lr * mean / (std::sqrt(square) + s.eps);
    }
  }
};

TEST(OptimizerValues, EveryStepIsItsFormulaInPlainArithmetic) {
  for (const std::string& kind : optimizer_names())
    for (const double decay : {0.0, 0.1}) {
      SCOPED_TRACE(kind + " decay " + std::to_string(decay));
      SixNumbers own(settings(kind, decay));
      std::vector<ByHand> hand;
      for (int k = 0; k < kSize; ++k) hand.push_back({settings(kind, decay), start(k)});
      for (int t = 0; t < kSteps; ++t) {
        own.step(gradients(t));
        for (int k = 0; k < kSize; ++k) {
          hand[static_cast<size_t>(k)].step(gradient(t, k));
          EXPECT_NEAR(own.values()[static_cast<size_t>(k)], hand[static_cast<size_t>(k)].w, 1e-14)
              << "step " << t << " number " << k;
        }
      }
    }
}

TEST(OptimizerValues, EveryStepIsThatOfTorch) {
  std::set<std::string> kinds;
  for (const torch_optim::Case& c : torch_optim::kCases) {
    SCOPED_TRACE(std::string(c.kind) + " decay " + std::to_string(c.decay));
    kinds.insert(c.kind);
    SixNumbers own(settings(c.kind, c.decay));
    for (int t = 0; t < kSteps; ++t) {
      own.step(gradients(t));
      for (int k = 0; k < kSize; ++k)
        EXPECT_NEAR(own.values()[static_cast<size_t>(k)], c.values[t][k], 1e-13)
            << "step " << t << " number " << k;
    }
  }
  const std::vector<std::string> names = optimizer_names();
  EXPECT_EQ(kinds, std::set<std::string>(names.begin(), names.end()));
}

TEST(OptimizerValues, TheRateOfTheScheduleScalesTheStepAndNotTheAverages) {
  for (const std::string& kind : optimizer_names()) {
    SCOPED_TRACE(kind);
    SixNumbers own(settings(kind, 0.1));
    ByHand hand{settings(kind, 0.1), start(1)};
    for (int t = 0; t < kSteps; ++t) {
      own.updater.set_rate_factor(1.0 / (1 + t));
      own.step(gradients(t));
      hand.s.lr = 0.05 / (1 + t);
      hand.step(gradient(t, 1));
      EXPECT_NEAR(own.values()[1], hand.w, 1e-14) << t;
    }
  }
}

/// A flip of the sign ends at 1e-10 of the old sign and nowhere else, and the next step starts
/// there. Steps and weights are powers of two, so that every number but that is exact.
TEST(OptimizerValues, KeptSignsEndAtTheirExactNumber) {
  OptimizerSettings s = settings("sgd", 0);
  s.lr = 0.5;
  s.keep_signs = true;
  SixNumbers own(s);
  const Numbers first = {0.5, 0.25, -0.25, 0, 0.125, -0.5};
  for (int k = 0; k < kSize; ++k) own.entry(k).fill_(first[static_cast<size_t>(k)]);
  // 0.5: stays positive, if below 0.1; 0.25: would flip; -0.25: would flip; 0: has no sign to keep;
  // 0.125: ends at zero, which is no flip; -0.5: moves away.
  own.step({0.875, 1, -1, 1, 0.25, 1});
  EXPECT_EQ(own.values(), (Numbers{0.0625, 1e-10, -1e-10, -0.5, 0, -1}));
  own.step({0, -0.5, -0.5, 0, 0, 0});
  EXPECT_EQ(own.values(), (Numbers{0.0625, 1e-10 + 0.25, -1e-10, -0.5, 0, -1}));
}

}  // namespace
}  // namespace altprop::optimizer_values
