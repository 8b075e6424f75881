#include "altprop/rules/holomorphic/guards.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"

namespace altprop {

namespace {

Tensor both(const Tensor& a, const Tensor& b) { return a.defined() ? a.logical_and(b) : b; }

int64_t count(const Tensor& which) { return which.sum().item<int64_t>(); }

/// Per sample a flag as a factor of blocks of rows.
Tensor as_column(const Tensor& which, int64_t dims) {
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape[0] = which.size(0);
  return which.view(shape);
}

/// States at rest wherever a sample is left out or a number is not finite.
Field cleaned(const VectorField& field, Field states, const Field& rest, const PlanarRows& rows,
              const Tensor& left_out) {
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    const int64_t batch = rest[s].size(0);
    const Tensor out = as_column(left_out, rest[s].dim());
    Tensor clean = states[s].clone();
    for (int64_t from = 0; from < rows.rows(); from += batch) {
      Tensor block = clean.narrow(0, from, batch);
      const Tensor instead = from < rows.points() ? rest[s] : at::zeros_like(rest[s]);
      block.copy_(at::where(block.isfinite().logical_and_(out.logical_not()), block, instead));
    }
    states[s] = clean;
  }
  return states;
}

/// Samples whose complex points have not settled; also where that is not a number.
Tensor restless(const HolomorphicDynamics& run, const Contour& contour, const ComplexNudge& nudge,
                double bound) {
  const Tensor moved =
      run.moved_in_two_steps(&nudge).narrow(0, contour.real(), contour.complex()).log_().mean(0);
  return (moved <= std::log(bound)).logical_not_();
}

/// The blocks of an odd circle with one more behind the first.
Field with_opposite(const VectorField& field, Field states, const Field& opposite) {
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    const int64_t batch = opposite[s].size(0), rows = states[s].size(0);
    states[s] = at::cat(
        {states[s].narrow(0, 0, batch), opposite[s], states[s].narrow(0, batch, rows - batch)});
  }
  return states;
}

}  // namespace

FreeStates judge_free(const VectorField& field, const HolomorphicDynamics& run, double drop_above) {
  FreeStates out{run.copy(), {}, 0};
  if (drop_above <= 0) return out;
  const Tensor kept = run.moved_in_two_steps(nullptr)[0] <= drop_above;  // false where not a number
  out.unsettled = run.batch() - count(kept);
  if (out.unsettled == 0) return out;
  out.kept = kept;
  for (size_t s = 0; s < out.states.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    Tensor& r = out.states[s];
    const Tensor keep = as_column(kept.to(r.device()), r.dim());
    r.masked_fill_(r.isfinite().logical_or_(keep).logical_not_(), 0);
  }
  return out;
}

Answers judge_nudged(const VectorField& field, const HolomorphicDynamics& run,
                     const Contour& contour, const ComplexNudge& nudge, const FreeStates& rest,
                     double fallback_above, const std::function<Field()>& opposite) {
  Answers out{{contour, run.states()}, {}, rest.kept, 0, 0};
  const auto& residuals = run.residuals();
  const bool finite =
      std::all_of(residuals.begin(), residuals.end(), [](double r) { return std::isfinite(r); });
  Tensor by_two;
  if (fallback_above > 0) {
    by_two = both(rest.kept, restless(run, contour, nudge, fallback_above));
    out.by_two = count(by_two);
    if (out.by_two == 0) by_two = Tensor();
  }
  if (finite && !by_two.defined() && !rest.kept.defined()) {
    out.whole = out.used;
    return out;
  }
  const int64_t batch = run.batch();
  const PlanarRows rows = contour.rows(batch);
  Field other;
  if (by_two.defined() && contour.real() == 1) other = opposite();
  if (!finite || !other.empty()) {
    Tensor good = finite_samples(field, run.states(), batch).to(at::kCPU);
    if (by_two.defined()) {  // what its complex points do does not matter to such a sample
      Field real = run.states();
      for (size_t s = 0; s < real.size(); ++s)
        if (field.moves(static_cast<int>(s))) real[s] = real[s].narrow(0, 0, rows.real);
      Tensor usable = finite_samples(field, real, batch).to(at::kCPU);
      if (!other.empty()) usable.logical_and_(finite_samples(field, other, batch).to(at::kCPU));
      good = at::where(by_two, usable, good);
      by_two = by_two.logical_and(usable);
      out.by_two = count(by_two);
    }
    const Tensor kept = both(rest.kept, good);
    out.overflowed = batch - rest.unsettled - count(kept);
    if (out.overflowed || rest.unsettled) out.kept = kept;
  }
  const Tensor none = at::zeros({batch}, at::kBool);
  const Tensor left_out =
      (out.kept.defined() ? out.kept.logical_not() : none).to(nudge.targets.device());
  out.used.states = cleaned(field, run.states(), rest.states, rows, left_out);
  Tensor in_full = out.kept;
  if (by_two.defined()) in_full = both(out.kept, by_two.logical_not());
  out.whole = {contour.for_samples(in_full, {}), out.used.states};
  if (!other.empty()) {
    other = cleaned(field, other, rest.states, {batch, 0}, left_out);
    out.used.states = with_opposite(field, out.used.states, other);
  }
  out.used.contour = contour.for_samples(out.kept, by_two);
  return out;
}

void require_enough_steps(const VectorField& field, const HolomorphicSettings& settings) {
  const std::vector<int> after = field.nudged_after();
  const int least = *std::max_element(after.begin(), after.end());
  require_steps(
      least, {{"hep.nudged-steps", settings.nudged_steps}, {"hep.free-steps", settings.free_steps}},
      text::cat("it takes ", least,
                " steps for a nudge to reach every layer, so that some would learn "
                "nothing"));
}

}  // namespace altprop
