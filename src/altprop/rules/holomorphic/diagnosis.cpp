#include "altprop/rules/holomorphic/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/larger.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

double largest(const Tensor& t) { return t.abs().max().item<double>(); }

}  // namespace

void HolomorphicDiagnosis::look_at_free(const Settled& settled, double damping) {
  free_ = settled;
  if (settled.residual < 1e-3) return;
  const std::string moves = text::cat("after ", settled.steps, " steps units still move by ",
                                      figure(settled.residual), " a step");
  if (settled.turn < -0.5) {
    notices_.say("turn",
                 text::cat("the free phase swings with a period of two steps: ", moves, "; use ",
                           damping > 0.6 ? "hep.damping=0.5" : "smaller weights"));
  } else {
    notices_.say("free",
                 text::cat("the free phase has not settled: ", moves,
                           ", so that nudged and free states differ by more than the nudge; raise "
                           "hep.free-steps, or use smaller weights if that changes nothing"));
  }
}

/// The estimate of every second point is there anyway: far from it, the circle is too large. Its
/// error goes with radius^(N/2), and that of all points is about its square.
std::optional<double> HolomorphicDiagnosis::look_at_radius(const Circle& circle, const Field& rest,
                                                           double radius) {
  const Contour& contour = circle.contour;
  const int64_t n = contour.real() + 2 * contour.complex();
  if (contour.real() != 2) return std::nullopt;
  const Field all = nudge_credit(field_, contour, circle.states, rest),
              half = nudge_credit(field_, contour, circle.states, rest, n / 2);
  double apart = 0, size = 0;
  for (size_t s = 0; s < all.size(); ++s) {
    if (!all[s].defined()) continue;
    apart += (all[s] - half[s]).square().sum().item<double>();
    size += all[s].square().sum().item<double>();
  }
  const double part = std::sqrt(apart / std::max(size, 1e-300));
  const std::string now = "hep.radius=" + text::from_number(std::abs(radius));
  const std::string smaller =
      text::cat("use a smaller one, hep.radius=",
                figure(std::abs(radius) * std::pow(0.1 / part, 2 / static_cast<double>(n))),
                " to begin with");
  if (n > 2 && part > 0.3)
    notices_.say("radius", text::cat("the nudge radius ", now, " is too large: the credits of ", n,
                                     " and of ", n / 2, " points differ by ", figure(100 * part),
                                     " %; ", smaller));
  if (n == 2 && part > 0.5)
    notices_.say("radius", text::cat("the nudge radius ", now,
                                     " is beyond the linear range: the answers to opposite nudges "
                                     "differ by ",
                                     figure(100 * part), " % of their mean; ", smaller,
                                     ", or use hep.points=4"));
  return part;
}

std::optional<double> HolomorphicDiagnosis::look_at_nudged(const Circle& circle, const Field& rest,
                                                           const std::vector<double>& residuals,
                                                           double radius) {
  const Contour& contour = circle.contour;
  const Field& states = circle.states;
  double moved = 0;
  const auto& points = contour.points();
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field_.moves(static_cast<int>(s))) continue;
    const int64_t batch = rest[s].size(0);
    const PlanarRows rows = contour.rows(batch);
    Tensor away = states[s].clone();
    for (int64_t from = 0; from < rows.points(); from += batch)
      away.narrow(0, from, batch).sub_(rest[s]);
    const double here = largest(away), size = std::max(largest(rest[s]), 1e-30);
    moved = larger(moved, here);
    const std::string name = field_.layer(static_cast<int>(s));
    if (contour.points()[0].weight != 1 || contour.real())  // not the infinitesimal nudge
      if (states[s].scalar_type() == at::kFloat && here > 0 && here / size < 1e-5)
        notices_.say("small", text::cat("with hep.radius=", text::from_number(std::abs(radius)),
                                        " nudging moves '", name, "' by only ", figure(here / size),
                                        " of its size, which is rounding in float32; use a larger "
                                        "hep.radius with more points, or --dtype float64"));
    const double complex_size =
        rows.complex ? largest(states[s].narrow(0, rows.real, 2 * rows.complex)) : 0;
    if (complex_size > 3 * std::max(1.0, size))
      notices_.say(
          "pole", text::cat("nudged states of '", name, "' reach ", figure(complex_size),
                            " where real ones reach ", figure(size),
                            ": they come near a pole of the activation; use a smaller hep.radius"));
  }
  // Blocks: real points, real parts, imaginary parts.
  const auto complex = static_cast<size_t>(contour.complex());
  for (size_t k = 0; k < points.size(); ++k) {
    double r = residuals[k];
    if (k >= static_cast<size_t>(contour.real())) r = std::max(r, residuals[k + complex]);
    if (r <= 0.1 * moved || !(moved > 0) || moved < 1e-6) continue;
    notices_.say("nudged",
                 text::cat("nudged phases have not settled: at beta = ", figure(points[k].re),
                           points[k].im < 0 ? " - " : " + ", figure(std::abs(points[k].im)),
                           "i units still move by ", figure(r), " a step, of ", figure(moved),
                           " in all; raise hep.nudged-steps"));
  }
  if (moved > 1e-6 && free_.residual > 0.1 * moved)
    notices_.say("rest", text::cat("after ", free_.steps, " free steps units move by ",
                                   figure(free_.residual), " a step, while nudging moves them by ",
                                   figure(moved), "; raise hep.free-steps"));
  return look_at_radius(circle, rest, radius);
}

void HolomorphicDiagnosis::overflowed(int64_t samples, int64_t of) {
  if (samples)
    notices_.say("overflowed",
                 text::cat("the nudged states of ", samples, " of ", of,
                           " samples overflowed near a pole and were left out; use a smaller "
                           "hep.radius (the records count all of them)"));
}

void HolomorphicDiagnosis::guarded(int64_t unsettled, int64_t by_two, int64_t of) {
  if (unsettled)
    notices_.say("unsettled",
                 text::cat("the free states of ", unsettled, " of ", of,
                           " samples had not settled to hep.drop-above and were left out; raise "
                           "hep.free-steps, or use smaller weights (the records count all of "
                           "them)"));
  if (by_two)
    notices_.say("by_two",
                 text::cat(by_two, " of ", of,
                           " samples of a batch used two points, because the others had not "
                           "settled to hep.fallback-above; raise hep.nudged-steps, or use a "
                           "smaller hep.radius (the records count samples and batches)"));
}

void HolomorphicDiagnosis::unsolved(double residual, int64_t steps) {
  notices_.say("unsolved",
               text::cat("the exact credit to compare with has not converged in ", steps,
                         " steps (relative change ", figure(residual),
                         "): the network does not contract, and its cosines mean little; use "
                         "smaller weights"));
}

}  // namespace altprop
