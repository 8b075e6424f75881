#include "altprop/base/factors.h"

#include <algorithm>
#include <optional>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

std::string pattern_of(const std::string& item) {
  return text::trim(item.substr(0, item.rfind('=')));
}

}  // namespace

double factor_of(const std::string& option, const std::vector<std::string>& items,
                 const std::string& name) {
  double factor = 1;
  for (const std::string& item : items) {
    const size_t equals = item.rfind('=');
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : text::to_number(text::trim(item.substr(equals + 1)));
    if (!value || *value < 0)
      throw UsageError("option '" + option +
                       "' takes items like fc1=0.1 with a factor of at least 0, but has '" + item +
                       "'");
    if (name.find(pattern_of(item)) != std::string::npos) factor = *value;
  }
  return factor;
}

std::vector<std::string> patterns_without_match(const std::vector<std::string>& items,
                                                const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& item : items) {
    const std::string pattern = pattern_of(item);
    if (std::none_of(names.begin(), names.end(), [&](const std::string& name) {
          return name.find(pattern) != std::string::npos;
        }))
      out.push_back(pattern);
  }
  return out;
}

}  // namespace altprop
