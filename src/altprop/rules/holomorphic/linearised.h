// The vector field's Jacobian at rest, and what follows from it.
//
//   J = d(sum of couplings)/dr at r_*,   D = diag sigma'(u_*),   g = dLoss/dr
//   exact credit  lambda = D (I - J^T D)^-1 g      nudging gives  delta = D (I - J D)^-1 g
//
// (recurrent backpropagation: Almeida 1987, Pineda 1987). What a credit is worth to a parameter is
// the derivative of the couplings with respect to it, at r_*.
#pragma once

#include "altprop/rules/equilibrium/dynamics.h"
#include "altprop/rules/holomorphic/vector_field.h"

namespace altprop {

class Linearised {
 public:
  /// @param field must outlive this
  explicit Linearised(const VectorField& field) : field_(field) {}

  /// @param states r_*, all of them, real rows @param drive the argument of sigma there
  void begin(const Field& states, const Field& drive);
  /// J v and J^T v, v of K blocks of rows; undefined where nothing arrives. Softmax pooling on the
  /// way back bends the field; leaving its (symmetric) part out is for those who need J - J^T only.
  Field times(const Field& v, bool with_curvature = true);
  Field transposed_times(const Field& v, bool with_curvature = true);
  /// a += (J^T - J)(r - r_*). @param rows of r and a
  void add_antisymmetric(const Field& r, const PlanarRows& rows, Field& a);
  /// J as a matrix [units, units] for one sample. Costs one product per unit.
  Tensor matrix(int64_t sample);

  /// g; the readout's part arrives through its weights. Also keeps what deliver_readout needs.
  Field pushed(const Loss& loss, const Tensor& targets);
  Field slopes() const { return slope_; }
  struct Solved {
    Field lambda;
    int64_t steps;
    double residual;  ///< largest change in the last step over the largest entry of D g
  };
  /// lambda by damped iteration.
  Solved solve(const Field& g, double tolerance, int64_t most);

  /// Signals of scale * < credit, d couplings/dtheta > at r_*.
  void deliver(const Field& credit, double scale, Sink& sink);
  /// The readout's own gradient at r_*. After pushed().
  /// @param kept [B] bool, of the samples that count; undefined: all
  void deliver_readout(double scale, Sink& sink, const Tensor& kept = {});

 private:
  Field product(const Field& v, bool transposed, bool with_curvature);
  void add_curvature(const Coupling& c, const Field& v, Field& out);
  std::vector<Tensor> parents(const Field& field, const Coupling& c) const;

  const VectorField& field_;
  Field states_, slope_;
  std::vector<Activity> at_rest_;  ///< per coupling
  Activity readout_;
  Tensor readout_credit_;
  PlanarMap::Passed scratch_;
};

/// The step of complex differentiation: its square is nothing beside 1 in this precision.
double imaginary_step(at::ScalarType dtype);

}  // namespace altprop
