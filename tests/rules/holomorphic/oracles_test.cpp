// Holomorphic equilibrium propagation against exact gradients: orders of the error, conjugate
// symmetry, asymmetric weights and their correction.
#include "rules/holomorphic/fixture.h"

namespace altprop::testing {
namespace {

TEST(HolomorphicOracles, ErrorsOfTheDenseExampleByPointsAndRadius) {
  EpExample e = dense_example();
  const std::vector<int64_t> points = {2, 3, 4, 6, 8};
  const std::vector<std::pair<double, std::vector<double>>> table = {
      {0.2, {1.434e-2, 1.801e-2, 5.526e-3, 6.996e-4, 5.206e-5}},
      {0.1, {4.277e-3, 2.324e-3, 3.427e-4, 1.092e-5, 2.034e-7}},
      {0.05, {1.120e-3, 2.917e-4, 2.141e-5, 1.706e-7, 7.946e-10}},
      {0.01, {4.548e-5, 2.335e-6, 3.425e-8, 1.092e-11}}};
  std::map<std::pair<double, int64_t>, double> found;
  for (const auto& [radius, errors] : table)
    for (size_t i = 0; i < errors.size(); ++i) {
      const double error = found[{radius, points[i]}] = hep_error(e, circle(points[i], radius));
      EXPECT_NEAR(error, errors[i], 2e-3 * errors[i] + 3e-14) << radius << " " << points[i];
    }
  EXPECT_LT(hep_error(e, circle(8, 0.01)), 1e-13);
  for (int64_t n : {2, 3, 4, 6, 8}) {
    const double ratio = found[{0.1, n}] / found[{0.05, n}];
    EXPECT_NEAR(ratio / std::pow(2.0, static_cast<double>(n)), 1, 0.1) << n;
  }
}

TEST(HolomorphicOracles, TheReferenceIsThatOfEquilibriumPropagation) {
  EpExample e = dense_example();
  EXPECT_LT(EpExample::apart(hep(e, {}, true), e.exact()), 1e-12);
  EpExample conv =
      random_example("chain: conv 3 k=3 p=1, avgpool 2, sigmoid, conv 4 k=2, tanh, linear 3",
                     {2, 6, 6}, "cross-entropy", 0.5);
  EXPECT_LT(EpExample::apart(hep(conv, {}, true), conv.exact()), 1e-11);
}

TEST(HolomorphicOracles, TheVectorFieldFormAndTheDerivativeAreExactForTiedWeights) {
  for (const bool dense : {true, false}) {
    EpExample e =
        dense ? dense_example() : random_example("mlp:5-7-6-3:tanh", {5}, "cross-entropy", 0.4);
    EXPECT_LT(hep_error(e, circle(0, 0.1)), 1e-12);
    EXPECT_LT(hep_error(e, circle(0, 0.1, {{"hep.form", "vector-field"}})), 1e-12);
    // The derivative is the limit of small nudges.
    const double far = hep_error(e, circle(4, 0.1, {{"hep.form", "vector-field"}})),
                 near = hep_error(e, circle(4, 0.05, {{"hep.form", "vector-field"}}));
    EXPECT_NEAR(far / near, 16, 2);
  }
}

TEST(HolomorphicOracles, TwoPointsAreSymmetricEquilibriumPropagation) {
  const std::vector<std::string> texts = {
      "mlp:5-7-6-3:hard-sigmoid",
      "chain: conv 3 k=3 p=1, sigmoid, maxpool 2, conv 4 k=2, sigmoid, linear 3"};
  for (const std::string& text : texts) {
    EpExample e = random_example(
        text, text[0] == 'm' ? std::vector<int64_t>{5} : std::vector<int64_t>{2, 6, 6},
        "cross-entropy", 0.5);
    const OptionValues steps = {{"ep.dynamics", "synchronous"},
                                {"ep.free-steps", "30"},
                                {"ep.nudged-steps", "7"},
                                {"ep.beta", "0.3"}};
    const OptionValues same = {{"hep.free-steps", "30"}, {"hep.nudged-steps", "7"}};
    EXPECT_LT(EpExample::apart(hep(e, with(circle(2, 0.3), same)), e.own(steps)), 1e-12) << text;
    EXPECT_LT(EpExample::apart(hep(e, with(circle(1, 0.3), same)),
                               e.own(with(steps, {{"ep.estimator", "one-sided"}}))),
              1e-11)
        << text;
  }
}

/// The nudged states of an example on a contour.
Field settled_on(const VectorField& field, HolomorphicDynamics& dynamics, const Contour& contour,
                 EpExample& e, Field* rest = nullptr) {
  dynamics.begin(e.x);
  dynamics.settle({.steps = 400});
  if (rest) *rest = dynamics.copy();
  const Tensor y = Loss::as_rows(e.y, dynamics.output());
  ComplexNudge nudge{*e.loss, y.repeat({static_cast<int64_t>(contour.points().size()), 1}), {}, {}};
  contour.nudges(e.x.size(0), e.x.options(), nudge.beta_re, nudge.beta_im);
  dynamics.stack(contour.real(), contour.complex());
  dynamics.settle({.steps = 400}, &nudge);
  return dynamics.copy();
}

TEST(HolomorphicOracles, HalfACircleIsTheWholeOne) {
  for (const std::string loss : {"cross-entropy", "squared-error"}) {
    EpExample e = random_example(
        "chain: conv 3 k=3 p=1, softmaxpool 2 temperature=2, dsilu, linear 6, shifted-sigmoid, "
        "linear 3, sigmoid",
        {2, 6, 6}, loss, 0.5);
    const ConvergentNetwork cut = convergent_network(e.net, *e.loss, "auto", Admitted::Analytic);
    const VectorField field(cut, nullptr, {});
    HolomorphicDynamics dynamics(field, {});
    for (const int64_t n : {3, 6}) {
      Field rest;
      const Contour half = Contour::half_circle(n, 0.3, at::kDouble),
                    whole = Contour::full_circle(n, 0.3);
      const Field a = settled_on(field, dynamics, half, e, &rest),
                  b = settled_on(field, dynamics, whole, e);
      const int64_t batch = e.x.size(0);
      const PlanarRows rows = whole.rows(batch);
      const Field from_half = nudge_credit(field, half, a, rest),
                  from_whole = nudge_credit(field, whole, b, rest);
      for (size_t s = 0; s < rest.size(); ++s) {
        if (!field.moves(static_cast<int>(s))) continue;
        const Tensor re = real_parts(b[s], rows).unflatten(0, {n, batch}),
                     im = imaginary_parts(b[s], rows).unflatten(0, {n, batch});
        for (int64_t k = 0; k < n; ++k) {
          const int64_t other = (n - k) % n;
          EXPECT_LT((re[k] - re[other]).abs().max().item<double>(), 1e-12);
          EXPECT_LT((im[k] + im[other]).abs().max().item<double>(), 1e-12);
        }
        EXPECT_GT(im.abs().max().item<double>(), 1e-3);
        EXPECT_LT(distance(from_half[s], from_whole[s]), 1e-12);
        // The imaginary part of the sum over the whole circle.
        Tensor fre, fim;
        whole.factors(batch, b[s].dim(), b[s].options(), fre, fim);
        const Tensor sum = imaginary_parts(planar_scaled(b[s], rows, fre, fim), rows)
                               .unflatten(0, {n, batch})
                               .sum(0);
        EXPECT_LT(sum.norm().item<double>(), 1e-12 * from_whole[s].norm().item<double>() + 1e-14);
      }
    }
  }
}

TEST(HolomorphicOracles, AsymmetricExampleSettlesAndHasItsExactGradient) {
  AsymmetricExample e;
  const auto rule = e.rule(circle(4, 0.1));
  EXPECT_NEAR(e.loss->value(rule->predict({.inputs = e.x}), e.y).item<double>(), 0.6522848151023692,
              1e-13);
  const NamedGradients g = e.exact();
  expect_numbers(
      g.at("fc1.bias"),
      {0.029655724934676497, 0.03540865693200725, -0.0419495622153668, -0.07771158164004706},
      1e-12);
  expect_numbers(g.at("fc2.bias"),
                 {0.0038235615561706153, -0.11645720085253732, -0.10092946692374569}, 1e-12);
  expect_numbers(g.at("fc3.weight"),
                 {-0.07467431465373824, -0.047747496023580666, -0.08030047682417568}, 1e-12);
}

/// Relative error and cosine over all parameters but the readout's.
std::pair<double, double> without_readout(const NamedGradients& found,
                                          const NamedGradients& exact) {
  double dot = 0, a = 0, b = 0, apart = 0;
  for (const auto& [name, g] : exact) {
    if (name.rfind("fc3", 0) == 0) continue;
    dot += (found.at(name) * g).sum().item<double>();
    a += found.at(name).square().sum().item<double>();
    b += g.square().sum().item<double>();
    apart += (found.at(name) - g).square().sum().item<double>();
  }
  return {std::sqrt(apart / b), dot / std::sqrt(a * b)};
}

TEST(HolomorphicOracles, AsymmetryIsAnErrorThatNoCircleRemoves) {
  AsymmetricExample e;
  const NamedGradients exact = e.exact();
  for (const int64_t n : {4, 8})
    for (const double radius : {0.1, 0.02}) {
      const auto [error, cosine] = without_readout(e.own(circle(n, radius)), exact);
      EXPECT_NEAR(error, 0.6885, 1e-4);
      EXPECT_NEAR(cosine, 0.758387, 2e-6);
    }
  const auto [error, cosine] = without_readout(e.own(circle(2, 0.1)), exact);
  EXPECT_NEAR(error, 0.6883, 1e-4);
  EXPECT_NEAR(cosine, 0.758495, 1e-6);
}

TEST(HolomorphicOracles, SymmetricFeedbackOfItsOwnIsExactToTheOrderOfTheCircle) {
  AsymmetricExample e;
  e.feedback = e.value(2).t().clone();
  const NamedGradients exact = e.exact();
  const std::vector<int64_t> points = {2, 4, 6, 8};
  const std::vector<std::pair<double, std::vector<double>>> table = {
      {0.1, {3.116e-2, 1.888e-3, 1.589e-4, 1.535e-5}},
      {0.2, {1.634e-1, 3.482e-2, 1.096e-2, 4.094e-3}}};
  for (const auto& [radius, errors] : table)
    for (size_t i = 0; i < errors.size(); ++i) {
      const double error = without_readout(e.own(circle(points[i], radius)), exact).first;
      EXPECT_NEAR(error, errors[i], 2e-3 * errors[i]) << radius << " " << points[i];
    }
}

TEST(HolomorphicOracles, TheCorrectionIsExactWithoutSymmetry) {
  AsymmetricExample e;
  const NamedGradients exact = e.exact();
  const auto error = [&](int64_t n, double radius) {
    return without_readout(e.own(circle(n, radius, {{"hep.correction", "true"}})), exact).first;
  };
  EXPECT_NEAR(error(2, 0.1), 8.637e-4, 2e-6);
  EXPECT_NEAR(error(4, 0.1), 2.079e-6, 4e-9);
  EXPECT_NEAR(error(8, 0.1), 4.308e-12, 1e-13);
  EXPECT_NEAR(error(2, 0.02), 3.462e-5, 7e-8);
  EXPECT_LT(error(0, 0.1), 1e-13);
}

TEST(HolomorphicOracles, ConvolutionsWithSoftmaxPoolingAreExactInEveryForm) {
  EpExample e = random_example(
      "chain: conv 3 k=3 p=1, softmaxpool 2, dsilu, conv 4 k=3 p=1, softmaxpool 2 temperature=2, "
      "dsilu, linear 3",
      {2, 8, 8}, "cross-entropy", 0.6);
  const double four = hep_error(e, circle(4, 0.2)), two = hep_error(e, circle(4, 0.1));
  EXPECT_NEAR(four / two, 16, 3);
  EXPECT_LT(two, 1e-3);
  EXPECT_LT(hep_error(e, circle(0, 0.1)), 1e-11);
  // With weights of their own on the way back: exact with the correction only.
  const OptionValues separate = {{"hep.weights", "separate"}};
  EXPECT_GT(hep_error(e, circle(0, 0.1, separate)), 0.02);
  EXPECT_LT(hep_error(e, circle(0, 0.1, with(separate, {{"hep.correction", "true"}}))), 1e-11);
}

TEST(HolomorphicOracles, TheReferenceIsTheGradientOfTheLossAtRest) {
  EpExample e = random_example(
      "chain: conv 3 k=3 p=1, softmaxpool 2, dsilu, conv 4 k=3 p=1, softmaxpool 2, dsilu, linear 3",
      {2, 8, 8}, "cross-entropy", 0.6);
  for (const std::string weights : {"tied", "separate"}) {
    const auto rule = bound(kHep, circle(4, 0.1, {{"hep.weights", weights}}), e.net, *e.loss);
    const NamedGradients exact = gradients_of_all(*rule, e, true);
    std::vector<ParamPtr> params = e.net.params();
    for (const ParamPtr& p : rule->owned()) params.push_back(p);
    for (const ParamPtr& p : params)
      for (int64_t i : {int64_t{0}, p->value.numel() - 1}) {
        double* entry = p->value.mutable_data_ptr<double>() + i;
        const auto loss = [&](double value) {
          *entry = value;
          return e.loss->value(rule->predict({.inputs = e.x}), e.y).mean().item<double>();
        };
        const double kept = *entry, h = 1e-5, up = loss(kept + h), down = loss(kept - h);
        *entry = kept;
        EXPECT_NEAR(exact.at(p->name).flatten()[i].item<double>(), (up - down) / (2 * h), 2e-8)
            << weights << " " << p->name;
      }
  }
}

}  // namespace
}  // namespace altprop::testing
