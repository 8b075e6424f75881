// Explicit Runge-Kutta methods as tables of coefficients (J. Butcher). One file per method in
// ode/tableaux/, which holds its fractions and nothing else.
//
//   X_i = x_n + h sum_{j<i} a_ij k_j,  k_i = f(t_n + c_i h, X_i),  x_{n+1} = x_n + h sum_i b_i k_i
#pragma once

#include <array>
#include <cstdint>

#include "altprop/ode/scheme.h"

namespace altprop::ode {

/// over / under, as published: doubles are made of it, and tests compute with it exactly.
struct Fraction {
  int64_t over = 0, under = 1;
  long double value() const {
    return static_cast<long double>(over) / static_cast<long double>(under);
  }
};

/// A method as it is written down.
struct TableauText {
  std::string name, summary, source;
  int order = 1;                         ///< p: one step is wrong by O(h^(p+1))
  std::vector<std::vector<Fraction>> a;  ///< rows 2, 3, ...: row i has i - 1 entries
  std::vector<Fraction> b;
  std::vector<Fraction> b_hat = {};  ///< of the other order; empty: no estimate of the error
  int place = 0;                     ///< in listings
  /// Of the state at the middle of a step, x_n + h sum_i middle_i k_i; empty: it is not known.
  std::vector<Fraction> middle = {};
};

class Tableau : public Scheme {
 public:
  /// c_i = sum_j a_ij. @throws Error if the rows do not fit each other
  explicit Tableau(TableauText text);

  const TableauText& text() const { return text_; }
  const std::string& name() const override { return text_.name; }
  int order() const override { return text_.order; }
  int stages() const override { return stages_; }
  /// The same with the evaluation at the end of the step that only the error needs ("first same as
  /// last": it is the next step's first).
  int rows() const { return static_cast<int>(b_.size()); }
  bool first_same_as_last() const override { return rows() > stages_; }
  bool estimates_error() const override { return !d_.empty(); }

  Tensor stage_state(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  Tensor end(const Tensor& y, const Length& h, const Evaluations& k) const override;
  Tensor by_length(const Tensor& y, const Length& h, const Evaluations& k, int i) const override;
  /// h sum_i d_i k_i
  Tensor error(const Tensor& y, const Length& h, const Evaluations& k,
               const Evaluation& last) const override;
  /// kappa_i = h (b_i lambda + sum_{j>i} a_ji xi_j)
  Tensor credit_of_slope(int i, const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;
  /// lambda + sum_i xi_i
  Tensor credit_of_begin(const Length& h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const override;

  /// Hermite's cubic, or with `middle` the polynomial of fourth degree through that as well.
  std::vector<double> between(double theta) const override;
  std::vector<double> between_rate(double theta) const override;

  double a(int i, int j) const { return a_[static_cast<size_t>(i)][static_cast<size_t>(j)]; }
  double b(int i) const { return b_[static_cast<size_t>(i)]; }
  double c(int i) const override { return c_[static_cast<size_t>(i)]; }
  /// b - b_hat: the error of a step is h sum_i d_i k_i.
  double d(int i) const { return d_[static_cast<size_t>(i)]; }
  /// R(z): what one step with z = theta h multiplies the solution of x' = theta x by.
  double stability(double z) const;
  /// The largest |theta| h, for negative theta, at which a step does not grow: |R| <= 1 up to
  /// there.
  double stability_bound() const { return stability_bound_; }

 private:
  void find_stability();
  /// Of powers of theta, 1 to 4, by slope.
  std::vector<std::array<double, 4>> between_;
  void find_between();

  TableauText text_;
  std::vector<std::vector<double>> a_;
  std::vector<double> b_, c_, d_;
  std::vector<double> polynomial_;  ///< coefficients of R from z^0
  double stability_bound_ = 0;
  int stages_ = 0;
};

struct RegisterTableau {
  explicit RegisterTableau(TableauText text);
};

/// Runge-Kutta methods by name. @throws UsageError with a suggestion
const Tableau& tableau(const std::string& name);
/// In listing order.
std::vector<std::string> tableau_names();

}  // namespace altprop::ode
