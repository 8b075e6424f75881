#include "altprop/rules/equilibrium/unrolled.h"

namespace altprop {

void Unrolled::take_steps(int64_t steps) {
  const size_t turns = dynamics_.turns().size();
  before_.clear();
  for (int64_t t = 0; t < steps; ++t)
    for (size_t turn = 0; turn < turns; ++turn) {
      // Only the states of a turn change in it; the others are shared with the turn after it.
      Field field = before_.empty() ? dynamics_.copy() : before_.back();
      if (!before_.empty())
        for (int s : dynamics_.turns()[(turn + turns - 1) % turns])
          field[static_cast<size_t>(s)] = dynamics_.states()[static_cast<size_t>(s)].clone();
      before_.push_back(std::move(field));
      dynamics_.take_turn(turn, nullptr, false);
    }
}

void Unrolled::deliver(const Loss& loss, const Tensor& targets, double scale, Sink& sink) {
  const size_t turns = dynamics_.turns().size();
  const double share = dynamics_.share_of_drive();
  adjoint_.begin(dynamics_.states(), loss, targets);
  Field mu = adjoint_.push();
  for (size_t t = before_.size(); t-- > 0;) {
    const Field sloped = adjoint_.sloped(mu);  // at the states that this turn led to
    Field v(mu.size());
    for (int state : dynamics_.turns()[t % turns]) {
      const auto s = static_cast<size_t>(state);
      if (!mu[s].defined()) continue;
      v[s] = sloped[s];
      const double kept = dynamics_.share_of_state(state);
      mu[s] = kept == 0 ? Tensor() : v[s] * kept;
    }
    adjoint_.move_to(before_[t]);
    adjoint_.deliver(v, scale * share, sink);
    if (t == 0) break;
    const Field pulled = adjoint_.pull(v);
    for (size_t s = 0; s < mu.size(); ++s) {
      if (!pulled[s].defined() || !net_.moves(static_cast<int>(s))) continue;
      mu[s] = mu[s].defined() ? at::add(mu[s], pulled[s], share) : pulled[s] * share;
    }
  }
  before_.clear();
}

}  // namespace altprop
