#include "altprop/ode/method.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/tableau.h"

namespace altprop::ode {

const std::vector<std::string>& gradient_names() {
  static const std::vector<std::string> names = {"naive",    "one-checkpoint", "aca",    "symplectic",
                                                 "binomial", "mali",           "adjoint"};
  return names;
}

Gradient gradient_of(const std::string& name) {
  const std::vector<std::string>& names = gradient_names();
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Gradient>(i);
  throw UsageError("there is no gradient method '" + name + "'" + text::suggestion(name, names));
}

int GradientMethod::graphs(int stages) const {
  if (kind == Gradient::Aca) return stages;
  return static_cast<int>(std::clamp<int64_t>(graph_stages, 1, stages));
}

std::string GradientMethod::text() const {
  namespace text = altprop::text;
  std::string out = gradient_names()[static_cast<size_t>(kind)];
  const auto counted = [&](int64_t n, const char* what) {
    if (n > 0) out += text::cat(", ", n, " ", what, n == 1 ? "" : "s");
  };
  counted(checkpoints, "checkpoint");
  counted(graph_stages, "graph stage");
  if (adjoint.rtol > 0) out += ", rtol " + text::from_number(adjoint.rtol);
  if (adjoint.atol > 0) out += ", atol " + text::from_number(adjoint.atol);
  if (!adjoint.seminorm) out += ", by the gradient too";
  return out;
}

GradientMethod gradient_method(const std::string& name, int64_t checkpoints, int64_t graph_stages,
                               const AdjointSteps& adjoint) {
  const Gradient kind = gradient_of(name);
  if (checkpoints > 0 && kind != Gradient::Binomial)
    throw UsageError("option 'ode.checkpoints' has no effect with ode.gradient=" + name +
                     "; leave it out, or take ode.gradient=binomial");
  if (graph_stages > 0 && kind != Gradient::Symplectic && kind != Gradient::Binomial)
    throw UsageError("option 'ode.graph-stages' has no effect with ode.gradient=" + name +
                     "; leave it out, or take ode.gradient=symplectic or binomial");
  if (adjoint != AdjointSteps() && kind != Gradient::Adjoint)
    throw UsageError(text::cat(
        "option '",
        adjoint.rtol > 0   ? "ode.adjoint-rtol"
        : adjoint.atol > 0 ? "ode.adjoint-atol"
                           : "ode.adjoint-seminorm",
        "' has no effect with ode.gradient=", name,
        "; leave it out, or take ode.gradient=adjoint"));
  return {kind, checkpoints, graph_stages, adjoint};
}

std::string objection(const GradientMethod& method, const Scheme& solver) {
  if (method.kind == Gradient::Mali && !solver.inverts())
    return "ode.gradient=mali finds states by steps backwards, which solver '" + solver.name() +
           "' cannot take; write solver=alf or coupling=0.999 in the network, or use symplectic or "
           "binomial";
  if (method.kind == Gradient::Adjoint && !dynamic_cast<const Tableau*>(&solver))
    return "ode.gradient=adjoint is for Runge-Kutta methods and not for solver '" + solver.name() +
           "'; use mali, which keeps as little and is exact";
  return "";
}

}  // namespace altprop::ode
