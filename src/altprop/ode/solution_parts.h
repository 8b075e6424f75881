// What the functions of odeint.h may touch of a solution.
#pragma once

#include "altprop/ode/odeint.h"

namespace altprop::ode {

struct SolutionParts {
  static std::shared_ptr<Graph>& f(Solution& s) { return s.f_; }
  static std::shared_ptr<const Scheme>& scheme(Solution& s) { return s.scheme_; }
  static StepSizes& sizes(Solution& s) { return s.sizes_; }
  static std::shared_ptr<Record>& record(Solution& s) { return s.record_; }
  static bool& each(Solution& s) { return s.each_; }
  static bool each(const Solution& s) { return s.each_; }
  static const Graph& f(const Solution& s) { return *s.f_; }
  static const Scheme& scheme(const Solution& s) { return *s.scheme_; }
  static const StepSizes& sizes(const Solution& s) { return s.sizes_; }
  static Record& record(const Solution& s) { return *s.record_; }
};

/// A solution whose record is still to be filled, after a look at whether f, x0 and options fit.
Solution begun(const std::shared_ptr<Graph>& f, const Tensor& x0, std::vector<Span> spans,
               const OdeintOptions& options);

}  // namespace altprop::ode
