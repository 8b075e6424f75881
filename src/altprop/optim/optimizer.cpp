#include "altprop/optim/optimizer.h"

#include "altprop/base/registry.h"

namespace altprop {

namespace {

Registry<OptimizerEntry>& all_optimizers() {
  static Registry<OptimizerEntry> all("optimizer");
  return all;
}

}  // namespace

RegisterOptimizer::RegisterOptimizer(OptimizerEntry entry) : name_(entry.name) {
  all_optimizers().add(std::move(entry));
}

RegisterOptimizer::~RegisterOptimizer() { all_optimizers().remove(name_); }

const std::vector<OptimizerEntry>& optimizer_entries() { return all_optimizers().all(); }

std::vector<std::string> optimizer_names() { return all_optimizers().names(); }

std::shared_ptr<const Optimizer> optimizer_named(const std::string& name) {
  return all_optimizers().at(name).optimizer;
}

}  // namespace altprop
