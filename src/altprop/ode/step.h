// One step of an explicit method.
#pragma once

#include "altprop/ode/combine.h"
#include "altprop/ode/tableau.h"

namespace altprop::ode {

/// X_i of a step: needs k_1 .. k_{i-1}. @param i from 0
Tensor stage_state(const Scheme& method, const Tensor& y, double h, const Evaluations& k, int i);

/// One step of a record.
struct TimeStep {
  double t, h;
  int output = -1;    ///< number of the output at its end; -1: none
  bool jump = false;  ///< f jumps at its end
};

/// Where stage i of a step is evaluated. A step that ends at a jump of f stays on this side of it.
/// @param like the state, whose number format the time is going to have
double stage_time(const Scheme& method, const TimeStep& step, int i, const Tensor& like);

struct StepResult {
  Tensor end;             ///< y_{n+1}
  Evaluations k;          ///< of all stages
  Evaluation last = {};   ///< f at the end, of methods whose error needs it
  Tensor error = {};      ///< of the state; undefined unless asked for
  int evaluations = 0;
};

/// @param step h of any sign @param first k_1 if it is known @param with_error also the error
StepResult take_step(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                     const Evaluation* first, bool with_error);
inline StepResult take_step(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, const Evaluation* first, bool with_error) {
  return take_step(method, f, TimeStep{t, h}, y, first, with_error);
}

/// Evaluates more stages of a step: k_{k.size()+1} .. k_stages.
void evaluate_more(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                   int stages, Evaluations& k);
/// All of the first `stages`.
Evaluations evaluate_stages(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, int stages, const Evaluation* first);

}  // namespace altprop::ode
