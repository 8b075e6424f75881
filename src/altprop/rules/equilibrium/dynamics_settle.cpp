// A phase of a convergent network: by rows of the batch on the threads of a CPU, recorded and
// repeated on devices that can.
#include <algorithm>

#include "altprop/rules/equilibrium/dynamics.h"

#include "altprop/base/index.h"
#include "altprop/base/larger.h"

namespace altprop {

ConvergentDynamics ConvergentDynamics::of(const RowBlock& block) const {
  ConvergentDynamics out = *this;
  out.rows_ = block.count;
  out.masks_here_ = masks_here_.of(block);
  for (size_t s = 0; s < s_.size(); ++s) {
    if (net_.moves(static_cast<int>(s)) || inputs_mix_) out.s_[s] = block.of(s_[s]);
    out.base_[s] = block.of(base_[s]);
    out.spare_[s] = Tensor();
  }
  for (Work& w : out.work_) {
    w.activity = w.back_activity = {};
    w.outdate();
  }
  return out;
}

std::vector<Tensor*> ConvergentDynamics::moving() {
  std::vector<Tensor*> out;
  for (size_t s = 0; s < s_.size(); ++s)
    if (net_.moves(static_cast<int>(s))) out.push_back(&s_[s]);
  return out;
}

void ConvergentDynamics::forget() {
  spare_.assign(spare_.size(), Tensor());
  for (Work& w : work_) w.outdate();
}

void ConvergentDynamics::prepare_for_many_steps() {
  for (size_t e = 0; e < work_.size(); ++e) {
    Work& w = work_[e];
    if (!is_matrix(e) || w.up.defined()) continue;
    const Tensor &there = w.weight->value, &back = w.back_weight->value;
    if (std::min(there.size(0), there.size(1)) < kLeastUnitsOfPanels ||
        !PackedMatrix::has_panels(there.options()))
      continue;
    w.up = PackedMatrix(there.t());
    w.down = PackedMatrix(back);
  }
}

Settled ConvergentDynamics::settle(const StopWhen& stop, const Nudge* nudge) {
  if (const auto pair = stop.turn || stop.steps < 1 ? std::nullopt : as_pair(nudge))
    return settle_as_pair(*pair, stop);
  if (stop.steps >= kManySteps) prepare_for_many_steps();
  const bool whole =
      stop.tolerance > 0 || stop.turn || !by_rows_;  // what looks at all rows at once
  const int64_t blocks = whole ? 1 : number_of_row_blocks(s_[at(groups_[0][0])]);
  if (blocks == 1) return settle_rows(stop, nudge);
  std::vector<Settled> parts(static_cast<size_t>(blocks));
  Field settled(s_.size());
  for (size_t s = 0; s < s_.size(); ++s)
    if (net_.moves(static_cast<int>(s))) settled[s] = at::empty_like(s_[s]);
  for_row_blocks(rows_, blocks, [&](const RowBlock& block) {
    ConvergentDynamics rows = of(block);
    Settled& part = parts[static_cast<size_t>(block.index)];
    if (nudge) {
      const Nudge own{nudge->loss, block.of(nudge->targets), block.of(nudge->beta)};
      part = rows.settle_rows(stop, &own);
    } else {
      part = rows.settle_rows(stop, nullptr);
    }
    for (size_t s = 0; s < s_.size(); ++s)
      if (settled[s].defined()) block.of(settled[s]).copy_(rows.s_[s]);
  });
  for (size_t s = 0; s < s_.size(); ++s)
    if (settled[s].defined()) commit(s, settled[s]);
  for (const Settled& part : parts) parts[0].residual = larger(parts[0].residual, part.residual);
  return parts[0];
}

Settled ConvergentDynamics::settle_rows(const StopWhen& stop, const Nudge* nudge) {
  return settle_loop(
      stop,
      [&](int64_t steps) {
        recorded_.run(steps - 1, {.step = [&] { step(nudge, false); },
                                  .carried = [&] { return moving(); },
                                  .forget = [&] { forget(); }});
        return step(nudge, true);
      },
      [&] { return copy(); });
}

}  // namespace altprop
