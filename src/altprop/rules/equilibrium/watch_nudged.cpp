#include "altprop/rules/equilibrium/watch_nudged.h"

#include "altprop/rules/relaxation/watch.h"

namespace altprop {

namespace {

/// One more step of backpropagation through the dynamics at rest: the terms so far, a step further
/// back, and the loss's own.
void one_step_back(const ConvergentDynamics& dynamics, Adjoint& adjoint, Field& credit) {
  const double share = dynamics.share_of_drive();
  for (const std::vector<int>& turn : dynamics.turns()) {
    Field next = adjoint.pull(credit);
    for (int state : turn) {
      const auto s = static_cast<size_t>(state);
      Tensor sum = adjoint.push()[s];
      if (next[s].defined()) sum = sum.defined() ? sum + next[s] : next[s];
      if (sum.defined() && share != 1) sum = sum * share;
      if (const double kept = dynamics.share_of_state(state); kept != 0 && credit[s].defined())
        sum = sum.defined() ? sum + credit[s] * kept : credit[s] * kept;
      next[s] = sum;
    }
    next = adjoint.sloped(std::move(next));
    for (int state : turn) credit[static_cast<size_t>(state)] = next[static_cast<size_t>(state)];
  }
}

}  // namespace

Settling watch_nudged(const ConvergentNetwork& net, const BackwardWeights* back,
                      ConvergentDynamics& dynamics, const NudgedPhase& phase) {
  Adjoint adjoint(net, back, dynamics.masks());
  adjoint.begin(phase.free, phase.nudge.loss, phase.targets);
  const size_t states = phase.free.size();
  const bool exact = phase.free[0].scalar_type() == at::kDouble;
  SettlingRecorder recorder(net.graph, {net.nudged_after.begin(), net.nudged_after.end()},
                            adjoint.solve(exact ? 1e-13 : 1e-6, 3000), "implicit gradient");
  Field through_time(states), credit(states), force(states);
  const int64_t rows = phase.targets.size(0);
  for (int64_t t = 1; t <= phase.steps; ++t) {
    const Field before = dynamics.copy();
    dynamics.step(&phase.nudge, false);
    one_step_back(dynamics, adjoint, through_time);
    if (!worth_a_look(t, phase.steps)) continue;
    const Field& now = dynamics.states();
    for (size_t s = 0; s < states; ++s) {
      if (!net.moves(static_cast<int>(s))) continue;
      const Tensor minus = phase.phases == 2 ? now[s].narrow(0, rows, rows) : phase.free[s];
      credit[s] = (minus - now[s].narrow(0, 0, rows)).div_(phase.span);
      force[s] = now[s] - before[s];
    }
    recorder.take(t, credit, force, now, false, &through_time);
  }
  return recorder.finish();
}

}  // namespace altprop
