// Two runs, or two comparisons, beside each other.
#pragma once

#include <map>
#include <string>

#include "altprop/report/records.h"
#include "altprop/report/terminal_chart.h"

namespace altprop::report {

/// A run as it is compared: its settings by name, and what it recorded.
struct Side {
  std::string dir;
  Records records;
  std::map<std::string, std::string> settings;  ///< of the first run; of a comparison, its own
};

/// Settings that differ and results side by side; that the records are the same, or where they part
/// first. Clocks, and what is drawn to name a run, do not count.
std::string difference_text(const Side& a, const Side& b, const TerminalLook& look);

/// "" if the records of two runs are the same; else "epoch 2: test_loss is 0.5 and 0.6".
std::string first_difference(const Run& a, const Run& b);

}  // namespace altprop::report
