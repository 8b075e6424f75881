// Every form follows the trajectory of the equations as they stand.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/theory/reduced_form.h"
#include "altprop/theory/relu_sweep.h"
#include "theory/support.h"

namespace altprop::theory {
namespace {

TEST(TheoryForms, ReducedRecursionIsTheWholeNetwork) {
  const Draws draws = draws_of(Psi::Linear, {8, 20, 150}, at::kDouble, 3, "lr");
  FullForm full(Psi::Linear, false, 3, draws);
  ReducedForm reduced(3, draws);
  const double start = full.error().abs().max().item<double>();
  double error = 0, alignment = 0, gram = 0;
  for (int step = 0; step < 500; ++step) {
    const double lambda = step < 300 ? 20.0 : 0.0;
    full.step(2e-3, lambda);
    reduced.step(2e-3, lambda);
    error = std::max(error, largest_difference(full.error(), reduced.error()));
    alignment = std::max(alignment, largest_difference(full.alignment(), reduced.alignment()));
    if (step % 100 == 99)
      gram = std::max(gram, largest_difference(full.gram(), reduced.gram()) /
                                full.gram().abs().max().item<double>());
  }
  EXPECT_LT(error, 1e-12 * start);
  EXPECT_LT(alignment, 1e-12);
  EXPECT_LT(gram, 1e-12);
  // The path was one worth following.
  EXPECT_LT(full.error().abs().max().item<double>(), 0.5 * start);
  EXPECT_GT(full.alignment().min().item<double>(), 0.2);
}

TEST(TheoryForms, HiddenFormIsTheWholeNetworkForEveryPsiAndCredit) {
  for (Psi psi : kAll)
    for (bool exact : {false, true}) {
      const Draws draws = draws_of(psi, {6, 15, 40});
      FullForm full(psi, exact, 2, draws);
      HiddenForm hidden(psi, exact, 2, draws);
      for (int step = 0; step < 300; ++step) {
        full.step(2e-3, 0.5);
        hidden.step(2e-3, 0.5);
      }
      const double size = full.error().abs().max().item<double>();
      EXPECT_GT(largest_difference(full.error(), HiddenForm(psi, exact, 2, draws).error()),
                1e-2 * size);
      EXPECT_LT(largest_difference(full.error(), hidden.error()), 1e-12)
          << static_cast<int>(psi) << exact;
      EXPECT_LT(largest_difference(full.alignment(), hidden.alignment()), 1e-12);
      EXPECT_LT(largest_difference(full.gram(), hidden.gram()),
                1e-11 * full.gram().abs().max().item<double>());
    }
}

TEST(TheoryForms, SweepIsTheHiddenFormInFloat32) {
  // Sizes that fill blocks of rows and tiles of columns, and that do not.
  for (const Size size : {Size{10, 30, 64}, Size{7, 11, 45}, Size{3, 5, 1}})
    for (bool exact : {false, true}) {
      const Draws wide = draws_of(Psi::Relu, size), narrow = draws_of(Psi::Relu, size, at::kFloat);
      HiddenForm hidden(Psi::Relu, exact, 3, wide);
      ReluSweep sweep(exact, 3, narrow);
      const double start = hidden.error().abs().max().item<double>();
      for (int step = 0; step < 200; ++step) {
        hidden.step(1e-3, 0.7);
        sweep.step(1e-3, 0.7);
      }
      EXPECT_LT(largest_difference(hidden.error(), sweep.error()), 2e-4 * start)
          << size.width << exact;
      EXPECT_LT(largest_difference(hidden.alignment(), sweep.alignment()), 2e-4);
      EXPECT_LT(largest_difference(hidden.gram(), sweep.gram()),
                2e-4 * hidden.gram().abs().max().item<double>());
    }
}

/// NaN and infinity in the first error or in the first Z of one repetition reach what they reach in
/// the library's calls, and no other repetition.
TEST(TheoryForms, OnePassOverZHidesNoNumberThatIsNotFinite) {
  const Size size{7, 12, 45};
  for (const double planted : {double(NAN), double(INFINITY), -double(INFINITY)})
    for (const bool in_z : {false, true})
      for (const bool exact : {false, true}) {
        SCOPED_TRACE(::testing::Message()
                     << planted << (in_z ? " in Z" : " in the error") << exact);
        const Draws whole = draws_of(Psi::Relu, size, at::kFloat);
        const Draws draws = [&](int64_t r) {
          Draw one = whole(r);
          if (r == 1) (in_z ? one.w[3] : one.y)[2] = planted;
          return one;
        };
        HiddenForm plain(Psi::Relu, exact, 3, draws);
        ReluSweep sweep(exact, 3, draws), unplanted(exact, 3, whole);
        for (int step = 0; step < 3; ++step) {
          EXPECT_TRUE(at::equal(sweep.error().isfinite(), plain.error().isfinite())) << step;
          if (std::isnan(planted)) {
            EXPECT_TRUE(at::equal(sweep.error().isnan(), plain.error().isnan())) << step;
          }
          EXPECT_TRUE(at::equal(sweep.alignment().isfinite(), plain.alignment().isfinite()));
          for (int64_t r : {0, 2})
            EXPECT_TRUE(at::equal(sweep.error()[r], unplanted.error()[r])) << step;
          plain.step(1e-3, 0.7);
          sweep.step(1e-3, 0.7);
          unplanted.step(1e-3, 0.7);
        }
        EXPECT_FALSE(sweep.error()[1].isfinite().any().item<bool>()) << "all samples share Z";
        EXPECT_FALSE(sweep.gram()[1].isfinite().all().item<bool>());
      }
}

TEST(TheoryForms, EachRepetitionGoesItsOwnWay) {
  const Draws draws = draws_of(Psi::Relu, {6, 15, 40}),
              narrow = draws_of(Psi::Relu, {6, 15, 40}, at::kFloat);
  const Draws linear = draws_of(Psi::Linear, {6, 15, 40});
  const auto three = [&](int form) -> std::unique_ptr<Dynamics> {
    if (form == 0) return std::make_unique<FullForm>(Psi::Relu, false, 3, draws);
    if (form == 1) return std::make_unique<HiddenForm>(Psi::Relu, false, 3, draws);
    if (form == 2) return std::make_unique<ReluSweep>(false, 3, narrow);
    return std::make_unique<ReducedForm>(3, linear);
  };
  for (int form = 0; form < 4; ++form) {
    auto all = three(form), some = three(form);
    for (int step = 0; step < 60; ++step) {
      if (step == 20) some->keep(at::tensor({0, 2}, at::kLong));
      all->step(1e-3, 0.1);
      some->step(1e-3, 0.1);
    }
    const Tensor kept = all->error().index_select(0, at::tensor({0, 2}, at::kLong));
    EXPECT_LT(largest_difference(kept, some->error()), form == 2 ? 1e-6 : 1e-12) << form;
    EXPECT_GT(largest_difference(kept, all->error().narrow(0, 0, 2)), 1e-3) << form;
  }
}

TEST(TheoryForms, LinearWeightsMoveInRankOneAndReluWeightsDoNot) {
  for (Psi psi : {Psi::Linear, Psi::Relu}) {
    const Size size{8, 20, 60};
    const Draws draws = draws_of(psi, size);
    FullForm full(psi, false, 1, draws);
    Tensor s = at::zeros({size.samples}, at::kDouble);
    for (int step = 0; step < 200; ++step) {
      s += 1e-3 * full.error()[0];
      full.step(1e-3, 0.4);
    }
    const Draw start = draws(0);
    const Tensor moved = full.weight()[0] - start.w;
    const Tensor singular = at::linalg_svdvals(moved);
    const double ratio = (singular[1] / singular[0]).item<double>();
    const Tensor predicted = -start.x.t().mv(s).outer(start.b) / std::sqrt(60.0);
    const double off = largest_difference(moved, predicted) / moved.abs().max().item<double>();
    if (psi == Psi::Linear) {
      EXPECT_LT(ratio, 1e-13);
      EXPECT_LT(off, 1e-12);
    } else {
      EXPECT_GT(ratio, 1e-2);
      EXPECT_GT(off, 1e-2);
    }
  }
}

/// Gradients of `loss` by autograd.
std::pair<Tensor, Tensor> gradients(
    const Draw& d, const std::function<Tensor(const Tensor&, const Tensor&)>& loss) {
  Tensor w = d.w.clone().requires_grad_(true), beta = d.beta.clone().requires_grad_(true);
  loss(w, beta).backward();
  return {w.grad(), beta.grad().defined() ? beta.grad() : at::zeros_like(beta)};
}

TEST(TheoryForms, OneStepIsTheGradientOfTheLossAndFeedbackReplacesTheOutputWeights) {
  const double eta = 1e-3, lambda = 0.3, root = std::sqrt(25.0);
  for (Psi psi : kAll)
    for (bool exact : {true, false}) {
      const Draws draws = draws_of(psi, {5, 9, 25});
      const Draw d = draws(0);
      FullForm full(psi, exact, 1, draws);
      const Tensor e = full.error()[0].clone();
      full.step(eta, lambda);
      const auto [gw, gb] = gradients(d, [&](const Tensor& w, const Tensor& beta) {
        const Tensor f = value(psi, d.x.mm(w)).mv(beta) / root;
        return (f - d.y).square().sum() / 2 + lambda / 2 * beta.square().sum();
      });
      // Credit by b is the gradient of the same error seen through b.
      const Tensor gw_b = gradients(d, [&](const Tensor& w, const Tensor&) {
                            return (value(psi, d.x.mm(w)).mv(d.b) / root * e).sum();
                          }).first;
      EXPECT_LT(largest_difference((d.beta - full.output()[0]) / eta, gb),
                1e-10 * gb.abs().max().item<double>());
      EXPECT_LT(largest_difference((d.w - full.weight()[0]) / eta, exact ? gw : gw_b),
                1e-10 * gw.abs().max().item<double>());
      EXPECT_GT(largest_difference(gw, gw_b), 1e-2 * gw.abs().max().item<double>());
    }
}

TEST(TheoryForms, TheSweepIsOffByItsSwitch) {
  const Draws draws = draws_of(Psi::Relu, {5, 9, 25}, at::kFloat);
  const auto made = [&] { return make_dynamics(Form::Hidden, Psi::Relu, false, 1, draws); };
  const OwnKernels before = kernels_off();
  set_kernels_off({});
  EXPECT_TRUE(dynamic_cast<ReluSweep*>(made().get()));
  set_kernels_off({OwnKernel::ReluSweep});
  EXPECT_TRUE(dynamic_cast<HiddenForm*>(made().get()));
  set_kernels_off(before);
}

TEST(TheoryForms, WhatHasNoReducedFormIsRefused) {
  const Draws draws = draws_of(Psi::Relu, {5, 9, 25});
  EXPECT_THROW(make_dynamics(Form::Reduced, Psi::Relu, false, 1, draws), Refusal);
  EXPECT_THROW(make_dynamics(Form::Reduced, Psi::Linear, true, 1, draws), Refusal);
}

}  // namespace
}  // namespace altprop::theory
