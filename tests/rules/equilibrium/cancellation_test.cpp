// Contrastive rules subtract what two settled states say, and in float32 these agree to five
// digits: a difference of two products would lose what a product of differences keeps. Every rule's
// gradient in float32 is held against the same gradient in float64, from the same weights and data.
#include <cstdio>

#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

struct Contrasting {
  const char* name;
  const char* rule;
  OptionValues options;
  const char* net;
  std::vector<int64_t> shape;
  const char* loss;
  double most;  ///< of the relative error of a parameter's gradient
};

void PrintTo(const Contrasting& c, std::ostream* out) { *out << c.name; }

class Cancellation : public ::testing::TestWithParam<Contrasting> {};

/// Gradients at weights and inputs that float32 holds exactly, computed in `type`.
std::map<std::string, Tensor> gradients_in(const Contrasting& c, at::ScalarType type) {
  EpExample e(c.net, c.shape, 10, c.loss);
  initialise(e.net, Initialiser("xavier"), Stream(3).at("init"));
  for (const ParamPtr& param : e.net.params())
    param->value.copy_(param->value.to(at::kFloat).to(at::kDouble));
  std::vector<int64_t> shape = c.shape;
  shape.insert(shape.begin(), 8);
  e.x = Stream(4).at("x").uniform(shape, at::kFloat).to(type);
  e.y = at::arange(8, at::kLong);
  e.net.to(at::kCPU, type);
  auto out = gradients(*bound(c.rule, c.options, e.net, *e.loss), e.net, *e.loss, e.x, e.y, 0);
  for (auto& [name, gradient] : out) gradient = gradient.to(at::kDouble);
  return out;
}

TEST_P(Cancellation, Float32KeepsTheDigitsOfFloat64) {
  at::NoGradGuard no_grad;
  const auto single = gradients_in(GetParam(), at::kFloat),
             exact = gradients_in(GetParam(), at::kDouble);
  for (const auto& [name, gradient] : exact) {
    const double error = ((single.at(name) - gradient).norm() / gradient.norm()).item<double>();
    EXPECT_LT(error, GetParam().most) << name;
    char figure[16];
    std::snprintf(figure, sizeof figure, "%.1e", error);
    RecordProperty(name, figure);  // shown by --gtest_output=xml
  }
}

const char* const kConvs =
    "chain: conv 32 k=3 p=1, hard-sigmoid, conv 32 k=3 p=1 s=2, hard-sigmoid, conv 32 k=3 p=1, "
    "hard-sigmoid, conv 32 k=3 p=1 s=2, hard-sigmoid, linear 10";
const char* const kPooled =
    "chain: conv 32 k=3 p=1, maxpool 2, hard-sigmoid, conv 32 k=3 p=1, maxpool 2, hard-sigmoid, "
    "conv 32 k=3 p=1, maxpool 2, hard-sigmoid, linear 10";
const OptionValues kTenAndFive = {{"ep.estimator", "symmetric"},
                                  {"ep.beta", "1"},
                                  {"ep.dynamics", "synchronous"},
                                  {"ep.free-steps", "10"},
                                  {"ep.nudged-steps", "5"}};

INSTANTIATE_TEST_SUITE_P(
    Rules, Cancellation,
    ::testing::Values(
        Contrasting{"Convolutions", kEp, kTenAndFive, kConvs, {3, 16, 16}, "cross-entropy", 1e-4},
        Contrasting{"MaxPooled", kEp, kTenAndFive, kPooled, {3, 16, 16}, "cross-entropy", 1e-4},
        Contrasting{"Dense",
                    kEp,
                    {{"ep.estimator", "symmetric"}, {"ep.beta", "0.1"}},
                    "mlp:64-64-10:hard-sigmoid:out=hard-sigmoid",
                    {64},
                    "squared-error",
                    1e-4},
        Contrasting{"OneSided",
                    kEp,
                    {{"ep.estimator", "one-sided"}, {"ep.beta", "0.1"}},
                    "mlp:64-64-10:hard-sigmoid:out=hard-sigmoid",
                    {64},
                    "squared-error",
                    1e-4},
        Contrasting{"TwoPoints",
                    "holomorphic-ep",
                    {{"hep.points", "2"}, {"hep.radius", "0.1"}},
                    "mlp:64-64-10:shifted-sigmoid:out=shifted-sigmoid",
                    {64},
                    "squared-error",
                    1e-4},
        Contrasting{"OnePoint",
                    "holomorphic-ep",
                    {{"hep.points", "1"}, {"hep.radius", "0.1"}},
                    "mlp:64-64-10:shifted-sigmoid:out=shifted-sigmoid",
                    {64},
                    "squared-error",
                    1e-4},
        Contrasting{"Circle",
                    "holomorphic-ep",
                    {{"hep.points", "6"}, {"hep.radius", "0.1"}},
                    "mlp:64-64-10:shifted-sigmoid:out=shifted-sigmoid",
                    {64},
                    "squared-error",
                    1e-4},
        Contrasting{"CorInfoMax",
                    "corinfomax",
                    {},
                    "mlp:64-64-10:hard-sigmoid:bias=false,out=hard-sigmoid",
                    {64},
                    "squared-error",
                    1e-4}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace altprop::testing
