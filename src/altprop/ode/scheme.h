// What a one-step method is to the stepper, to the reverse passes and to tangents: how the states
// of its evaluations, its end and their derivatives are made of what is carried from step to step.
//
//   X_i = stage_state(y_n, k_1 .. k_{i-1}),   k_i = f(t_n + c_i h, X_i),   y_{n+1} = end(y_n, k)
//
// y is the state itself for Runge-Kutta methods (tableau.h), state and velocity for the leapfrog
// (leapfrog.h). Everything but f is linear in y and k, so that tangents take the same functions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

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

/// dx/dt = f(t, x). Times are double whatever the state is.
using Field = std::function<Evaluation(double t, const Tensor& x)>;

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
  /// y at the begin. @param slope f there; used by those that carry it
  virtual Tensor carry(const Tensor& x, const Tensor& slope) const { return x; }
  /// The state in y.
  virtual Tensor state(const Tensor& y) const { return y; }
  /// Credit of y from that of the state in it.
  virtual Tensor lift(const Tensor& credit) const { return credit; }
  /// Credit of the slope at the begin, from that of y.
  virtual Tensor credit_of_first(const Tensor& lambda) const { return {}; }

  /// X_i; needs k_1 .. k_{i-1}. @param i from 0
  virtual Tensor stage_state(const Tensor& y, double h, const Evaluations& k, int i) const = 0;
  virtual Tensor end(const Tensor& y, double h, const Evaluations& k) const = 0;
  /// d X_i / dh at fixed y and k; of the end for i = stages(). Undefined: none.
  virtual Tensor by_length(const Tensor& y, double h, const Evaluations& k, int i) const = 0;

  /// Of the state at the end, of methods that estimate it. @param last f at the end if wanted
  virtual Tensor error(const Tensor& y, double h, const Evaluations& k,
                       const Evaluation& last) const {
    return {};
  }
  /// The error needs f at the end, which is then the next step's first evaluation.
  virtual bool first_same_as_last() const { return false; }

  /// Credit of k_i from that of y_{n+1} and those of the later X_j; undefined where nothing depends
  /// on it. @param xi credits of X_j; undefined: zero
  virtual Tensor credit_of_slope(int i, double h, const Tensor& lambda,
                                 const std::vector<Tensor>& xi) const = 0;
  /// Credit of y_n.
  virtual Tensor credit_of_begin(double h, const Tensor& lambda,
                                 const std::vector<Tensor>& xi) const = 0;

  /// y_n and the evaluations of the step, from y_{n+1}: a step backwards without anything kept.
  struct Inverted {
    Tensor begin;
    Evaluations k;
  };
  virtual bool inverts() const { return false; }
  virtual Inverted invert(const Field& f, double t, double h, const Tensor& end) const;
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
