// What a forward pass through an ODE block leaves for its reverse pass, by gradient method.
#pragma once

#include <string>

#include "altprop/network/graph.h"
#include "altprop/ode/integrate.h"

namespace altprop::ode {

/// How the credit of the end becomes the credit of the begin. All but Adjoint are exact: they are
/// the derivative of the steps that were taken, and differ in memory and evaluations alone. With N
/// steps, s stages, X bytes of a state and U bytes that an evaluation keeps for its derivative:
///
///   Naive          N s U          nothing is evaluated again
///   OneCheckpoint  N s U (+ X)    in the reverse pass: N s evaluations
///   Aca            s U + N X      N s         (Zhuang et al. 2020, arXiv 2006.02493)
///   Symplectic     U + (N + s) X  N (2 s - 1) (Matsubara et al. 2021, arXiv 2102.09750)
///   Adjoint        U + O(X)       wrong by O(tolerance) (Chen et al. 2018, arXiv 1806.07366)
enum class Gradient { Naive, OneCheckpoint, Aca, Symplectic, Adjoint };

/// "naive", "one-checkpoint", "aca", "symplectic", "adjoint".
const std::vector<std::string>& gradient_names();
/// @throws UsageError with a suggestion
Gradient gradient_of(const std::string& name);

struct Record {
  Gradient gradient = Gradient::Symplectic;
  Pass pass;  ///< whose draws every evaluation repeats
  double end_time = 1;
  std::vector<TimeStep> steps;  ///< those that were accepted
  Tensor begin, end;            ///< x(0); x(T) where the method needs it
  std::vector<Tensor> states;   ///< x_n of every step: Aca, Symplectic
  std::vector<std::vector<std::shared_ptr<Activity>>> stages;  ///< of every step: Naive
  Costs forward, backward;
};

/// f(t, z), a graph of the inputs z and, if it has a second one, t [1].
/// @param keep evaluations hold what a reverse pass through f needs
Field field_of(const Graph& f, const Pass& pass, bool keep);

/// Integrates from 0 to record.end_time, along record.steps if there are any, else with steps of
/// its own, and fills the record as record.gradient needs. @returns x(T)
Tensor record_forward(const Tableau& method, const Graph& f, const Tensor& begin,
                      const StepSizes& sizes, Record& record);

/// Tangent of the end at the recorded steps. @param tangent of the begin, [K*B, ...]; undefined:
/// none @param params tangents of parameters; may be null
Tensor push_along(const Tableau& method, const Graph& f, const Record& record,
                  const Tensor& tangent, const ParamTangents& params);

/// The reverse pass: credit of the begin, with the feedback and the sink of `sweep`, which receives
/// signals of f's operations, once per evaluation. Site::use is step * s + stage.
Tensor record_back(const Tableau& method, const Graph& f, const StepSizes& sizes, Record& record,
                   const Tensor& cot, Sweep& sweep);

/// The same with the continuous adjoint equation; see adjoint.cpp.
Tensor adjoint_back(const Tableau& method, const Graph& f, const StepSizes& sizes, Record& record,
                    const Tensor& cot, Sweep& sweep);

}  // namespace altprop::ode
