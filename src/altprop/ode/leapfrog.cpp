#include "altprop/ode/leapfrog.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {
Tensor position(const Tensor& y) { return y.select(0, 0); }
Tensor velocity(const Tensor& y) { return y.select(0, 1); }
}  // namespace

Leapfrog::Leapfrog(double eta) : eta_(eta) {
  if (!(eta > 0.5) || !(eta <= 1))
    throw UsageError(
        text::cat("eta, the damping of solver 'alf', is above 0.5 and at most 1, but is ", eta,
                  "; 1 is none"));
}

Tensor Leapfrog::carry(const Tensor& x, const Tensor& slope) const { return at::stack({x, slope}); }

Tensor Leapfrog::lift(const Tensor& credit) const {
  return at::stack({credit, at::zeros_like(credit)});
}

Tensor Leapfrog::stage_state(const Tensor& y, const Length& h, const Evaluations&, int) const {
  return h.plus(position(y), velocity(y), 0.5);
}

Tensor Leapfrog::end(const Tensor& y, const Length& h, const Evaluations& k) const {
  const Tensor& u = k[0].slope;
  Tensor out = at::empty_like(y);
  Tensor x = position(out), v = velocity(out);
  at::mul_out(v, velocity(y), at::scalar_tensor(1 - 2 * eta_, y.options()));
  v.add_(u, 2 * eta_);
  x.copy_(position(y));
  h.add_to(x, velocity(y), 0.5);
  h.add_to(x, v, 0.5);
  return out;
}

Tensor Leapfrog::by_length(const Tensor& y, const Length&, const Evaluations& k, int i) const {
  const Tensor v = velocity(y);
  if (i == 0) return v / 2;
  // (v + v') / 2 = v + eta (u - v)
  return lift(at::add(v * (1 - eta_), k[0].slope, eta_));
}

Tensor Leapfrog::credit_of_slope(int, const Length& h, const Tensor& lambda,
                                 const std::vector<Tensor>&) const {
  return h.plus(velocity(lambda), position(lambda), 0.5).mul_(2 * eta_);
}

Tensor Leapfrog::credit_of_begin(const Length& h, const Tensor& lambda,
                                 const std::vector<Tensor>& xi) const {
  Tensor out = at::empty_like(lambda);
  Tensor x = position(out), v = velocity(out);
  x.copy_(position(lambda));
  if (xi[0].defined()) x.add_(xi[0]);
  v.copy_(velocity(lambda));
  h.add_to(v, position(lambda), 0.5);
  v.mul_(1 - 2 * eta_);
  h.add_to(v, x, 0.5);
  return out;
}

Scheme::Inverted Leapfrog::invert(const StageField& f, const Length& h, const Tensor& end) const {
  Inverted out;
  const Tensor v = velocity(end), k = h.plus(position(end), v, -0.5);
  out.k.push_back(f(0, k));
  const Tensor before = at::sub(v, out.k[0].slope, 2 * eta_).div_(1 - 2 * eta_);
  out.begin = at::stack({h.plus(k, before, -0.5), before});
  return out;
}

double Leapfrog::growth_of_inverse() const { return std::max(1.0, 1 / std::abs(1 - 2 * eta_)); }

Tensor Leapfrog::error(const Tensor& y, const Length& h, const Evaluations& k,
                       const Evaluation&) const {
  return h.times(at::sub(k[0].slope, velocity(y)));
}

namespace {
const RegisterScheme registered_leapfrog{"alf", 9, std::make_shared<Leapfrog>()};
}  // namespace

}  // namespace altprop::ode
