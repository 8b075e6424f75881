// The asymmetry of the feedback, and the pull that keeps it small: Jacobian homeostasis.
//
//   L = (|J|^2 - Tr J^2) / n = |J - J^T|^2 / (2n),   J = d(sum of couplings)/dr - I at r_*
//
// the expectation of |J e|^2 - e^T J J e over standard normal e (Laborieux & Zenke 2023, arXiv
// 2309.02214, eq. 12; the 1/n as in the authors' code). J - J^T is made of pairs: a coupling forth
// and its partner back, |J_forth - J_back|^2 / n; a coupling without partner counts alone. Pairs of
// matrices have it in closed form; others draw e for the state that the pair reads, which has the
// same mean as drawing for the whole network and less variance.
#pragma once

#include "altprop/rules/holomorphic/linearised.h"

namespace altprop {

/// What samples draw: from a stream, each by its number.
struct SampleDraws {
  Stream stream;
  RowIds ids;
  // Mostly a stream is all there is. NOLINTNEXTLINE(google-explicit-constructor)
  SampleDraws(const Stream& stream, RowIds ids = {}) : stream(stream), ids(std::move(ids)) {}
};

class Homeostasis {
 public:
  /// @param field must outlive this
  explicit Homeostasis(const VectorField& field);

  /// True if every pair is in closed form.
  bool closed() const;
  /// L, its mean over batch and draws. @param estimate draw for matrices, too
  double loss(const Field& rest, const SampleDraws& draws, int64_t count, bool estimate = false);
  /// Signals of coefficient * dL/dtheta, r_* held fixed.
  void deliver(const Field& rest, const SampleDraws& draws, int64_t count, double coefficient,
               Sink& sink, bool estimate = false);
  /// s / (s + a) with s and a the norms of the symmetric and antisymmetric parts of J, drawn as
  /// above where there is no closed form (without the part of J inside a layer there).
  double symmetry(const Field& rest, const SampleDraws& draws, int64_t count);

 private:
  /// Two couplings between the same states. `partner` reads the same states, in the opposite
  /// direction; or drives the other way (`transposed`); or there is none.
  struct Pair {
    const Coupling* first = nullptr;
    const Coupling* partner = nullptr;
    bool transposed = false;
    bool closed() const { return first->dense() && (!partner || partner->dense()); }
  };
  Tensor difference(const Pair& pair, double sign) const;
  double closed_square(const Pair& pair, double sign) const;
  double drawn_square(const Pair& pair, const Field& rest, const SampleDraws& draws, int64_t count,
                      double sign);
  struct Drawn {
    std::vector<Tensor> e;  ///< per state that the pair reads, [count B, ...]
    Tensor difference;      ///< J_first e + sign J_partner e
  };
  Drawn draw(const Pair& pair, const Field& rest, const SampleDraws& draws, int64_t count,
             double sign);

  const VectorField& field_;
  std::vector<Pair> pairs_;
};

}  // namespace altprop
