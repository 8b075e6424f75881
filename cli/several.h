// Rules and seeds of commands that train several runs.
#pragma once

#include "command.h"

namespace altprop::cli {

/// Whether there are a rule and a data set of these names. @throws UsageError
void check_names(const std::string& rule, const std::string& data_set);

class Several {
 public:
  void add(CLI::App& app, const std::string& help_of_rules);
  /// Flags go above what a configuration names. @param more of the configuration
  /// @param may_be_none whether somebody else may name the rules. @throws UsageError
  void read(const CLI::App& app, const RunSettings& base, const OptionValues& more,
            bool may_be_none = false);
  const std::vector<std::string>& rules() const { return rules_; }
  const std::vector<int64_t>& seeds() const { return seeds_; }

 private:
  std::string rules_text_, seeds_text_;
  std::vector<std::string> rules_;
  std::vector<int64_t> seeds_;
};

}  // namespace altprop::cli
