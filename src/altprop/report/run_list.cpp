#include "altprop/report/run_list.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"
#include "altprop/report/flat_records.h"
#include "altprop/report/outcome.h"
#include "altprop/report/records.h"
#include "altprop/report/show.h"

namespace altprop::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json finite_or_null(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

bool is_run(const fs::path& dir) {
  std::error_code error;
  const auto has = [&](const char* name) { return fs::exists(dir / name, error); };
  if (has("metrics.jsonl")) return true;
  return !has("compare.json") && !has("sweep.json") && has("config.toml") &&
         (has("summary.json") || has("checkpoint.safetensors"));
}

json row_of(const Run& run, const std::string& folder) {
  const auto of = [&](const char* key) { return run.summary.value(key, json(nullptr)); };
  const double asked = number_of(run.summary.value("settings", json(nullptr)), "epochs");
  const auto accuracy = measure(run, "test_accuracy");
  return {{"folder", folder},
          {"rule", label_of(run)},
          {"rule_name", text_of(run.summary, "rule")},
          {"net", of("net")},
          {"data", of("data")},
          {"seed", of("seed")},
          {"epochs", of("epochs").is_number() ? of("epochs") : json(0)},
          {"epochs_asked", finite_or_null(asked)},
          {"state", run.state},
          {"accuracy", finite_or_null(best_accuracy(run))},
          {"last", accuracy ? finite_or_null(accuracy->last) : json(nullptr)},
          {"loss", finite_or_null(best_loss(run))},
          {"seconds", finite_or_null(number_of(run.summary, "train_seconds"))},
          {"title", text_of(run.summary, "title")}};
}

void look_into(const fs::path& dir, const fs::path& top, RunList& out, int depth) {
  constexpr int kDeepest = 32;
  if (is_run(dir)) {
    const fs::path relative = dir.lexically_relative(top);
    const std::string shown = relative.empty() ? dir.string() : relative.string();
    try {
      const Records records = read_records(dir);
      for (const std::string& note : records.notes) out.notes.push_back(shown + ": " + note);
      if (!records.comparison) out.rows.push_back(row_of(records.runs.at(0), shown));
    } catch (const Error& error) {
      out.notes.push_back(error.what());
    }
  }
  std::error_code error;
  std::vector<fs::path> below;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code unknown;
    if (fs::symlink_status(it->path(), unknown).type() == fs::file_type::directory)
      below.push_back(it->path());
  }
  if (error) out.notes.push_back("'" + dir.string() + "' cannot be read: " + error.message());
  if (depth >= kDeepest) return;
  std::sort(below.begin(), below.end());
  for (const fs::path& folder : below) look_into(folder, top, out, depth + 1);
}

const RunColumn& column_named(const std::string& name, const char* option) {
  std::vector<std::string> known;
  for (const RunColumn& column : run_columns()) {
    if (column.name == name) return column;
    known.push_back(column.name);
  }
  throw UsageError(text::cat("option '", option, "' names the column '", name, "'",
                             text::suggestion(name, known)));
}

struct Condition {
  const RunColumn* column = nullptr;
  std::string compare, value;
  double number = NAN;
};

Condition condition_of(const std::string& written) {
  const size_t at = written.find_first_of("=!<>~");
  Condition out;
  if (at != std::string::npos) {
    const bool two = at + 1 < written.size() && written[at + 1] == '=' && written[at] != '=' &&
                     written[at] != '~';
    out.compare = written.substr(at, two ? 2 : 1);
    out.value = text::trim(written.substr(at + out.compare.size()));
  }
  if (at == std::string::npos || out.compare == "!" || out.value.empty())
    throw UsageError("option 'filter' has '" + written +
                     "', which is no condition; write conditions like rule=fa,accuracy>0.9");
  out.column = &column_named(text::trim(written.substr(0, at)), "filter");
  std::string digits = out.value;
  const bool percent = digits.ends_with('%');
  if (percent) digits.pop_back();
  if (const auto value = text::to_number(text::trim(digits)))
    out.number = percent ? *value / 100 : *value;
  if (out.column->number && !std::isfinite(out.number))
    throw UsageError(text::cat("option 'filter' compares '", out.column->name, "' with '",
                               out.value, "', which is no number"));
  if (!out.column->number && out.compare.find_first_of("<>") != std::string::npos)
    throw UsageError("option 'filter' has '" + written + "', but '" + out.column->name +
                     "' is a text; compare it with =, != or ~");
  return out;
}

bool holds(const Condition& c, const json& row,
           const std::function<std::string(const std::string&)>& named) {
  const json& found = row[c.column->name];
  if (c.column->number && c.compare != "~") {
    if (!found.is_number()) return c.compare == "!=";
    const double value = found.get<double>();
    return c.compare == "="    ? value == c.number
           : c.compare == "!=" ? value != c.number
           : c.compare == "<"  ? value < c.number
           : c.compare == "<=" ? value <= c.number
           : c.compare == ">"  ? value > c.number
                               : value >= c.number;
  }
  const std::string value = found.is_string() ? found.get<std::string>()
                            : found.is_null() ? std::string()
                                              : found.dump();
  if (c.compare == "~") return value.find(c.value) != std::string::npos;
  const bool same = value == c.value ||
                    (c.column->name == "rule" && row["rule_name"] == json(named(c.value)));
  return (c.compare == "=") == same;
}

std::string percent_text(const json& share) {
  if (!share.is_number()) return "-";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f", 100 * share.get<double>());
  return buffer;
}

std::string words(const json& value, size_t most) {
  const std::string s = value.is_string() ? value.get<std::string>()
                        : value.is_null() ? std::string("-")
                                          : value.dump();
  const std::string shown = text::printable(s, 1000);
  return columns_of(shown) > most ? padded(shown, most) : shown;
}

}  // namespace

const std::vector<RunColumn>& run_columns() {
  static const std::vector<RunColumn> all = {
      {"folder", "of the run, below the one that was named"},
      {"rule", "its label: the rule as it was written"},
      {"net", "network"},
      {"data", "data set"},
      {"seed", "seed", true},
      {"epochs", "epochs done", true, true},
      {"state", "finished, running, stopped (interrupted or killed) or diverged"},
      {"accuracy", "the best on the test data; with validation data that of the best epoch", true,
       true},
      {"last", "accuracy on the test data after the last epoch", true, true},
      {"loss", "likewise the best", true},
      {"seconds", "of training", true}};
  return all;
}

RunList list_runs(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error("there is no folder '" + folder.string() + "' to look for runs in");
  RunList out;
  look_into(folder, folder, out, 0);
  return out;
}

void filter_runs(RunList& list, const std::string& conditions,
                 const std::function<std::string(const std::string&)>& named) {
  for (const std::string& written : text::split_outside_brackets(conditions, ',')) {
    const Condition condition = condition_of(text::trim(written));
    std::erase_if(list.rows, [&](const json& row) { return !holds(condition, row, named); });
  }
}

void sort_runs(RunList& list, const std::string& column) {
  const bool other_way = column.starts_with('-');
  const RunColumn& by = column_named(column.substr(other_way ? 1 : 0), "sort");
  const bool falling = by.more_first != other_way;
  std::stable_sort(list.rows.begin(), list.rows.end(), [&](const json& a, const json& b) {
    const json &x = a[by.name], &y = b[by.name];
    if (x.is_null() || y.is_null()) return !x.is_null() && y.is_null();
    return falling ? y < x : x < y;
  });
}

std::string list_text(const RunList& list, const TerminalLook& look) {
  if (list.rows.empty()) return "no runs\n";
  std::vector<std::vector<std::string>> rows = {{"folder", "rule", "net", "data", "seed", "epochs",
                                                 "state", "accuracy %", "last %", "loss", "time"}};
  for (const json& row : list.rows) {
    std::string epochs = row["epochs"].dump();
    if (row["epochs_asked"].is_number())
      epochs += "/" + text::from_number(row["epochs_asked"].get<double>());
    char loss[32] = "-";
    if (row["loss"].is_number())
      std::snprintf(loss, sizeof loss, "%.4g", row["loss"].get<double>());
    rows.push_back({words(row["folder"], 48), words(row["rule"], 40), words(row["net"], 32),
                    words(row["data"], 20), words(row["seed"], 12), epochs, words(row["state"], 9),
                    percent_text(row["accuracy"]), percent_text(row["last"]), loss,
                    row["seconds"].is_number() ? text::clock_text(row["seconds"].get<double>())
                                               : "-"});
  }
  return table_of(rows,
                  {false, false, false, false, true, true, false, true, true, true, true}, look);
}

std::string list_csv(const RunList& list) {
  FlatTable table;
  for (const RunColumn& column : run_columns()) table.columns.push_back(column.name);
  table.rows = list.rows;
  return csv(table);
}

}  // namespace altprop::report
