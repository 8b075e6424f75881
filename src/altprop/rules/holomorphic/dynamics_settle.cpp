// A phase of states under complex nudges: by rows of the batch on the threads of a CPU, recorded
// and repeated on devices that can.
#include <algorithm>

#include "altprop/rules/holomorphic/dynamics.h"

#include "altprop/base/larger.h"

namespace altprop {

namespace {

/// Rows of a block's samples, at every point: [points * batch, ...] -> [points * count, ...].
Tensor samples_of(const Tensor& t, int64_t batch, const RowBlock& block) {
  return t.defined() ? block.of_samples(t, batch).flatten(0, 1) : t;
}

}  // namespace

std::vector<Tensor*> HolomorphicDynamics::moving() {
  std::vector<Tensor*> out;
  for (Field* field : {&r_, &u_})
    for (size_t s = 0; s < field->size(); ++s)
      if (field_.moves(static_cast<int>(s)) && (*field)[s].defined()) out.push_back(&(*field)[s]);
  return out;
}

void HolomorphicDynamics::forget() {
  for (PlanarMap::Passed& p : passed_) p.rows = {};
}

void HolomorphicDynamics::prepare_for_many_steps() {
  if (!panels_.empty() || !PackedMatrix::has_panels(inputs_.options())) return;
  for (const Coupling& c : field_.couplings()) {
    Panels& panels = panels_.emplace_back();
    if (!c.dense() ||
        std::min(c.weight->value.size(0), c.weight->value.size(1)) < kLeastUnitsOfPanels)
      continue;
    panels.up = PackedMatrix(c.weight->value.t());
    if (c.back) panels.down = PackedMatrix(c.weight->value);
  }
}

HolomorphicDynamics HolomorphicDynamics::of(const RowBlock& block) const {
  HolomorphicDynamics out = *this;
  out.batch_ = block.count;
  out.rows_ = {rows_.real / batch_ * block.count, rows_.complex / batch_ * block.count};
  for (Field* field : {&out.r_, &out.u_, &out.base_, &out.base_once_})
    for (Tensor& t : *field) t = samples_of(t, batch_, block);
  out.inputs_ = samples_of(inputs_, batch_, block);
  for (PlanarMap::Passed& p : out.passed_) p = {};
  out.scratch_ = {};
  return out;
}

Settled HolomorphicDynamics::settle_by_rows(const StopWhen& stop, const ComplexNudge* nudge,
                                            int64_t blocks) {
  std::vector<Settled> parts(static_cast<size_t>(blocks));
  std::vector<std::vector<double>> moved(parts.size());
  const std::vector<Tensor*> here = moving();
  std::vector<Tensor> settled;
  for (const Tensor* t : here) settled.push_back(at::empty_like(*t));
  for_row_blocks(batch_, blocks, [&](const RowBlock& block) {
    HolomorphicDynamics rows = of(block);
    const auto index = static_cast<size_t>(block.index);
    if (nudge) {
      const ComplexNudge own{nudge->loss, samples_of(nudge->targets, batch_, block),
                             samples_of(nudge->beta_re, batch_, block),
                             samples_of(nudge->beta_im, batch_, block)};
      parts[index] = rows.settle_whole(stop, &own, {});
    } else {
      parts[index] = rows.settle_whole(stop, nullptr, {});
    }
    moved[index] = rows.residuals_;
    const std::vector<Tensor*> there = rows.moving();
    for (size_t i = 0; i < there.size(); ++i)
      block.of_samples(settled[i], batch_)
          .copy_(there[i]->unflatten(0, {there[i]->size(0) / block.count, block.count}));
  });
  for (size_t i = 0; i < here.size(); ++i) *here[i] = settled[i];
  residuals_ = moved[0];
  for (size_t k = 1; k < parts.size(); ++k) {
    parts[0].residual = larger(parts[0].residual, parts[k].residual);
    for (size_t p = 0; p < residuals_.size(); ++p)
      residuals_[p] = larger(residuals_[p], moved[k][p]);
  }
  forget();
  return parts[0];
}

Settled HolomorphicDynamics::settle(const StopWhen& stop, const ComplexNudge* nudge,
                                    const std::function<void(int64_t)>& after_step) {
  if (stop.steps >= kManySteps) prepare_for_many_steps();
  // What looks at all samples at once, or depends on their number.
  const bool whole = stop.tolerance > 0 || stop.turn || after_step || options_.noise > 0 ||
                     correction_ || field_.weights() > kMostWeightsByRows;
  const int64_t blocks = whole || stop.steps < 1 ? 1 : number_of_row_blocks(inputs_);
  return blocks == 1 ? settle_whole(stop, nudge, after_step) : settle_by_rows(stop, nudge, blocks);
}

Settled HolomorphicDynamics::settle_whole(const StopWhen& stop, const ComplexNudge* nudge,
                                          const std::function<void(int64_t)>& after_step) {
  int64_t taken = 0;
  const auto take = [&](bool measure) {
    const double moved = step(nudge, measure || after_step);
    if (after_step) after_step(++taken);
    return moved;
  };
  return settle_loop(
      stop,
      [&](int64_t steps) {
        if (after_step || options_.noise > 0) {  // a look, or another draw, at every step
          for (int64_t t = 1; t < steps; ++t) take(false);
        } else {
          recorded_.run(steps - 1, {.step = [&] { step(nudge, false); },
                                    .carried = [&] { return moving(); },
                                    .forget = [&] { forget(); }});
        }
        return take(true);
      },
      [&] { return copy(); });
}

}  // namespace altprop
