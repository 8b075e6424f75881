#include "altprop/rules/holomorphic/estimate.h"

#include "altprop/base/index.h"
#include "altprop/rules/equilibrium/contrast.h"

namespace altprop {

namespace {

/// Planar states less a real one.
Tensor moved_from(const Tensor& states, const Tensor& rest, const PlanarRows& rows) {
  Tensor out = states.clone();
  for (int64_t from = 0; from < rows.points(); from += rest.size(0))
    out.narrow(0, from, rest.size(0)).sub_(rest);
  return out;
}

}  // namespace

Field nudge_credit(const VectorField& field, const Contour& contour, const Field& states,
                   const Field& rest, int64_t of) {
  Field out(states.size());
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    const int64_t batch = rest[s].size(0);
    out[s] =
        contour.derivative(moved_from(states[s], rest[s], contour.rows(batch)), batch, of).neg_();
  }
  return out;
}

void CircleMean::take(const VectorField& field, const HolomorphicDynamics& run, const Contour& at,
                      double weight) {
  membrane.resize(run.states().size());
  credit.resize(run.states().size());
  for (size_t s = 0; s < membrane.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    const Tensor u = real_parts(run.membrane()[s], run.rows()) * weight,
                 d = at.derivative(run.states()[s], run.rows().complex).neg_();
    membrane[s] = membrane[s].defined() ? membrane[s].add_(u) : u;
    credit[s] = credit[s].defined() ? credit[s].add_(d) : d;
  }
}

void EnergyEstimate::deliver(const Contour& contour, const Field& states, const Field* rest,
                             const Tensor& inputs, double scale, Sink& sink) {
  const int64_t batch = inputs.size(0);
  const PlanarRows rows = contour.rows(batch);
  const PlanarMap::Delivery to{sink, -scale};
  const auto over_beta = [&](const Tensor& t) {
    Tensor re, im;
    contour.factors(batch, t.dim(), t.options(), re, im);
    return planar_scaled(t, rows, re, im);
  };
  const auto moved = [&](int s) {
    return rest ? moved_from(states[at(s)], (*rest)[at(s)], rows) : states[at(s)];
  };
  for (size_t i = field_.couplings().size(); i-- > 0;) {
    const Coupling& c = field_.couplings()[i];
    std::vector<Tensor> inputs_here, at_rest, tangents;
    for (int p : c.from) inputs_here.push_back(states[at(p)]);
    const bool differences = rest && !c.map.bends();
    c.map.run(inputs_here, rows, passed_);
    if (differences) {  // before the first signal, which may change the weight
      for (int p : c.from) {
        at_rest.push_back(field_.moves(p) ? (*rest)[at(p)] : inputs);
        tangents.push_back(field_.moves(p) ? contour.derivative(moved(p), batch) : Tensor());
      }
      c.map.graph().run(at_rest, at_rest_, {Mode::Eval});
    }
    c.map.sweep(passed_, over_beta(differences ? moved(c.to) : states[at(c.to)]), nullptr, &to);
    if (differences) {
      deliver_tangents(c.map.graph(), at_rest_, tangents, (*rest)[at(c.to)], -scale, sink);
    } else if (rest && contour.points().size() == 1) {  // one-sided: less the free state's part
      std::vector<Tensor> free;
      for (int p : c.from) free.push_back(field_.moves(p) ? (*rest)[at(p)] : inputs);
      PlanarMap::Passed passed;
      c.map.run(free, {batch, 0}, passed);
      const PlanarMap::Delivery minus{sink, scale};
      c.map.sweep(passed, over_beta((*rest)[at(c.to)]), nullptr, &minus);
    }
  }
  for (const Coupling& c : field_.drives()) {
    const std::vector<Tensor> from(c.from.size(), inputs);
    c.map.run(from, {batch, 0}, passed_);
    c.map.sweep(passed_, contour.derivative(moved(c.to), batch), nullptr, &to);
  }
}

void EnergyEstimate::deliver_readout(const Contour& contour, const Field& states, const Loss& loss,
                                     const Tensor& targets, double scale, Sink& sink) {
  const Coupling* readout = field_.readout();
  if (!readout) return;
  std::vector<Tensor> from;
  for (int p : readout->from) from.push_back(states[at(p)]);
  const int64_t batch = targets.size(0) / static_cast<int64_t>(contour.points().size());
  const PlanarRows rows = contour.rows(batch);
  const Tensor output = readout->map.run(from, rows, passed_);
  Tensor push = HolomorphicDynamics::gradient(loss, output, targets, rows);
  const Tensor weights = contour.weights(batch, push.options());
  push.narrow(0, 0, rows.points()).mul_(weights);
  if (rows.complex) imaginary_parts(push, rows).mul_(weights.narrow(0, rows.real, rows.complex));
  const PlanarMap::Delivery to{sink, scale};
  readout->map.sweep(passed_, push, nullptr, &to);
}

}  // namespace altprop
