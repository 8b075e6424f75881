#include "altprop/rules/holomorphic/linearised.h"

#include <algorithm>

#include "altprop/base/index.h"
#include "altprop/base/larger.h"
#include "altprop/rules/equilibrium/contrast.h"
#include "altprop/rules/equilibrium/fields.h"

namespace altprop {

double imaginary_step(at::ScalarType dtype) { return dtype == at::kDouble ? 1e-20 : 1e-10; }

std::vector<Tensor> Linearised::parents(const Field& field, const Coupling& c) const {
  std::vector<Tensor> out;
  for (int p : c.from) out.push_back(field[at(p)]);
  return out;
}

void Linearised::begin(const Field& states, const Field& drive) {
  states_ = states;
  slope_.assign(states.size(), Tensor());
  const auto& sigma = field_.net().sigma;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field_.moves(static_cast<int>(s)) || !sigma[s]) continue;
    Saved saved;
    sigma[s]->forward(std::span(&drive[s], 1), saved, {});
    slope_[s] = sigma[s]->vjp(saved, at::ones_like(drive[s]), 0, nullptr);
  }
  at_rest_.resize(field_.couplings().size());
  for (size_t i = 0; i < at_rest_.size(); ++i) {
    const Coupling& c = field_.couplings()[i];
    c.map.graph().run(parents(states_, c), at_rest_[i], {Mode::Eval});
  }
}

/// The part of J from < r_to, second derivative of map(r_from) >, which is symmetric: the
/// derivative of the pulled-back r_to along v, by complex differentiation.
void Linearised::add_curvature(const Coupling& c, const Field& v, Field& out) {
  std::vector<Tensor> inputs;
  bool any = false;
  int64_t rows = 0;
  const double h = imaginary_step(states_[at(c.to)].scalar_type());
  for (int p : c.from)
    if (field_.moves(p) && v[at(p)].defined()) rows = v[at(p)].size(0), any = true;
  if (!any) return;
  for (int p : c.from) {
    const Tensor& along = v[at(p)];
    const Tensor here = match_rows(states_[at(p)], at::empty({rows}));
    inputs.push_back(
        at::cat({here, field_.moves(p) && along.defined() ? along * h : at::zeros_like(here)}));
  }
  const PlanarRows planar{0, rows};
  c.map.run(inputs, planar, scratch_);
  const Tensor r = match_rows(states_[at(c.to)], at::empty({rows}));
  std::vector<Tensor> pulled;
  c.map.sweep(scratch_, at::cat({r, at::zeros_like(r)}), &pulled, nullptr);
  for (size_t i = 0; i < pulled.size(); ++i)
    if (field_.moves(c.from[i])) add_to(out[at(c.from[i])], imaginary_parts(pulled[i], planar) / h);
}

Field Linearised::product(const Field& v, bool transposed, bool with_curvature) {
  Field out(v.size());
  Feedback exact;
  for (size_t i = 0; i < at_rest_.size(); ++i) {
    const Coupling& c = field_.couplings()[i];
    const bool up = transposed ? c.back : c.forth, down = transposed ? c.forth : c.back;
    if (up) {
      std::vector<Tensor> tangents;
      bool any = false;
      for (int p : c.from) {
        tangents.push_back(field_.moves(p) ? v[at(p)] : Tensor());
        any |= tangents.back().defined();
      }
      if (any) add_to(out[at(c.to)], c.map.graph().push(at_rest_[i], tangents));
    }
    if (down && v[at(c.to)].defined()) {
      std::vector<Tensor> pulled;
      const Graph& map = c.map.graph();
      map.sweep(at_rest_[i], {{map.output_node(), v[at(c.to)]}}, exact, nullptr,
                {.input_credits = &pulled});
      for (size_t k = 0; k < c.from.size(); ++k)
        if (field_.moves(c.from[k])) add_to(out[at(c.from[k])], pulled[k]);
    }
    if (with_curvature && c.back && c.map.curved()) add_curvature(c, v, out);
  }
  return out;
}

Field Linearised::times(const Field& v, bool with_curvature) {
  return product(v, false, with_curvature);
}
Field Linearised::transposed_times(const Field& v, bool with_curvature) {
  return product(v, true, with_curvature);
}

void Linearised::add_antisymmetric(const Field& r, const PlanarRows& rows, Field& a) {
  if (!field_.directed()) return;
  Field d(r.size());
  for (size_t s = 0; s < r.size(); ++s) {
    if (!field_.moves(static_cast<int>(s))) continue;
    d[s] = r[s].clone();
    const Tensor& rest = states_[s];
    for (int64_t from = 0; from < rows.points(); from += rest.size(0))
      d[s].narrow(0, from, rest.size(0)).sub_(rest);
  }
  const Field minus = times(d, false), plus = transposed_times(d, false);
  for (size_t s = 0; s < a.size(); ++s) {
    if (!a[s].defined()) continue;
    if (plus[s].defined()) a[s].add_(plus[s]);
    if (minus[s].defined()) a[s].sub_(minus[s]);
  }
}

Tensor Linearised::matrix(int64_t sample) {
  Linearised one(field_);
  Field states = states_, unit(states_.size());
  for (Tensor& t : states)
    if (t.defined()) t = t.narrow(0, sample, 1);
  one.states_ = states;
  one.at_rest_.resize(at_rest_.size());
  for (size_t i = 0; i < at_rest_.size(); ++i)
    field_.couplings()[i].map.graph().run(one.parents(states, field_.couplings()[i]),
                                          one.at_rest_[i], {Mode::Eval});
  const int64_t n = field_.units();
  const Tensor eye = at::eye(n, states[0].options());
  int64_t from = 0;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field_.moves(static_cast<int>(s))) continue;
    std::vector<int64_t> shape = states[s].sizes().vec();
    shape[0] = n;
    unit[s] = eye.narrow(1, from, states[s].numel()).reshape(shape);
    from += states[s].numel();
  }
  const Field columns = one.times(unit);
  Tensor out = at::zeros({n, n}, eye.options());
  from = 0;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field_.moves(static_cast<int>(s))) continue;
    if (columns[s].defined())
      out.narrow(0, from, states[s].numel()).copy_(columns[s].reshape({n, -1}).t());
    from += states[s].numel();
  }
  return out;
}

Field Linearised::pushed(const Loss& loss, const Tensor& targets) {
  Field g(states_.size());
  const Coupling* readout = field_.readout();
  if (!readout) {
    const size_t out = at(field_.net().output);
    g[out] = loss.gradient(states_[out], targets);
    return g;
  }
  const Graph& map = readout->map.graph();
  const Tensor output = map.run(parents(states_, *readout), readout_, {Mode::Eval});
  readout_credit_ = loss.gradient(output, targets);
  Feedback exact;
  std::vector<Tensor> pulled;
  map.sweep(readout_, {{map.output_node(), readout_credit_}}, exact, nullptr,
            {.input_credits = &pulled});
  for (size_t i = 0; i < pulled.size(); ++i)
    if (field_.moves(readout->from[i])) add_to(g[at(readout->from[i])], pulled[i]);
  return g;
}

// Damped, it converges wherever the real parts of the eigenvalues of D J^T are below 1 and their
// size below about 3.
Linearised::Solved Linearised::solve(const Field& g, double tolerance, int64_t most) {
  constexpr double kPart = 0.5;
  const auto sloped = [&](Field field) {
    for (size_t s = 0; s < field.size(); ++s)
      if (field[s].defined() && slope_[s].defined()) field[s] = field[s] * slope_[s];
    return field;
  };
  const Field first = sloped(g);
  const double size = std::max(largest(first), 1e-300);
  Solved out{first, 0, 0};
  Field& lambda = out.lambda;
  while (out.steps < most) {
    Field next = sloped(transposed_times(lambda));
    out.residual = 0;
    for (size_t s = 0; s < lambda.size(); ++s) {
      add_to(next[s], first[s]);
      if (!next[s].defined()) continue;
      const Tensor move = lambda[s].defined() ? next[s] - lambda[s] : next[s];
      out.residual = larger(out.residual, move.abs().max().item<double>() / size);
      lambda[s] = lambda[s].defined() ? lambda[s] + move * kPart : move * kPart;
    }
    ++out.steps;
    if (out.residual <= tolerance || !(out.residual < 1e30)) break;
  }
  return out;
}

void Linearised::deliver(const Field& credit, double scale, Sink& sink) {
  Feedback exact;
  for (size_t i = at_rest_.size(); i-- > 0;) {
    const Coupling& c = field_.couplings()[i];
    const Graph& map = c.map.graph();
    if (c.forth && credit[at(c.to)].defined())
      map.sweep(at_rest_[i], {{map.output_node(), credit[at(c.to)]}}, exact, &sink,
                {.scale = scale});
    if (!c.back) continue;
    std::vector<Tensor> tangents, inputs;
    bool any = false;
    for (int p : c.from) {
      tangents.push_back(field_.moves(p) ? credit[at(p)] : Tensor());
      any |= tangents.back().defined();
    }
    if (!any) continue;
    if (!c.map.curved()) {
      deliver_tangents(map, at_rest_[i], tangents, states_[at(c.to)], scale, sink);
      continue;
    }
    // d/dtheta < r_to, J(r_from) credit >, poolings moving with theta: complex differentiation.
    const Tensor& r = states_[at(c.to)];
    const double h = imaginary_step(r.scalar_type());
    for (size_t k = 0; k < c.from.size(); ++k) {
      const Tensor& here = states_[at(c.from[k])];
      inputs.push_back(
          at::cat({here, tangents[k].defined() ? tangents[k] * h : at::zeros_like(here)}));
    }
    c.map.run(inputs, {0, r.size(0)}, scratch_);
    const PlanarMap::Delivery to{sink, scale / h, PlanarMap::Part::Imaginary};
    c.map.sweep(scratch_, at::cat({r, at::zeros_like(r)}), nullptr, &to);
  }
  for (const Coupling& c : field_.drives()) {
    if (!credit[at(c.to)].defined()) continue;
    Activity activity;
    c.map.graph().run(parents(states_, c), activity, {Mode::Eval});
    c.map.graph().sweep(activity, {{c.map.graph().output_node(), credit[at(c.to)]}}, exact, &sink,
                        {.scale = scale});
  }
}

void Linearised::deliver_readout(double scale, Sink& sink, const Tensor& kept) {
  const Coupling* readout = field_.readout();
  if (!readout) return;
  const Graph& map = readout->map.graph();
  Feedback exact;
  Tensor credit = readout_credit_;
  if (kept.defined())
    credit = credit.masked_fill(kept.logical_not().to(credit.device()).unsqueeze(1), 0);
  map.sweep(readout_, {{map.output_node(), credit}}, exact, &sink, {.scale = scale});
}

}  // namespace altprop
