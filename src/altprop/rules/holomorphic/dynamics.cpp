#include "altprop/rules/holomorphic/dynamics.h"

#include <algorithm>

#include "altprop/base/index.h"
#include "altprop/rules/equilibrium/fields.h"
#include "altprop/rules/holomorphic/linearised.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

/// `t` times per real part, then zeros for imaginary parts.
Tensor stacked(const Tensor& t, int64_t points, int64_t complex) {
  Tensor out = repeated(t, points + complex);
  if (complex) out.narrow(0, points * t.size(0), complex * t.size(0)).zero_();
  return points + complex == 1 ? out.clone() : out;
}

/// Adds to a drive that may not exist yet; a tensor that others can see is copied first.
void contribute(Tensor& sum, const Tensor& part) {
  if (sum.defined()) {
    sum.add_(part);
  } else {
    sum = part.storage().use_count() > 1 ? part.clone() : part;
  }
}

}  // namespace

HolomorphicDynamics::HolomorphicDynamics(const VectorField& field,
                                         const HolomorphicOptions& options)
    : field_(field), options_(options), passed_(field.couplings().size()) {
  for (const auto& sigma : field.net().sigma) analytic_.push_back(analytic_of(sigma.get()));
  const auto reads_input = [&](const Coupling& c) {
    return std::any_of(c.from.begin(), c.from.end(),
                       [&](int p) { return field.net().graph.states[at(p)].input; });
  };
  for (const Coupling& c : field.couplings()) inputs_mix_ |= reads_input(c);
  if (field.readout()) inputs_mix_ |= reads_input(*field.readout());
}

void HolomorphicDynamics::begin(const Tensor& inputs) {
  const StateGraph& graph = field_.net().graph;
  inputs_ = inputs;
  batch_ = inputs.size(0);
  rows_ = {batch_, 0};
  drawn_ = 0;
  panels_.clear();
  r_.assign(graph.states.size(), Tensor());
  u_.assign(graph.states.size(), Tensor());
  base_.assign(graph.states.size(), Tensor());
  for (const Coupling& c : field_.drives()) {
    const std::vector<Tensor> from(c.from.size(), inputs);
    base_[at(c.to)] = c.map.run(from, rows_, scratch_);
  }
  base_once_ = base_;
  for (size_t s = 0; s < r_.size(); ++s) {
    if (graph.states[s].input) r_[s] = inputs;
    if (!field_.moves(static_cast<int>(s))) continue;
    std::vector<int64_t> shape = graph.states[s].spec.shape;
    shape.insert(shape.begin(), batch_);
    r_[s] = base_[s].defined() ? at::zeros_like(base_[s]) : at::zeros(shape, inputs.options());
    if (options_.damping != 1) u_[s] = at::zeros_like(r_[s]);
  }
}

void HolomorphicDynamics::stack(int64_t real, int64_t complex) {
  const int64_t points = real + complex;
  rows_ = {real * batch_, complex * batch_};
  for (size_t s = 0; s < r_.size(); ++s) {
    if (field_.moves(static_cast<int>(s))) {
      r_[s] = stacked(r_[s].narrow(0, 0, batch_), points, complex);
      if (u_[s].defined()) u_[s] = stacked(u_[s].narrow(0, 0, batch_), points, complex);
    } else if (r_[s].defined() && inputs_mix_) {
      r_[s] = stacked(inputs_, points, complex);
    }
    if (base_once_[s].defined()) base_[s] = repeated(base_once_[s], points);
  }
  forget();
}

void HolomorphicDynamics::take(const Field& states) {
  for (size_t s = 0; s < r_.size(); ++s)
    if (field_.moves(static_cast<int>(s))) r_[s] = states[s];
}

Tensor finite_samples(const VectorField& field, const Field& states, int64_t batch) {
  Tensor good;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!field.moves(static_cast<int>(s))) continue;
    const int64_t blocks = states[s].size(0) / batch;
    const Tensor here = states[s].isfinite().reshape({blocks, batch, -1}).all(2).all(0);
    good = good.defined() ? good.logical_and_(here) : here;
  }
  return good;
}

int64_t HolomorphicDynamics::restart_overflowed() {
  const Tensor bad = finite_samples(field_, r_, batch_).logical_not();
  for (Field* field : {&r_, &u_})
    for (size_t s = 0; s < r_.size(); ++s) {
      if (!field_.moves(static_cast<int>(s)) || !(*field)[s].defined()) continue;
      std::vector<int64_t> shape(static_cast<size_t>(r_[s].dim()), 1);
      shape[0] = rows_.rows();
      (*field)[s] = (*field)[s].masked_fill(bad.repeat({rows_.rows() / batch_}).view(shape), 0);
    }
  return bad.sum().item<int64_t>();
}

Field HolomorphicDynamics::copy() const {
  Field out = r_;
  for (size_t s = 0; s < out.size(); ++s)
    if (field_.moves(static_cast<int>(s))) out[s] = out[s].clone();
  return out;
}

std::vector<Tensor> HolomorphicDynamics::parents(const Coupling& c) const {
  std::vector<Tensor> out;
  for (int p : c.from) out.push_back(r_[at(p)]);
  return out;
}

/// A coupling that is a matrix: products straight into the drives.
void HolomorphicDynamics::add_matrix(const Coupling& c, Field& a) {
  const Tensor& w = c.weight->value;
  const size_t from = at(c.from[0]), to = at(c.to);
  const Panels* panels = nullptr;
  if (!panels_.empty()) {
    const auto i = static_cast<size_t>(&c - field_.couplings().data());
    if (panels_[i].up.defined()) panels = &panels_[i];
  }
  if (c.forth) {
    const Tensor x = flat_rows(r_[from]);
    const bool first = !a[to].defined();
    if (first && panels) a[to] = at::empty({x.size(0), w.size(0)}, x.options());
    if (panels) {
      panels->up.multiply_into(a[to], x, first ? 0 : 1, 1);
    } else if (first) {
      a[to] = linear_forward(x, w, Tensor());
    } else {
      gemm_into(a[to], x, w.t(), 1, 1);
    }
    if (c.bias) a[to].narrow(0, 0, rows_.points()).add_(c.bias->value);
  }
  if (!c.back) return;
  const bool first = !a[from].defined();
  if (first && panels) a[from] = at::empty(r_[from].sizes(), r_[from].options());
  if (first && !panels) {
    a[from] = gemm(r_[to], w).view(r_[from].sizes());
  } else if (a[from].is_contiguous()) {
    Tensor view = a[from].view({a[from].size(0), -1});
    if (panels) return panels->down.multiply_into(view, r_[to], first ? 0 : 1, 1);
    gemm_into(view, r_[to], w, 1, 1);
  } else {
    a[from].add_(gemm(r_[to], w).view(a[from].sizes()));
  }
}

Tensor HolomorphicDynamics::gradient(const Loss& loss, const Tensor& output, const Tensor& targets,
                                     const PlanarRows& rows) {
  Tensor out = at::empty_like(output);
  if (rows.real)
    out.narrow(0, 0, rows.real)
        .copy_(loss.gradient(real_rows(output, rows), targets.narrow(0, 0, rows.real)));
  if (!rows.complex) return out;
  out.narrow(0, rows.real, 2 * rows.complex)
      .copy_(loss.complex_gradient(output.narrow(0, rows.real, 2 * rows.complex),
                                   targets.narrow(0, rows.real, rows.complex)));
  return out;
}

void HolomorphicDynamics::push(const ComplexNudge& nudge, Field& a) {
  const Coupling* readout = field_.readout();
  Tensor push;
  if (readout) {
    const Tensor value = readout->map.run(parents(*readout), rows_, scratch_);
    push = gradient(nudge.loss, value, nudge.targets, rows_);
  } else {
    push = gradient(nudge.loss, r_[at(field_.net().output)], nudge.targets, rows_);
  }
  push = planar_scaled(push, rows_, nudge.beta_re, nudge.beta_im).neg_();
  if (!readout) return contribute(a[at(field_.net().output)], push);
  std::vector<Tensor> pulled;
  readout->map.sweep(scratch_, push, &pulled, nullptr);
  for (size_t i = 0; i < pulled.size(); ++i)
    if (field_.moves(readout->from[i])) contribute(a[at(readout->from[i])], pulled[i]);
}

Field HolomorphicDynamics::drives(const ComplexNudge* nudge) {
  Field a(r_.size());
  for (size_t s = 0; s < a.size(); ++s) {
    if (!base_[s].defined()) continue;
    if (!rows_.complex) {
      a[s] = base_[s].clone();
      continue;
    }
    a[s] = at::empty_like(r_[s]);
    a[s].narrow(0, 0, rows_.points()).copy_(base_[s]);
    imaginary_parts(a[s], rows_).zero_();
  }
  for (size_t i = 0; i < passed_.size(); ++i) {
    const Coupling& c = field_.couplings()[i];
    if (c.dense()) {
      add_matrix(c, a);
      continue;
    }
    PlanarMap::Passed& passed = passed_[i];
    if (c.forth || c.map.bends() || !(passed.rows == rows_)) {
      const Tensor value = c.map.run(parents(c), rows_, passed);
      if (c.forth) contribute(a[at(c.to)], value);
    }
    if (!c.back) continue;
    std::vector<Tensor> pulled;
    c.map.sweep(passed, r_[at(c.to)], &pulled, nullptr);
    for (size_t k = 0; k < pulled.size(); ++k)
      if (field_.moves(c.from[k]) && pulled[k].defined()) contribute(a[at(c.from[k])], pulled[k]);
  }
  if (nudge) push(*nudge, a);
  if (correction_) correction_->add_antisymmetric(r_, rows_, a);
  return a;
}

Tensor normal_by_sample(const Stream& stream, const RowIds& ids, IntArrayRef shape, int64_t batch,
                        at::TensorOptions options) {
  // What a sample draws does not depend on how many others there are.
  std::vector<int64_t> by_sample = shape.vec();
  by_sample[0] /= batch;
  by_sample.insert(by_sample.begin(), batch);
  return stream.normal_rows(ids, by_sample, options).transpose(0, 1).reshape(shape);
}

Field HolomorphicDynamics::drive() { return drives(nullptr); }

void HolomorphicDynamics::squash(size_t state, Tensor& u) {
  if (analytic_[state]) return apply_analytic_(u, rows_, *analytic_[state]);
  const Activation* sigma = field_.net().sigma[state].get();
  Saved scratch;
  if (sigma) u = sigma->forward(std::span(&u, 1), scratch, {.overwrite = true});
}

double HolomorphicDynamics::step(const ComplexNudge* nudge, bool measure) {
  Field a = drives(nudge);
  if (measure) residuals_.assign(static_cast<size_t>(rows_.rows() / batch_), 0);
  const Stream noise = draws_.at(drawn_++);
  for (size_t s = 0; s < a.size(); ++s) {
    if (!a[s].defined()) continue;
    if (options_.damping != 1) a[s] = u_[s].lerp_(a[s], options_.damping);
    if (keeps_membrane_ || options_.damping != 1) {
      u_[s] = a[s];
      a[s] = a[s].clone();
    }
    if (options_.noise > 0) {
      Tensor points = a[s].narrow(0, 0, rows_.points());
      points.add_(normal_by_sample(noise.at(static_cast<int64_t>(s)), ids_, points.sizes(), batch_,
                                   points.options()),
                  options_.noise);
    }
    squash(s, a[s]);
    if (measure) {
      const Tensor moved = (a[s] - r_[s])
                               .abs_()
                               .reshape({rows_.rows() / batch_, -1})
                               .amax(1)
                               .to(at::kCPU, at::kDouble);
      for (size_t b = 0; b < residuals_.size(); ++b) {
        const double m = moved.const_data_ptr<double>()[b];
        if (!(m <= residuals_[b])) residuals_[b] = m;  // NaN counts as largest
      }
    }
    r_[s] = a[s];
  }
  double largest = 0;
  if (measure)
    for (double r : residuals_)
      if (!(r <= largest)) largest = r;
  return largest;
}

Tensor HolomorphicDynamics::moved_in_two_steps(const ComplexNudge* nudge) const {
  HolomorphicDynamics ahead = *this;
  ahead.options_.noise = 0;
  for (Tensor& u : ahead.u_)
    if (u.defined()) u = u.clone();  // damped steps change it where it lies
  ahead.step(nudge, false);
  ahead.step(nudge, false);
  Tensor square = at::zeros({rows_.rows() / batch_, batch_}, at::kDouble);
  for (size_t s = 0; s < r_.size(); ++s)
    if (field_.moves(static_cast<int>(s)))
      square += (ahead.r_[s] - r_[s])
                    .to(at::kDouble)
                    .square_()
                    .reshape({square.size(0), batch_, -1})
                    .sum(2)
                    .to(at::kCPU);
  const int64_t real = rows_.real / batch_, complex = rows_.complex / batch_;
  Tensor out = square.narrow(0, 0, real + complex).clone();
  if (complex) out.narrow(0, real, complex).add_(square.narrow(0, real + complex, complex));
  return out.sqrt_();
}

Tensor HolomorphicDynamics::output() {
  const Coupling* readout = field_.readout();
  return readout ? readout->map.run(parents(*readout), rows_, scratch_)
                 : r_[at(field_.net().output)];
}

}  // namespace altprop
