#include "altprop/optim/direction.h"

namespace altprop {

template <>
Registry<DirectionEntry>& registry_of() {
  static Registry<DirectionEntry> all("direction");
  return all;
}

const std::vector<DirectionEntry>& direction_entries() {
  return registry_of<DirectionEntry>().all();
}

std::vector<std::string> direction_names() { return registry_of<DirectionEntry>().names(); }

std::unique_ptr<Direction> make_direction(const std::string& name, const OptionValues& values) {
  std::unique_ptr<Direction> direction = registry_of<DirectionEntry>().at(name).make();
  Options options("direction '" + name + "'");
  if (direction) direction->declare(options);
  options.set_all(values);
  return direction;
}

nlohmann::json direction_options(const std::string& name) {
  const std::unique_ptr<Direction> direction = registry_of<DirectionEntry>().at(name).make();
  Options options;
  if (direction) direction->declare(options);
  return options.listing();
}

bool is_direction_option(const std::string& option) {
  for (const DirectionEntry& entry : direction_entries())
    if (const std::unique_ptr<Direction> direction = entry.make()) {
      Options options;
      direction->declare(options);
      if (options.has(option)) return true;
    }
  return false;
}

}  // namespace altprop
