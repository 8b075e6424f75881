#include "altprop/weight_flow/skew.h"

#include <array>
#include <cmath>
#include <numbers>

namespace altprop::weight_flow {

namespace {

/// How often `norm` is halved until it is at most `reach`; 0 for what is not finite, which then
/// shows in the result.
int halvings(double norm, double reach) {
  if (!std::isfinite(norm) || norm <= reach) return 0;
  return static_cast<int>(std::ceil(std::log2(norm / reach)));
}

double inverse_factorial(int k) { return 1 / std::tgamma(k + 1.0); }

/// Powers 0 ... 4 of a matrix; the first is left out.
using Powers = std::array<Tensor, 5>;

Powers powers_of(const Tensor& a) {
  const Tensor square = at::mm(a, a);
  return {Tensor(), a, square, at::mm(square, a), at::mm(square, square)};
}

/// sum_{i<4} a^i / (4 block + i)!
Tensor four_terms(const Powers& a, int block) {
  Tensor out = a[3] * inverse_factorial(4 * block + 3);
  for (int i = 2; i >= 1; --i) out.add_(a[i], inverse_factorial(4 * block + i));
  out.diagonal().add_(inverse_factorial(4 * block));
  return out;
}

/// Taylor's series up to a^(4 blocks), by blocks of four terms (Paterson & Stockmeyer 1973).
Tensor taylor(const Powers& a, int blocks) {
  Tensor out = four_terms(a, blocks - 1).add_(a[4], inverse_factorial(4 * blocks));
  for (int block = blocks - 2; block >= 0; --block)
    out = at::addmm(four_terms(a, block), a[4], out);
  return out;
}

struct Accuracy {
  int blocks;    ///< of four terms in Taylor's series
  double reach;  ///< angle up to which what it leaves out is rounding
  double term;   ///< size below which a term of a derivative is left out
};

Accuracy accuracy_for(Digits digits) {
  return digits == Digits::OfDouble ? Accuracy{4, 0.75, 1e-17} : Accuracy{2, 0.4, 2e-8};
}

/// A rotation of the plane.
Rotation plane_rotation(const Tensor& a) {
  const Tensor angle = a[1][0], c = angle.cos(), s = angle.sin();
  return {at::stack({c, -s, s, c}).view({2, 2}), std::abs(angle.item<double>())};
}

/// I + sin(t)/t a + (1 - cos t)/t^2 a^2 with t the length of the axis (Rodrigues 1840).
Rotation space_rotation(const Tensor& a) {
  const double t = a.norm().item<double>() / std::numbers::sqrt2;
  // 1 - cos t = 2 sin^2(t/2), which keeps its digits where t is small.
  const double half = std::sin(t / 2);
  const double first = t == 0 ? 1 : std::sin(t) / t,
               second = t == 0 ? 0.5 : 2 * half * half / (t * t);
  Tensor out = at::mm(a, a).mul_(second).add_(a, first);
  out.diagonal().add_(1);
  return {out, t};
}

/// a b - b a of two skew matrices, by one product.
Tensor commutator(const Tensor& a, const Tensor& b) {
  const Tensor product = at::mm(a, b);
  return product - product.t();
}

/// sum_k (sign ad_a)^k x / (k+1)! for a of a norm up to 1/2; |ad_a| is at most twice that of a.
Tensor series(const Tensor& a, const Tensor& x, double sign, double norm, double least) {
  Tensor term = x, out = x.clone();
  double factor = 1, size = 1;
  for (int k = 1; k < 40; ++k) {
    factor *= sign / (k + 1);
    size *= 2 * norm / (k + 1);
    if (size < least) break;
    term = commutator(a, term);
    out.add_(term, factor);
  }
  return out;
}

/// int_0^1 e^{s sign a} x e^{-s sign a} ds. Twice the way is half the sum of the way and of what
/// lies behind it: I(2a) = (I(a) + e^{a} I(a) e^{-a}) / 2.
Tensor mean_along(const Tensor& a, double angle, const Tensor& x, double sign) {
  if (a.size(0) <= 2) return x;  // rotations of the plane commute
  const Digits digits = digits_of(a.scalar_type());
  const double least = accuracy_for(digits).term;
  const int steps = halvings(angle, 0.5);
  if (steps == 0) return series(a, x, sign, angle, least);
  const Tensor small = a * std::ldexp(1.0, -steps);
  Tensor out = series(small, x, sign, std::ldexp(angle, -steps), least);
  Tensor turn = skew_exp(small * sign, digits).matrix;
  for (int i = 0; i < steps; ++i) {
    out = out.add(at::mm(at::mm(turn, out), turn.t())).mul_(0.5);
    if (i + 1 < steps) turn = at::mm(turn, turn);
  }
  return out;
}

}  // namespace

Tensor skew_part(const Tensor& m) { return (m - m.t()).mul_(0.5); }

Digits digits_of(at::ScalarType type) {
  return type == at::kDouble ? Digits::OfDouble : Digits::OfFloat;
}

Rotation skew_exp(const Tensor& a, Digits digits) {
  if (a.size(0) == 1) return {at::ones_like(a), 0};
  if (a.size(0) == 2) return plane_rotation(a);
  if (a.size(0) == 3) return space_rotation(a);
  const Accuracy accuracy = accuracy_for(digits);
  Powers powers = powers_of(a);
  // The fourth root of the norm of a^4 is close to the spectral norm of a; Frobenius' norm of a
  // itself is larger by the root of the width.
  const double angle = std::pow(powers[4].norm().item<double>(), 0.25);
  const int squarings = halvings(angle, accuracy.reach);
  if (squarings > 0)
    for (int i = 1; i <= 4; ++i) powers[i] = powers[i] * std::ldexp(1.0, -squarings * i);
  Tensor out = taylor(powers, accuracy.blocks);
  for (int i = 0; i < squarings; ++i) out = at::mm(out, out);
  return {out, angle};
}

Tensor exp_push(const Tensor& a, double angle, const Tensor& direction) {
  return mean_along(a, angle, direction, -1);
}

Tensor exp_pull(const Tensor& a, double angle, const Tensor& covector) {
  return mean_along(a, angle, covector, 1);
}

}  // namespace altprop::weight_flow
