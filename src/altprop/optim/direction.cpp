#include "altprop/optim/direction.h"

#include "altprop/base/registry.h"

namespace altprop {

namespace {

Registry<DirectionEntry>& all_directions() {
  static Registry<DirectionEntry> all("direction");
  return all;
}

}  // namespace

RegisterDirection::RegisterDirection(DirectionEntry entry) : name_(entry.name) {
  all_directions().add(std::move(entry));
}

RegisterDirection::~RegisterDirection() { all_directions().remove(name_); }

const std::vector<DirectionEntry>& direction_entries() { return all_directions().all(); }

std::vector<std::string> direction_names() { return all_directions().names(); }

std::unique_ptr<Direction> make_direction(const std::string& name, const OptionValues& values) {
  std::unique_ptr<Direction> direction = all_directions().at(name).make();
  Options options("direction '" + name + "'");
  if (direction) direction->declare(options);
  options.set_all(values);
  return direction;
}

nlohmann::json direction_options(const std::string& name) {
  const std::unique_ptr<Direction> direction = all_directions().at(name).make();
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
