// What a one-step method is to the stepper, to the reverse passes and to tangents: how the states
// of its evaluations, its end and their derivatives are made of what is carried from step to step.
//
//   X_i = stage_state(y_n, k_1 .. k_{i-1}),   k_i = f(t_n + c_i h, X_i),   y_{n+1} = end(y_n, k)
//
// y is the state itself for Runge-Kutta methods (tableau.h), state and velocity for the leapfrog
// (leapfrog.h). Everything but f is linear in y and k, so that tangents take the same functions.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "altprop/ode/length.h"

namespace altprop {
struct Activity;
}

namespace altprop::ode {

/// f at one place, and what its evaluation left behind for a reverse pass if that is kept.
struct Evaluation {
  Tensor slope;
  std::shared_ptr<Activity> activity = nullptr;
};
using Evaluations = std::vector<Evaluation>;

/// When f is evaluated, and of whom: at one time for the whole batch, or at a time for each of the
/// samples that take part. Times are double whatever the state is.
struct Moment {
  double t = 0;  ///< where all have the same
  Tensor each;   ///< [rows] float64 on the CPU, where they have not
  Tensor rows;   ///< [rows] int64: their places in the batch; undefined: all of it

  Moment(double t) : t(t) {}  // NOLINT(google-explicit-constructor): a number is the usual one
  Moment(Tensor each, Tensor rows) : t(NAN), each(std::move(each)), rows(std::move(rows)) {}
  /// @throws Error if samples have times of their own
  operator double() const;  // NOLINT(google-explicit-constructor): so that f may take a number
};

/// dx/dt = f(t, x) of x [rows, ...].
using Field = std::function<Evaluation(const Moment& at, const Tensor& x)>;
/// f at stage i of a step that is known.
using StageField = std::function<Evaluation(int i, const Tensor& x)>;

class Scheme {
 public:
  virtual ~Scheme() = default;
  virtual const std::string& name() const = 0;
  virtual int order() const = 0;   ///< p: one step is wrong by O(h^(p+1))
  virtual int stages() const = 0;  ///< evaluations of f that a step's result depends on
  virtual double c(int i) const = 0;  ///< stage i is evaluated at t_n + c_i h
  virtual bool estimates_error() const = 0;
  /// The p of the error estimate, by which step sizes go.
  virtual int error_order() const { return order(); }
  /// The first stage is f(t_n, x_n), so that who knows that has the first evaluation.
  virtual bool begins_at_state() const { return true; }

  /// f at the begin is a part of what is carried.
  virtual bool carries_slope() const { return false; }
  /// How many tensors of the state's size y is.
  virtual int carried() const { return 1; }
  /// The dimension of y along which samples lie.
  int rows_dim() const { return carried() > 1 ? 1 : 0; }
  /// y at the begin: the state, `carried` copies of it, or it and the slope. @param slope f there; used
  /// by those that carry it
  virtual Tensor carry(const Tensor& x, const Tensor& slope) const { return x; }
  /// The state in y.
  virtual Tensor state(const Tensor& y) const { return y; }
  /// Credit of y from that of the state in it.
  virtual Tensor lift(const Tensor& credit) const { return credit; }
  /// Credit of the slope at the begin, from that of y.
  virtual Tensor credit_of_first(const Tensor& lambda) const { return {}; }

  /// X_i; needs k_1 .. k_{i-1}. @param i from 0
  virtual Tensor stage_state(const Tensor& y, const Length& h, const Evaluations& k, int i) const = 0;
  virtual Tensor end(const Tensor& y, const Length& h, const Evaluations& k) const = 0;
  /// d X_i / dh at fixed y and k; of the end for i = stages(). Undefined: none.
  virtual Tensor by_length(const Tensor& y, const Length& h, const Evaluations& k, int i) const = 0;

  /// Of the state at the end, of methods that estimate it. @param last f at the end if wanted
  virtual Tensor error(const Tensor& y, const Length& h, const Evaluations& k,
                       const Evaluation& last) const {
    return {};
  }
  /// The error needs f at the end, which is then the next step's first evaluation.
  virtual bool first_same_as_last() const { return false; }

  /// Dense output, of methods that have it: w_i(theta) of the slopes in x_n + h sum_i w_i k_i, the state
  /// at t_n + theta h, of all stages and, as the last one, of f at the end. Empty: there is none.
  virtual std::vector<double> between(double theta) const { return {}; }
  /// d w_i / d theta
  virtual std::vector<double> between_rate(double theta) const { return {}; }

  /// Credit of k_i from that of y_{n+1} and those of the later X_j; undefined where nothing depends
  /// on it. @param xi credits of X_j; undefined: zero
  virtual Tensor credit_of_slope(int i, const Length& h, const Tensor& lambda,
                                 const std::vector<Tensor>& xi) const = 0;
  /// Credit of y_n.
  virtual Tensor credit_of_begin(const Length& h, const Tensor& lambda,
                                 const std::vector<Tensor>& xi) const = 0;

  /// y_n and the evaluations of the step, from y_{n+1}: a step backwards without anything kept.
  struct Inverted {
    Tensor begin;
    Evaluations k;
  };
  virtual bool inverts() const { return false; }
  virtual Inverted invert(const StageField& f, const Length& h, const Tensor& end) const;
  /// What an error of y grows by with every inverted step, at least.
  virtual double growth_of_inverse() const { return 1; }
};

/// Solvers by name, Runge-Kutta methods and others. @throws UsageError with a suggestion
std::shared_ptr<const Scheme> scheme(const std::string& name);
/// In listing order.
std::vector<std::string> scheme_names();

struct RegisterScheme {
  RegisterScheme(std::string name, int place, std::shared_ptr<const Scheme> scheme);
};

}  // namespace altprop::ode
