// Any Runge-Kutta method as an algebraically reversible one: two states that are coupled, and steps
// that can be taken back whatever the method and however stiff the damping (S. McCallum, J. Foster,
// "Efficient, accurate and stable gradients for neural ODEs", 2024, arXiv 2410.11648). With
// Psi_h(x, t) what the method adds to x in a step, and y_0 = z_0 = x(t_0),
//
//   y' = lambda y + (1 - lambda) z + Psi_h(z, t)        z' = z - Psi_{-h}(y', t + h)
//
// and is taken back by
//
//   z = z' + Psi_{-h}(y', t + h)        y = (y' - (1 - lambda) z - Psi_h(z, t)) / lambda
//
// The order is that of the method, and a step takes twice its evaluations.
#pragma once

#include "altprop/ode/tableau.h"

namespace altprop::ode {

class Reversible : public Scheme {
 public:
  /// @param coupling lambda, above 0 and at most 1; rounding errors of a state that is found
  /// backwards grow by 1 / lambda with every step, and errors forwards shrink by it
  Reversible(std::shared_ptr<const Tableau> base, double coupling);

  const std::string& name() const override { return base_->name(); }
  int order() const override { return base_->order(); }
  /// Those of the step from z, then those of the step back from y'.
  int stages() const override { return 2 * s_; }
  double c(int i) const override { return i < s_ ? base_->c(i) : 1 - base_->c(i - s_); }
  bool estimates_error() const override { return base_->estimates_error(); }
  bool begins_at_state() const override { return false; }

  int carried() const override { return 2; }
  /// y [2, ...]: y and z.
  Tensor carry(const Tensor& x, const Tensor& slope) const override { return at::stack({x, x}); }
  Tensor state(const Tensor& y) const override { return y.select(0, 0); }
  Tensor lift(const Tensor& credit) const override;

  Tensor stage_state(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  Tensor end(const Tensor& y, const Length& h, const Evaluations& k) const override;
  Tensor by_length(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  /// That of the method, with f at y' where it wants f at the end.
  Tensor error(const Tensor& y, const Length& h, const Evaluations& k,
               const Evaluation& last) const override;
  Tensor credit_of_slope(int i, const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;
  Tensor credit_of_begin(const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;

  bool inverts() const override { return true; }
  Inverted invert(const StageField& f, const Length& h, const Tensor& end) const override;
  double growth_of_inverse() const override { return 1 / coupling_; }

  double coupling() const { return coupling_; }

 private:
  /// x + sign h sum_j weight(j) k_{from + j}, of the first n.
  template <class Weight>
  Tensor moved(const Tensor& x, const Length& h, double sign, const Evaluations& k, int from, int n,
               Weight weight) const;
  Tensor end_of_first(const Tensor& y, const Length& h, const Evaluations& k) const;
  /// Credit of y' from all that is made of it.
  Tensor credit_of_middle(const Tensor& lambda, const std::vector<Tensor>& xi) const;

  std::shared_ptr<const Tableau> base_;
  double coupling_;
  int s_;
};

}  // namespace altprop::ode
