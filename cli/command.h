// What the commands of the program share: options from their one declaration to flags, and the
// commands themselves.
#pragma once

#include <CLI/CLI.hpp>

#include "altprop/base/options.h"
#include "altprop/train/settings.h"

namespace altprop::cli {

/// The flags of an Options object on a command line, collected first and applied later, so that a
/// configuration file can come in between.
class Flags {
 public:
  /// Declares one flag per option. @param leave_out names that this command sets in another way
  void add(CLI::App& app, const Options& options, const std::vector<std::string>& leave_out = {});
  void apply(Options& options) const { options.set_all(given_); }
  const OptionValues& given() const { return given_; }

 private:
  OptionValues given_;
};

/// Settings of a run, the later above the earlier: a preset, --config, flags, --rule.X, --data.X
/// and --direction.X.
class RunFlags {
 public:
  void add(CLI::App& app, const std::vector<std::string>& leave_out = {});
  /// @param app after parsing; its leftover arguments are --rule.X, --data.X and
  /// --direction.X. @throws UsageError for any other
  /// @param more gets `rules`, `seeds` and `out` of the configuration; null: they are refused
  RunSettings settings(const CLI::App& app, OptionValues* more = nullptr) const;
  /// A configuration to begin with where --config names none.
  void begin_with(const std::string& config) { if (config_.empty()) config_ = config; }

 private:
  /// "" if neither the flags nor the configuration name one.
  std::string preset_name(const std::string& document) const;

  Flags flags_;
  bool takes_rule_ = true;
  std::string config_, data_dir_, validation_;
};

/// Where a command that trains puts its records, and what it prints.
struct Output {
  std::string dir;
  bool overwrite = false, json = false, quiet = false;
  void add(CLI::App& app);
  /// After all other settings have been read: what is wrong with these is said first.
  /// @param more of a configuration, which may name `out`. @throws UsageError
  void require(const OptionValues& more);
};

// Each adds its command to the program; what it does runs when the parsed command line names it.
void add_train(CLI::App& program);
void add_compare(CLI::App& program);
void add_resume(CLI::App& program);
void add_sweep(CLI::App& program);
void add_check(CLI::App& program);
void add_predict(CLI::App& program);
void add_robustness(CLI::App& program);
void add_export(CLI::App& program);
void add_deploy(CLI::App& program);
void add_describe(CLI::App& program);
void add_list(CLI::App& program);
void add_report(CLI::App& program);
void add_show(CLI::App& program);
void add_diff(CLI::App& program);
void add_data(CLI::App& program);
void add_bench(CLI::App& program);
void add_theory(CLI::App& program);
void add_help(CLI::App& program);

/// The command of this name. @throws UsageError with the one that was probably meant
CLI::App* command_named(CLI::App& program, const std::string& name);
/// Puts examples, each a line without the program's name, below the help text of a command.
void add_examples(CLI::App& command, const std::vector<std::string>& lines);

/// Prints what a sweep has found.
void finish_sweep(const nlohmann::json& result, const std::string& dir, bool json);

/// The command line as typed, for records.
extern std::string command_line;
/// What the program returns if nothing is thrown; 1 after an interrupt.
extern int exit_code;

}  // namespace altprop::cli
