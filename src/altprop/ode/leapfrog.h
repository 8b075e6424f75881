// The asynchronous leapfrog, a reversible method of second order that carries state and velocity
// (U. Mutze 2013, arXiv 1311.6602; J. Zhuang, N. Dvornek, S. Tatikonda, J. Duncan, "MALI: A memory
// efficient and reverse accurate integrator for neural ODEs", 2021, arXiv 2102.04668). With v_0 =
// f(t_0, x_0), a step of length h is
//
//   k = x + h v / 2,   u = f(t + h / 2, k),   v' = v + 2 eta (u - v),   x' = k + h v' / 2
//
// and is taken back by  k = x' - h v' / 2,  v = (v' - 2 eta u) / (1 - 2 eta),  x = k - h v / 2.
#pragma once

#include "altprop/ode/scheme.h"

namespace altprop::ode {

class Leapfrog : public Scheme {
 public:
  /// @param eta damping, above 1/2; 1: none. Below 1 an error of a state that is found backwards
  /// grows by 1 / |1 - 2 eta| with every step
  explicit Leapfrog(double eta = 1);

  const std::string& name() const override { return name_; }
  int order() const override { return 2; }
  int stages() const override { return 1; }
  double c(int) const override { return 0.5; }
  bool estimates_error() const override { return true; }
  int error_order() const override { return 1; }
  bool begins_at_state() const override { return false; }

  bool carries_slope() const override { return true; }
  int carried() const override { return 2; }
  /// y [2, ...]: x and v.
  Tensor carry(const Tensor& x, const Tensor& slope) const override;
  Tensor state(const Tensor& y) const override { return y.select(0, 0); }
  Tensor lift(const Tensor& credit) const override;
  Tensor credit_of_first(const Tensor& lambda) const override { return lambda.select(0, 1); }

  Tensor stage_state(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  Tensor end(const Tensor& y, const Length& h, const Evaluations& k) const override;
  Tensor by_length(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  /// h (u - v)
  Tensor error(const Tensor& y, const Length& h, const Evaluations& k,
               const Evaluation& last) const override;
  Tensor credit_of_slope(int i, const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;
  Tensor credit_of_begin(const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;

  bool inverts() const override { return true; }
  Inverted invert(const StageField& f, const Length& h, const Tensor& end) const override;
  double growth_of_inverse() const override;

  double eta() const { return eta_; }

 private:
  double eta_;
  std::string name_ = "alf";
};

}  // namespace altprop::ode
