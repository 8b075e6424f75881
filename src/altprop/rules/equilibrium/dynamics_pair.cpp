// The networks of one hidden layer, whose phases are one call (tensor/settle_pair.h).
#include "altprop/rules/equilibrium/dynamics.h"

#include "altprop/base/index.h"

namespace altprop {

void ConvergentDynamics::find_pair() {
  const int states = static_cast<int>(net_.graph.states.size());
  int moving = 0, hidden = -1;
  for (int s = 0; s < states; ++s) {
    if (!net_.moves(s)) continue;
    ++moving;
    if (s != net_.output) hidden = s;
  }
  if (net_.readout || moving != 2 || hidden < 0) return;
  const int up = edge_to_[at(net_.output)];
  const bool alone = edges_from_[at(hidden)] == std::vector<int>{up} &&
                     edges_from_[at(net_.output)].empty() && work_[at(up)].weight;
  const bool driven = edge_to_[at(hidden)] >= 0 && net_.from_inputs[at(edge_to_[at(hidden)])];
  if (alone && driven && squash_[at(hidden)] && squash_[at(net_.output)]) wide_ = hidden;
}

std::optional<SettlingPair> ConvergentDynamics::as_pair(const Nudge* nudge) const {
  if (wide_ < 0 || (nudge && !nudge->loss.squared())) return std::nullopt;
  if (!is_matrix(at(edge_to_[at(net_.output)]))) return std::nullopt;
  const Work& up = work_[at(edge_to_[at(net_.output)])];
  SettlingPair pair{.wide = s_[at(wide_)],
                    .narrow = s_[at(net_.output)],
                    .drive = base_[at(wide_)],
                    .weight = up.weight->value,
                    .back = up.back_weight->value,
                    .bias = up.bias ? up.bias->value : Tensor(),
                    .wide_sigma = *squash_[at(wide_)],
                    .narrow_sigma = *squash_[at(net_.output)],
                    .at_once = timing_ != Timing::Alternating};
  if (timing_ == Timing::GradientFlow) {
    pair.share = share_of_drive();
    pair.keep_wide = share_of_state(wide_);
    pair.keep_narrow = share_of_state(net_.output);
  }
  if (nudge) {
    pair.target = Loss::as_rows(nudge->targets, pair.narrow);
    pair.push = nudge->beta;
  }
  return settle_pair_fits(pair) ? std::optional(pair) : std::nullopt;
}

Settled ConvergentDynamics::settle_as_pair(const SettlingPair& pair, const StopWhen& stop) {
  const Settled out = settle_loop(
      stop, [&](int64_t steps) { return settle_pair(pair, steps); }, [&] { return copy(); });
  for (Work& w : work_) w.outdate();
  return out;
}

}  // namespace altprop
