// Cells: the stopping rule, the published alignments, divergence.
#include "altprop/theory/cell.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/theory/reduced_form.h"
#include "theory/support.h"

namespace altprop::theory {
namespace {

TEST(TheoryCell, PublishedNumberOfSteps) {
  EXPECT_EQ(StopRule::published(200).steps, 5050);
  EXPECT_EQ(StopRule::published(400).steps, 7142);
  EXPECT_EQ(StopRule::published(3200).steps, 20203);
  EXPECT_EQ(StopRule::published(12800).steps, 40406);
}

CellSettings small_cell() {
  CellSettings s;
  s.size = {8, 20, 100};
  s.repetitions = 6;
  s.eta = 1e-2;
  return s;
}

TEST(TheoryCell, SettledOnceStaysSettledAndOthersEndAfterALook) {
  CellSettings s = small_cell();
  s.lambda = 0.5;
  s.stop = {.steps = 250, .interval = 50, .change = 5e-3};
  const nlohmann::json cell = run_cell(s);
  int at_once = 0, later = 0;
  for (double steps : cell["steps"]["values"]) {
    if (steps == 250) {
      ++at_once;
    } else {
      // A look is before the step numbered 50 k - 1; the step is still made.
      EXPECT_EQ(static_cast<int64_t>(steps) % 50, 0) << steps;
      EXPECT_GT(steps, 250);
      ++later;
    }
  }
  EXPECT_GT(later, 0);
  // The same by hand, repetition by repetition.
  for (int64_t r = 0; r < s.repetitions; ++r) {
    const Draws one = [&](int64_t) {
      return draw(s.psi, s.teacher, s.size,
                  Stream(s.seed).at("two-layer theory").at(s.size.width).at(r), s.dtype);
    };
    HiddenForm network(s.psi, false, 1, one);
    bool settled = false;
    double last = 0;
    int64_t t = 0;
    for (; t < s.stop.steps || !settled; ++t) {
      const double loss = network.error().square().mean().item<double>();
      if (t % 50 == 49) {
        settled = settled || std::abs(loss - last) < s.stop.change;
        last = loss;
      }
      network.step(2 * s.eta / 8, s.lambda * 8 / 2);
    }
    EXPECT_EQ(cell["steps"]["values"][r].get<double>(), static_cast<double>(t)) << r;
    EXPECT_NEAR(cell["alignment"]["values"][r].get<double>(), network.alignment().item<double>(),
                1e-10);
    EXPECT_NEAR(cell["loss"]["values"][r].get<double>(),
                network.error().square().mean().item<double>(), 1e-10);
  }
}

TEST(TheoryCell, RepetitionsAreTheSameInEveryFormAndNumber) {
  CellSettings s = small_cell();
  s.lambda = 0.2;
  s.stop = {.steps = 120, .settle = false};
  const nlohmann::json reduced = run_cell(s);
  for (Form form : {Form::Full, Form::Hidden}) {
    s.form = form;
    s.repetitions = form == Form::Full ? 6 : 3;
    const nlohmann::json other = run_cell(s);
    for (int64_t r = 0; r < s.repetitions; ++r)
      EXPECT_NEAR(other["alignment"]["values"][r].get<double>(),
                  reduced["alignment"]["values"][r].get<double>(), 1e-11);
  }
  EXPECT_EQ(reduced["curve"]["step"].back(), 120);
  EXPECT_NEAR(reduced["curve"]["loss_mean"].back().get<double>(),
              reduced["loss"]["mean"].get<double>(), 1e-12);
  s.seed = 2;
  EXPECT_GT(std::abs(run_cell(s)["alignment"]["values"][0].get<double>() -
                     reduced["alignment"]["values"][0].get<double>()),
            1e-4);
}

void expect_published(const CellSettings& s, double mean) {
  const nlohmann::json cell = run_cell(s);
  EXPECT_EQ(cell["diverged"], 0);
  EXPECT_EQ(cell["unsettled"], 0);
  EXPECT_NEAR(cell["alignment"]["mean"].get<double>(), mean, 0.04) << "lambda " << s.lambda;
}

// Song, Xu, Lafferty 2021, the raw data of their alignment figures: n = 50, d = 150, p = 200.
TEST(TheoryCell, LinearAlignmentIsThePublishedOne) {
  CellSettings s;
  s.repetitions = 20;
  s.stop = StopRule::published(200);
  expect_published(s, 0.206);
  s.lambda = 0.3;
  expect_published(s, 0.867);
}

TEST(TheoryCell, ReluAlignmentIsThePublishedOne) {
  CellSettings s;
  s.psi = Psi::Relu;
  s.teacher = "nn";
  s.form = Form::Hidden;
  s.dtype = at::kFloat;
  s.eta = 1e-2;
  s.repetitions = 20;
  s.stop = StopRule::published(200);
  expect_published(s, 0.220);
  s.lambda = 0.02;
  expect_published(s, 0.401);
}

TEST(TheoryCell, ConstantDecayEndsWhereTheStepIsTooLongForTheCurvature) {
  const Size size{6, 10, 400};
  const double eta = 2 * 0.1 / 6, lambda = 0.3 * 6 / 2;
  ReducedForm network(1, draws_of(Psi::Linear, size, at::kDouble, 3, "lr"));
  const double start = network.error().norm().item<double>();
  int64_t crossed = 0, diverged = 0;
  for (int64_t t = 0; t < 40000 && !diverged; ++t) {
    network.step(eta, lambda);
    if (t % 10) continue;
    const double error = network.error().norm().item<double>();
    if (!(error < 1e3 * start)) diverged = t;
    // Ten steps on, the error may have left the range of numbers: then there is no curvature.
    const auto curvature = spectrum(network.gram()[0]);
    EXPECT_TRUE(curvature || diverged) << t;
    if (!crossed && curvature && eta * curvature->largest > 2) {
      crossed = t;
      EXPECT_LT(error, 0.2 * start) << "the error had become small and diverges all the same";
      EXPECT_GT(network.alignment().item<double>(), 0.8);
    }
  }
  EXPECT_GT(crossed, 100);
  EXPECT_GT(diverged, crossed);
  EXPECT_LT(diverged, 1.5 * static_cast<double>(crossed));
}

TEST(TheoryCell, DivergenceIsReportedAndTheCutoffAvoidsIt) {
  CellSettings s;
  s.size = {6, 10, 400};
  s.repetitions = 4;
  s.eta = 0.1;
  s.lambda = 0.3;
  s.stop = {.steps = 6000, .settle = false};
  const nlohmann::json cell = run_cell(s);
  EXPECT_EQ(cell["diverged"], 4);
  EXPECT_TRUE(cell["alignment"].is_null());
  const std::string message = cell["message"];
  EXPECT_NE(message.find("4 of 4 repetitions diverged"), std::string::npos) << message;
  EXPECT_NE(message.find("lambda-cutoff"), std::string::npos) << message;
  s.lambda_cutoff = 200;
  const nlohmann::json schedule = run_cell(s);
  EXPECT_EQ(schedule["diverged"], 0);
  EXPECT_LT(schedule["loss"]["max"].get<double>(), 1e-15);
}

TEST(TheoryCell, WhatHasDivergedHasNoSpectrumAndNoErrorOfALibrary) {
  const Tensor gram = at::tensor({2.0, 1.0, 1.0, 2.0}, at::kDouble).view({2, 2});
  EXPECT_NEAR(spectrum(gram)->smallest, 1, 1e-14);
  EXPECT_NEAR(spectrum(gram)->largest, 3, 1e-14);
  for (const double wrong : {NAN, INFINITY, -INFINITY}) {
    Tensor diverged = gram.clone();
    diverged[1][0] = wrong;
    EXPECT_FALSE(spectrum(diverged));
    EXPECT_FALSE(spectrum(diverged.to(at::kFloat)));
  }
}

/// Where the error has left the range of numbers between two looks, and where it is at once.
TEST(TheoryCell, ErrorsThatAreNotFiniteAreDivergence) {
  for (const auto& [psi, form] : {std::pair{Psi::Linear, Form::Reduced},
                                  {Psi::Relu, Form::Hidden},
                                  {Psi::Relu, Form::Full}}) {
    CellSettings s = small_cell();
    s.psi = psi;
    s.form = form;
    s.dtype = form == Form::Hidden ? at::kFloat : at::kDouble;
    s.eta = 1e3;
    s.stop = {.steps = 4000, .settle = false};  // looks every 20 steps
    const nlohmann::json cell = run_cell(s);
    EXPECT_EQ(cell["diverged"], s.repetitions);
    EXPECT_TRUE(cell["loss"].is_null());
    EXPECT_TRUE(cell["gamma_start"]["mean"].is_number());
    EXPECT_NE(cell["message"].get<std::string>().find("6 of 6 repetitions diverged, the first by "
                                                      "step 20: the steps were too long"),
              std::string::npos)
        << cell["message"];
  }
}

TEST(TheoryCell, AStopIsObeyed) {
  CellSettings s = small_cell();
  int asked = 0;
  EXPECT_THROW(run_cell(s, {nullptr, [&] { return ++asked > 3; }}), Interrupted);
  EXPECT_EQ(asked, 4);
}

}  // namespace
}  // namespace altprop::theory
