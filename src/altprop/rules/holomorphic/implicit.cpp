#include "altprop/rules/holomorphic/implicit.h"

#include <algorithm>

namespace altprop {

namespace {

constexpr int64_t kMostSamples = 32;

double finest(const Tensor& like) { return like.scalar_type() == at::kDouble ? 1e-14 : 1e-6; }

Field first_rows(Field field, int64_t count) {
  for (Tensor& t : field)
    if (t.defined()) t = t.narrow(0, 0, count);
  return field;
}

}  // namespace

HolomorphicDynamics settled_for_good(const VectorField& field, const Tensor& inputs) {
  HolomorphicDynamics dynamics(field, {.damping = 0.5});
  dynamics.begin(inputs);
  dynamics.settle({.steps = 4000, .tolerance = finest(inputs)});
  return dynamics;
}

void deliver_implicit(const VectorField& field, HolomorphicDynamics& at_rest,
                      const Objective& objective, Sink& sink) {
  Linearised here(field);
  here.begin(at_rest.states(), at_rest.drive());
  const Field g = here.pushed(objective.loss(), objective.targets());
  const Linearised::Solved solved = here.solve(g, finest(at_rest.output()), 4000);
  here.deliver_readout(objective.scale(), sink);
  here.deliver(solved.lambda, objective.scale(), sink);
}

SomeSamples::SomeSamples(const Look& whole, const Objective& objective, const Field& rest,
                         const Field& credits)
    : look(whole.part(0, std::min(whole.rows(), kMostSamples))),
      objective(objective.rows(0, look.rows())),
      rest(first_rows(rest, look.rows())),
      credits(first_rows(credits, look.rows())) {}

Linearised::Solved SomeSamples::exact(const VectorField& field) const {
  HolomorphicDynamics dynamics(field, {});
  dynamics.begin(look.inputs);
  dynamics.take(rest);
  Linearised here(field);
  here.begin(rest, dynamics.drive());
  return here.solve(here.pushed(objective.loss(), objective.targets()), 1e-4, 400);
}

}  // namespace altprop
