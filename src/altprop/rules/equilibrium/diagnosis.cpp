#include "altprop/rules/equilibrium/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/larger.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

std::string percent(double part) { return figure(100 * part) + " %"; }

double size_of(const Tensor& t) { return t.norm().item<double>(); }

/// Part of the units whose activation has more than a hundredth of its steepest slope.
double interior(const Activation& sigma, const Tensor& states) {
  const Tensor slope = sigma.slope_at(states);
  const double steepest = sigma.bounded() ? sigma.bounded()->steepest : 1;
  return slope.gt(0.01 * steepest).to(at::kDouble).mean().item<double>();
}

}  // namespace

void Diagnosis::look_at_free(const Settled& settled, const Field& states, Timing timing) {
  free_ = settled;
  if (settled.turn < -0.5 && settled.residual > 1e-3)
    notices_.say(
        "turn", text::cat("the free phase swings with a period of two steps: after ", settled.steps,
                          " steps units still move by ", figure(settled.residual),
                          timing == Timing::Alternating ? " a step; use smaller weights"
                                                        : " a step; use ep.dynamics=alternating"));
  least_interior_ = 1;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!net_.moves(static_cast<int>(s)) || !net_.sigma[s]) continue;
    const double part = interior(*net_.sigma[s], states[s]);
    least_interior_ = std::min(least_interior_, part);
    if (part < 0.01)
      notices_.say(
          "dead " + net_.name(static_cast<int>(s)),
          text::cat("only ", percent(part), " of the units of '", net_.name(static_cast<int>(s)),
                    "' are between the ends of their range, so nearly no gradient passes; use "
                    "smaller weights or a bias towards the middle (mean value now ",
                    figure(states[s].mean().item<double>()), ")"));
  }
}

void Diagnosis::look_at_nudged(const Field& free, const Field& plus, const Field* minus,
                               double beta) {
  double largest = 0, even = 0, odd = 0, least = INFINITY;
  std::string least_name;
  for (size_t s = 0; s < free.size(); ++s) {
    if (!net_.moves(static_cast<int>(s))) continue;
    const Tensor& other = minus ? (*minus)[s] : free[s];
    const Tensor apart = plus[s] - other;
    largest = larger(largest, apart.abs().max().item<double>());
    const double relative = size_of(apart) / std::max(1e-30, size_of(free[s]));
    if (free[s].scalar_type() == at::kFloat && relative > 0 && relative < least) {
      least = relative;
      least_name = net_.name(static_cast<int>(s));
    }
    if (static_cast<int>(s) == net_.output && !net_.readout) look_at_output(apart);
    if (!minus) continue;
    even += (plus[s] + other).sub_(free[s], 2).square_().sum().item<double>();
    odd += apart.square().sum().item<double>();
  }
  // Before the free phase is at rest, what nudging does cannot be told from what it had left to do.
  if (free_.residual > 0.1 * largest && free_.residual > 0)
    return notices_.say("settled", text::cat("the free phase has not settled: after ", free_.steps,
                                             " steps units move by ", figure(free_.residual),
                                             " a step, while nudging moves them by ",
                                             figure(largest), "; raise ep.free-steps"));
  if (least < 1e-5)
    notices_.say("small", text::cat("with ep.beta=", text::from_number(beta), " nudging moves '",
                                    least_name, "' by only ", figure(least),
                                    " of its norm, which is rounding in float32; use a larger "
                                    "ep.beta or --dtype float64"));
  if (minus && even > 0.25 * odd)
    notices_.say("large",
                 text::cat("ep.beta=", text::from_number(beta),
                           " is beyond the linear range: the answers to +beta and -beta differ by ",
                           percent(std::sqrt(even / std::max(odd, 1e-300))),
                           " of their distance; use a smaller ep.beta"));
}

void Diagnosis::look_at_output(const Tensor& moved) {
  const Tensor still = moved.flatten(1).eq(0).all(0);
  const int64_t dead = still.sum().item<int64_t>();
  if (dead == 0) return;
  notices_.say("still", text::cat("nudging moves ", dead, " of ", still.size(0),
                                  " output units for no sample, the first is number ",
                                  still.to(at::kByte).argmax().item<int64_t>(),
                                  ", counted from 0: they are at the end of their range and learn "
                                  "nothing; use smaller weights, a bias towards the middle or a "
                                  "larger ep.beta"));
}

}  // namespace altprop
