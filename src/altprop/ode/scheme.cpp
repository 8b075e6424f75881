#include "altprop/ode/scheme.h"

#include "altprop/base/error.h"
#include "altprop/base/registry.h"

namespace altprop::ode {

namespace {

struct Solver {
  std::string name;
  std::shared_ptr<const Scheme> scheme;
  int order;  ///< in listings
};

Registry<Solver>& solvers() {
  static Registry<Solver> all("solver");
  return all;
}

}  // namespace

Moment::operator double() const {
  if (each.defined())
    throw Error("ode: samples have times of their own, but f takes one time for the whole batch");
  return t;
}

Scheme::Inverted Scheme::invert(const StageField&, const Length&, const Tensor&) const {
  throw Error("ode: solver '" + name() + "' takes no step back");
}

RegisterScheme::RegisterScheme(std::string name, int place, std::shared_ptr<const Scheme> scheme) {
  solvers().add({std::move(name), std::move(scheme), place});
}

std::vector<std::string> scheme_names() { return solvers().names(); }

std::shared_ptr<const Scheme> scheme(const std::string& name) { return solvers().at(name).scheme; }

}  // namespace altprop::ode
