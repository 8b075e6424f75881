#include "altprop/optim/optimizer.h"

namespace altprop {

template <>
Registry<OptimizerEntry>& registry_of() {
  static Registry<OptimizerEntry> all("optimizer");
  return all;
}

const std::vector<OptimizerEntry>& optimizer_entries() {
  return registry_of<OptimizerEntry>().all();
}

std::vector<std::string> optimizer_names() { return registry_of<OptimizerEntry>().names(); }

std::shared_ptr<const Optimizer> optimizer_named(const std::string& name) {
  return registry_of<OptimizerEntry>().at(name).optimizer;
}

}  // namespace altprop
