// What the generated waves and mixtures conserve, and how near they are to the equations.
#include "altprop/data/periodic_pde.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/data/source.h"
#include "network/support.h"

namespace altprop::data {
namespace {

using Kind = PeriodicPde::Kind;

PeriodicPde kdv() { return {}; }
PeriodicPde mixture() { return {.kind = Kind::CahnHilliard, .width = 1, .dt = 1e-4}; }

double most(const Tensor& t) { return t.abs().max().item<double>(); }

TEST(PeriodicPde, WavesKeepMassAndEnergyAndMixturesLoseIt) {
  for (const PeriodicPde& pde : {kdv(), mixture()}) {
    const bool waves = pde.kind == Kind::KortewegDeVries;
    Tensor u = pde.starts(5, Stream(3));
    const Tensor mass = u.sum(1), energy = pde.energy(u);
    for (int i = 0; i < 200; ++i) {
      const Tensor next = pde.step(u);
      EXPECT_LT(most(next.sum(1) - mass), 1e-8);
      if (!waves) {
        EXPECT_LT(most((pde.energy(next) - pde.energy(u)).clamp_min(0)), 1e-12);
      }
      u = next;
    }
    if (waves) {
      EXPECT_LT(most(pde.energy(u) / energy - 1), 1e-9);
    } else {
      EXPECT_LT((pde.energy(u) - energy).max().item<double>(), -1e-6);
    }
  }
}

TEST(PeriodicPde, StepsAreOfSecondOrderInTime) {
  for (PeriodicPde pde : {kdv(), mixture()}) {
    const Tensor start = pde.starts(3, Stream(4));
    const double end = 8 * pde.dt;
    const auto after = [&](int steps) {
      pde.dt = end / steps;
      Tensor u = start;
      for (int i = 0; i < steps; ++i) u = pde.step(u);
      return u;
    };
    const Tensor exact = after(512);
    const double coarse = most(after(8) - exact), fine = most(after(16) - exact);
    EXPECT_GT(coarse, 1e-9);
    EXPECT_NEAR(std::log2(coarse / fine), 2, 0.15);
  }
}

TEST(PeriodicPde, TheRateIsTheStructureTimesTheGradientOfTheEnergy) {
  for (const PeriodicPde& pde : {kdv(), mixture()}) {
    const Tensor u = pde.starts(1, Stream(5)) + 0.3;
    // Central differences of the energy.
    Tensor gradient = at::empty_like(u);
    for (int64_t i = 0; i < pde.points; ++i) {
      Tensor up = u.clone(), down = u.clone();
      up[0][i] += 1e-5;
      down[0][i] -= 1e-5;
      gradient[0][i] = (pde.energy(up) - pde.energy(down))[0] / 2e-5;
    }
    const double dx = pde.dx();
    const Tensor ahead = at::roll(gradient, {-1}, {1}), behind = at::roll(gradient, {1}, {1});
    const Tensor right = pde.kind == Kind::KortewegDeVries
                             ? (ahead - behind) / (2 * dx)
                             : (ahead - 2 * gradient + behind) / (dx * dx);
    EXPECT_LT(most(pde.rate(u) - right), 1e-5 * most(right));
  }
}

TEST(PeriodicPde, ASolitonTravelsWithItsSpeed) {
  // 2 k^2 / cosh^2(k (x + 4 k^2 t)) solves u_t = 6 u u_x + u_xxx: it travels to the left.
  PeriodicPde pde{.points = 400, .width = 20, .dt = 1e-3};
  const Tensor x = at::arange(400, at::kDouble) * pde.dx();
  const auto wave = [&](double t) { return (2 / (x - 10 + 4 * t).cosh().square()).unsqueeze(0); };
  Tensor u = wave(0);
  for (int i = 0; i < 200; ++i) u = pde.step(u);
  EXPECT_LT(most(u - wave(0.2)), 0.02);
  EXPECT_GT(most(u - wave(0)), 0.5);
}

TEST(PeriodicPde, SourcesPairSnapshotsWithTheNext) {
  const OptionValues some = {{"pde.train", "3"}, {"pde.test", "2"}, {"pde.steps", "7"}};
  for (const std::string name : {"kdv", "cahn-hilliard"}) {
    const Splits data = load(name, some);
    EXPECT_EQ(data.train.inputs.sizes(), IntArrayRef({21, 1, 50}));
    EXPECT_EQ(data.test.targets.sizes(), IntArrayRef({14, 50}));
    EXPECT_EQ(data.train.inputs.scalar_type(), at::kDouble);
    for (const int64_t i : {0, 5, 7, 12})  // within a trajectory
      EXPECT_TRUE(at::equal(data.train.targets[i], data.train.inputs[i + 1][0]));
    const PeriodicPde pde = name == "kdv" ? kdv() : mixture();
    EXPECT_LT(most(pde.step(data.train.inputs.squeeze(1)) - data.train.targets), 1e-9);
    EXPECT_TRUE(at::equal(load(name, some).train.inputs, data.train.inputs));
    OptionValues other = some;
    other["pde.seed"] = "1";
    EXPECT_FALSE(at::equal(load(name, other).train.inputs, data.train.inputs));
    EXPECT_FALSE(at::equal(data.test.inputs[0], data.train.inputs[0]));
    OptionValues more = some;
    more["pde.train"] = "4";
    EXPECT_TRUE(at::equal(load(name, more).train.inputs.narrow(0, 0, 21), data.train.inputs));
  }
  EXPECT_EQ(load("kdv", {{"pde.test", "0"}, {"pde.train", "1"}, {"pde.steps", "1"}}).test.size(),
            0);
  EXPECT_TRUE(test::contains(test::message_of([] {
                               load("kdv", {{"pde.dt", "1"}, {"pde.train", "1"}});
                             }),
                             "do not converge at dt=1"));
}

}  // namespace
}  // namespace altprop::data
