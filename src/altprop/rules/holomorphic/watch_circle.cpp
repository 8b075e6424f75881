#include "altprop/rules/holomorphic/watch_circle.h"

#include "altprop/rules/equilibrium/fields.h"

namespace altprop {

CircleWatch::CircleWatch(const VectorField& field, const Tensor& inputs,
                         const Objective& objective, const FreeStates& rest,
                         const HolomorphicDynamics& run, double damping)
    : field_(field),
      rest_(rest.states),
      through_time_(rest.states.size()),
      now_(run.states()),
      rows_(run.rows()),
      damping_(damping),
      at_rest_(field) {
  HolomorphicDynamics free(field, {});
  free.begin(inputs);
  free.take(rest_);
  at_rest_.begin(rest_, free.drive());
  push_ = at_rest_.pushed(objective.loss(), objective.targets());
  if (rest.kept.defined())  // where nothing is at rest there is no exact credit
    for (Tensor& g : push_)
      if (g.defined()) {
        const Tensor out = rest.kept.logical_not().to(g.device());
        g = g.flatten(1).masked_fill(out.unsqueeze(1), 0).view(g.sizes());
      }
  const bool exact = inputs.scalar_type() == at::kDouble;
  const std::vector<int> after = field.nudged_after();
  recorder_.emplace(field.net().graph, std::vector<int64_t>(after.begin(), after.end()),
                    at_rest_.solve(push_, exact ? 1e-13 : 1e-6, 3000).lambda, "implicit gradient");
}

Field CircleWatch::sloped(Field field) const {
  const Field slopes = at_rest_.slopes();
  for (size_t s = 0; s < field.size(); ++s)
    if (field[s].defined() && slopes[s].defined()) field[s] = field[s] * slopes[s];
  return field;
}

void CircleWatch::stepped(const HolomorphicDynamics& run) {
  before_ = std::move(now_);
  now_ = run.states();
  Field next = at_rest_.transposed_times(through_time_);
  for (size_t s = 0; s < next.size(); ++s)
    if (push_[s].defined()) add_to(next[s], push_[s]);
  next = sloped(std::move(next));
  for (size_t s = 0; s < next.size(); ++s) {
    if (next[s].defined()) next[s] = next[s] * damping_;
    if (through_time_[s].defined()) add_to(next[s], through_time_[s] * (1 - damping_));
  }
  through_time_ = std::move(next);
}

void CircleWatch::take(int64_t step, const Circle& circle) {
  // An infinitesimal nudge shows in imaginary parts alone.
  const auto part = [&](const Tensor& t) { return rows_.real ? t : imaginary_parts(t, rows_); };
  Field force(now_.size()), against(now_.size());
  for (size_t s = 0; s < now_.size(); ++s) {
    if (!field_.moves(static_cast<int>(s))) continue;
    force[s] = part(now_[s]) - part(before_[s]);
    against[s] = part(now_[s]);
  }
  recorder_->take(step, nudge_credit(field_, circle.contour, circle.states, rest_), force, against,
                  false, &through_time_);
}

}  // namespace altprop
