// A rule with settings on a network, as the parameter of a test.
#pragma once

#include <ostream>
#include <string>

#include "altprop/base/options.h"

namespace altprop::test {

struct RuleCase {
  std::string name, rule;
  OptionValues options;
  std::string net, loss;
};

// googletest looks for this name. NOLINTNEXTLINE(readability-identifier-naming)
inline void PrintTo(const RuleCase& c, std::ostream* out) { *out << c.name; }

}  // namespace altprop::test
