// One step of an explicit Runge-Kutta method.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "altprop/ode/tableau.h"
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

/// dx/dt = f(t, x). Times are double whatever the state is.
using Field = std::function<Evaluation(double t, const Tensor& x)>;

/// x + h (w_1 k_1 + ... + w_n k_n) with `weight(j)` of `n`; zero weights are left out. `x` itself
/// where all are zero. Nothing that is given is written to.
Tensor combine(const Tensor& x, double h, const std::vector<Evaluation>& k, int n,
               const std::function<double(int)>& weight);

/// X_i of a step: needs k_1 .. k_{i-1}. @param i from 0
Tensor stage_state(const Tableau& method, const Tensor& x, double h,
                   const std::vector<Evaluation>& k, int i);

struct StepResult {
  Tensor end;                 ///< x_{n+1}
  std::vector<Evaluation> k;  ///< of all stages
  Evaluation last = {};       ///< f at the end, of methods whose error needs it
  Tensor error = {};          ///< h sum d_i k_i; undefined unless asked for
  int evaluations = 0;
};

/// @param h of any sign @param first k_1 if it is known @param with_error also the error
StepResult take_step(const Tableau& method, const Field& f, double t, double h, const Tensor& x,
                     const Evaluation* first, bool with_error);

/// Evaluates the stages 1 .. `stages` of a step (k_1 .. k_stages).
std::vector<Evaluation> evaluate_stages(const Tableau& method, const Field& f, double t, double h,
                                        const Tensor& x, int stages, const Evaluation* first);

}  // namespace altprop::ode
