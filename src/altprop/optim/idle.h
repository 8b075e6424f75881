// Settings that were changed and do nothing, because what was chosen does not look at them.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "altprop/base/options.h"

namespace altprop {

/// One sentence for each of `names` that `mine` has other than `usual` and that is not among `uses`.
/// @param uses unknown: none
/// @param choice "--optimizer adam"
template <class Settings>
std::vector<std::string> text_of_idle(Settings& mine, Settings& usual,
                                      const std::vector<std::string>& names,
                                      const std::optional<std::vector<std::string>>& uses,
                                      const std::string& choice) {
  std::vector<std::string> out;
  if (!uses) return out;
  Options here, there;
  mine.declare(here);
  usual.declare(there);
  const nlohmann::json is = here.values(), was = there.values();
  for (const std::string& name : names) {
    const bool used = std::count(uses->begin(), uses->end(), name) > 0;
    if (!used && is.value(name, nlohmann::json()) != was.value(name, nlohmann::json()))
      out.push_back("--" + name + " has no effect with " + choice);
  }
  return out;
}

}  // namespace altprop
