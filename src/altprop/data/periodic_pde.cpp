#include "altprop/data/periodic_pde.h"

#include <ATen/ops/linalg_lu_factor.h>
#include <ATen/ops/linalg_lu_solve.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::data {

namespace {

Tensor shifted(const Tensor& u, int64_t by) { return at::roll(u, {-by}, {-1}); }

/// The first and the second difference along the last dimension.
Tensor first_difference(const Tensor& u, double dx) {
  return (shifted(u, 1) - shifted(u, -1)) / (2 * dx);
}
Tensor second_difference(const Tensor& u, double dx) {
  return (shifted(u, 1) - 2 * u + shifted(u, -1)) / (dx * dx);
}

}  // namespace

Tensor PeriodicPde::rate(const Tensor& u) const {
  if (kind == Kind::KortewegDeVries)
    return first_difference(3 * u.square() + second_difference(u, dx()), dx());
  return second_difference(-u + u.pow(3) - gamma * second_difference(u, dx()), dx());
}

Tensor PeriodicPde::energy(const Tensor& u) const {
  const Tensor bend = u * second_difference(u, dx()) / 2;
  if (kind == Kind::KortewegDeVries) return (u.pow(3) + bend).sum(-1);
  return (-u.square() / 2 + u.pow(4) / 4 - gamma * bend).sum(-1);
}

Tensor PeriodicPde::step(const Tensor& u) const {
  constexpr int kMostSteps = 50;
  constexpr double kNear = 1e-10;
  const bool kdv = kind == Kind::KortewegDeVries;
  const auto outer = [&](const Tensor& v) {
    return kdv ? first_difference(v, dx()) : second_difference(v, dx());
  };
  const double curvature = kdv ? 0.5 : -gamma / 2;  // of D2 (u + w)
  const auto residual = [&](const Tensor& w) {
    const Tensor inner =
        kdv ? u.square() + u * w + w.square()
            : (u.pow(3) + u.square() * w + u * w.square() + w.pow(3)) / 4 - (u + w) / 2;
    return w - u - dt * outer(inner + curvature * second_difference(u + w, dx()));
  };
  Tensor w = u + dt * rate(u);
  // Matrices of the differences: what they make of unit vectors, which are rows here.
  const Tensor one = at::eye(points, u.options());
  const Tensor left = outer(one).t(), bend = curvature * second_difference(one, dx()).t();
  // With the Jacobian of the begin, which a step hardly changes.
  const Tensor slope = kdv ? u + 2 * w : (u.square() + 2 * u * w + 3 * w.square()) / 4 - 0.5;
  const auto [factors, pivots] =
      at::linalg_lu_factor(one - dt * at::matmul(left, at::diag_embed(slope) + bend));
  for (int i = 0; i < kMostSteps; ++i) {
    const Tensor off = residual(w), size = off.abs().amax(1, true);
    // By itself, so that a trajectory does not depend on those beside it.
    const Tensor near = size.lt(kNear);
    if (near.all().item<bool>()) return w;
    if (!size.lt(1e6).all().item<bool>()) break;
    const Tensor correction = at::linalg_lu_solve(factors, pivots, off.unsqueeze(-1)).squeeze(-1);
    w = at::where(near, w, w - correction);
  }
  throw UsageError(text::cat("the steps of ", kdv ? "kdv" : "cahn-hilliard",
                             " do not converge at dt=", text::from_number(dt), " on ", points,
                             " points; take a smaller pde.dt"));
}

Tensor PeriodicPde::starts(int64_t n, const Stream& draws) const {
  const Tensor uniform = draws.uniform_rows({}, {n, points + 5}, at::kDouble);
  if (kind == Kind::CahnHilliard) return (uniform.narrow(1, 5, points) - 0.5) * 0.1;
  const auto number = [&](int64_t i, double from, double to) {
    return uniform.narrow(1, i, 1) * (to - from) + from;
  };
  const Tensor x = at::arange(points, at::kDouble) * dx();
  const auto soliton = [&](const Tensor& k, const Tensor& d) {
    return 2 * k.square() / (k * (x - width * d)).cosh().square();
  };
  const Tensor d = number(2, 0.2, 0.3);
  const Tensor both =
      soliton(number(0, 0.5, 2), d) + soliton(number(1, 0.5, 2), d + number(3, 0.2, 0.5));
  return at::where(number(4, 0, 1).lt(0.5), both.flip(1), both);
}

}  // namespace altprop::data
