// How the credit of the end of an ODE block becomes the credit of its begin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace altprop::ode {

class Scheme;

/// All but Adjoint are exact: they are the derivative of the steps that were taken, and differ in
/// memory and evaluations alone. With N steps, s stages, X bytes of what is carried from step to
/// step and U bytes that an evaluation keeps for its derivative:
///
///   Naive          N s U          nothing is evaluated again
///   OneCheckpoint  N s U (+ X)    in the reverse pass: N s evaluations
///   Aca            s U + N X      N s         (Zhuang et al. 2020, arXiv 2006.02493)
///   Symplectic     g U + (N + s) X  N (2 s - g) (Matsubara et al. 2021, arXiv 2102.09750)
///   Binomial       g U + (c + s + 1) X  the same and s for each repeated step (Griewank, Walther 2000)
///   Mali           U + O(X)       N           of schemes that can be inverted (Zhuang et al. 2021,
///                                             arXiv 2102.04668)
///   Adjoint        U + O(X)       wrong by O(tolerance) (Chen et al. 2018, arXiv 1806.07366)
enum class Gradient { Naive, OneCheckpoint, Aca, Symplectic, Binomial, Mali, Adjoint };

/// "naive", "one-checkpoint", "aca", "symplectic", "binomial", "mali", "adjoint".
const std::vector<std::string>& gradient_names();
/// @throws UsageError with a suggestion
Gradient gradient_of(const std::string& name);

/// How Adjoint steps backwards where steps are adaptive.
struct AdjointSteps {
  double rtol = 0, atol = 0;  ///< 0: the block's own
  /// Steps go by the errors of state and credit alone, not by those of the gradient as well (Kidger
  /// et al. 2020, arXiv 2009.09457).
  bool seminorm = true;
  bool operator==(const AdjointSteps&) const = default;
};

struct GradientMethod {
  Gradient kind;
  int64_t checkpoints;   ///< Binomial, c: states kept at once; 0: log2 of the steps
  int64_t graph_stages;  ///< Symplectic, Binomial, g: graphs kept at once; 0: 1
  AdjointSteps adjoint;  ///< Adjoint

  GradientMethod(Gradient kind = Gradient::Symplectic, int64_t checkpoints = 0,
                 int64_t graph_stages = 0, AdjointSteps adjoint = {})
      : kind(kind), checkpoints(checkpoints), graph_stages(graph_stages), adjoint(adjoint) {}

  bool is_exact() const { return kind != Gradient::Adjoint; }
  /// Graphs of f that are kept at once, of a step of s stages.
  int graphs(int stages) const;
  /// "binomial, 8 checkpoints, 2 graph stages", "adjoint, rtol 1e-8"
  std::string text() const;
  bool operator==(const GradientMethod&) const = default;
};

/// @throws UsageError if an option has no effect for this kind
GradientMethod gradient_method(const std::string& name, int64_t checkpoints, int64_t graph_stages,
                               const AdjointSteps& adjoint = {});

/// Why the method cannot be had with this solver and what to do instead; "" if it can.
std::string objection(const GradientMethod& method, const Scheme& solver);

}  // namespace altprop::ode
