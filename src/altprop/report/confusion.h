// Classes of a run: how many samples of each are recognised, and what the others are taken for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "altprop/report/records.h"
#include "altprop/report/terminal_chart.h"

namespace altprop::report {

struct Confusion {
  std::string part;                          ///< of the data: test or validation
  std::vector<std::string> names;            ///< of classes; their numbers where they have none
  std::vector<std::vector<double>> counts;   ///< [class][taken for]
  double samples(size_t c) const;
  double accuracy(size_t c) const;  ///< NaN of a class without samples
};

/// Nothing where a run's summary has no table, or none that is one.
std::optional<Confusion> confusion_of(const Run& run);

/// A row for each class, the least recognised first, with what it is taken for most; then, of at
/// most twenty classes, all counts.
std::string confusion_text(const Confusion& table, const TerminalLook& look);

}  // namespace altprop::report
