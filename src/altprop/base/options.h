// Options declared once: from one declaration come the command-line flag, the TOML key, the JSON
// listing, the range check with its error sentence and the table in the documentation.
//
//   struct WeightMirrorOptions {
//     double eta = 0.01;
//     void declare(Options& o) {
//       o.number("wm.eta", eta, {.min = 0}, {"mirror step size", "1", "Akrout et al. 2019, arXiv
//       1904.05391"});
//     }
//   };
//
// An Options object refers to the variables it was given; they must outlive it. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace altprop {

/// What the listings say about an option beside its name, type, default and range.
struct OptionDoc {
  std::string help;         ///< one sentence
  std::string unit = "";    ///< "steps", "epochs", "1" for pure numbers, "" where none makes sense
  std::string source = "";  ///< publication or code the default comes from
  /// What it acts on, of an option that may leave a short run of an example network as it is: the
  /// contract tests, which try all options on one, do not look for an effect of it.
  std::string acts_on = "";
};

/// Admissible numbers: min <= value <= max, or strictly greater than min.
struct OptionRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;
};

using OptionValues = std::map<std::string, std::string>;  ///< option name -> its text

class Options {
 public:
  struct Entry {
    std::string name, type, default_text, range_text;
    std::string group;  ///< heading in help texts; "" where there is none
    std::vector<std::string> choices;
    OptionDoc doc;
    bool is_file = false;  ///< the text names a file
    bool given = false;    ///< set explicitly rather than left at its default
    std::function<void(const std::string&)> assign;
    std::function<std::string()> text;
    std::function<nlohmann::json()> json;
  };

  /// @param owner how error sentences name the thing these options belong to, e.g. "rule
  /// 'weight-mirror'"
  explicit Options(std::string owner = "") : owner_(std::move(owner)) {}

  /// The heading of the options that are declared from here on.
  void group(std::string heading) { group_ = std::move(heading); }
  void flag(std::string name, bool& value, OptionDoc doc);
  void integer(std::string name, int64_t& value, OptionRange range, OptionDoc doc);
  void number(std::string name, double& value, OptionRange range, OptionDoc doc);
  void text(std::string name, std::string& value, OptionDoc doc);
  /// A text that names a file, or is empty.
  void file(std::string name, std::string& value, OptionDoc doc);
  void choice(std::string name, std::string& value, std::vector<std::string> choices,
              OptionDoc doc);
  /// Items separated by commas (outside brackets).
  void list(std::string name, std::vector<std::string>& value, OptionDoc doc);
  /// A text with its own grammar; `check` throws UsageError with a clause saying what is wrong.
  void checked_text(std::string name, std::string& value, std::string grammar,
                    std::function<void(const std::string&)> check, OptionDoc doc);

  /// Assigns from text. A name without a dot also stands for the only option that ends in it:
  /// "steps" for "pc.steps". @throws UsageError naming owner, option, value and what is admissible.
  void set(const std::string& name, const std::string& value);
  /// @throws UsageError also if one option is given twice, under two names
  void set_all(const OptionValues& values);
  /// Name of the option that `set` finds: in full where only its last part is written; as it is
  /// written if there is none.
  std::string full_name(const std::string& written) const;

  bool has(const std::string& name) const;
  bool given(const std::string& name) const;
  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::string> names() const;
  /// Name -> current value, for run records.
  nlohmann::json values() const;
  /// One object per option: name, type, default, range or choices, unit, help, source.
  nlohmann::json listing() const;

 private:
  Entry& add(std::string name, std::string type, OptionDoc doc);
  Entry* find(const std::string& name);
  Entry* find_by_last_part(const std::string& name);

  std::string owner_, group_;
  std::vector<Entry> entries_;
};

}  // namespace altprop
