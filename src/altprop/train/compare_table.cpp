// The table of a comparison: a row per rule, as numbers and as text.
#include <algorithm>
#include <map>
#include <set>

#include "altprop/base/text.h"
#include "altprop/train/compare.h"
#include "altprop/train/spread.h"

namespace altprop {

namespace {

/// Mean over a run's parameters of a field of its last probe; nothing where one lacks it, because a
/// rule that leaves layers as they are has no angle there and the mean of the rest would flatter
/// it.
std::optional<double> layer_mean(const nlohmann::json& run, const char* field) {
  double sum = 0;
  int64_t n = 0;
  for (const auto& row : run.value("gradient", nlohmann::json::array())) {
    if (!row.contains(field) || !row[field].is_number()) return std::nullopt;
    sum += row[field].get<double>();
    ++n;
  }
  return n ? std::optional<double>(sum / static_cast<double>(n)) : std::nullopt;
}

/// Names of the scores that some run has beside loss and accuracy.
std::vector<std::string> other_scores(const nlohmann::json& summary) {
  std::vector<std::string> out;
  for (const auto& run : summary["runs"])
    for (const auto& score : run.value("scores", nlohmann::json::array()))
      if (const std::string name = score["name"]; !std::count(out.begin(), out.end(), name))
        out.push_back(name);
  return out;
}

}  // namespace

nlohmann::json compare_table(const nlohmann::json& summary) {
  std::vector<std::string> labels;
  std::map<std::string, std::map<std::string, std::vector<double>>> values;
  std::map<std::string, int64_t> runs, diverged;
  std::set<std::string> stochastic;
  const std::vector<std::string> own_scores = other_scores(summary);
  for (const auto& run : summary["runs"]) {
    const std::string label = run["label"];
    if (!values.count(label)) labels.push_back(label);
    auto& row = values[label];
    ++runs[label];
    if (run.value("stochastic", false)) stochastic.insert(label);
    const auto add = [&](std::initializer_list<const char*> keys) {
      for (const char* key : keys)
        if (run.contains(key) && run[key].is_number()) row[key].push_back(run[key]);
    };
    add({"time_relative_to_backprop", "memory_relative_to_backprop"});
    if (run.value("status", "") == "diverged") {  // what it had before has not lasted
      ++diverged[label];
      continue;
    }
    add({"test_accuracy", "test_loss"});
    for (const std::string& name : own_scores) add({("test_" + name).c_str()});
    if (auto angle = layer_mean(run, "angle_degrees")) row["angle_degrees"].push_back(*angle);
    if (auto ratio = layer_mean(run, "magnitude_ratio")) row["magnitude_ratio"].push_back(*ratio);
  }
  nlohmann::json table = nlohmann::json::array();
  for (const std::string& label : labels) {
    nlohmann::json row{{"label", label}, {"runs", runs[label]}, {"diverged", diverged[label]}};
    for (const char* key : {"test_accuracy", "test_loss", "angle_degrees", "magnitude_ratio",
                            "time_relative_to_backprop", "memory_relative_to_backprop"})
      row[key] = spread(values[label][key]);
    for (const std::string& name : own_scores)
      row["scores"][name] = spread(values[label]["test_" + name]);
    if (stochastic.count(label)) row["stochastic"] = true;
    table.push_back(row);
  }
  return table;
}

std::string table_text(const nlohmann::json& table) {
  struct Column {
    std::string title, key;
    double factor;
    int digits;
    bool of_steps = false;   ///< also of runs that diverged
    bool own_score = false;  ///< of the learners, in the row's "scores"
  };
  std::vector<Column> columns = {{"accuracy %", "test_accuracy", 100, 2},
                                 {"loss", "test_loss", 1, 4},
                                 {"angle deg", "angle_degrees", 1, 1},
                                 {"magnitude", "magnitude_ratio", 1, 2},
                                 {"time/BP", "time_relative_to_backprop", 1, 2, true},
                                 {"memory/BP", "memory_relative_to_backprop", 1, 2, true}};
  if (!table.empty() && table[0].contains("scores"))
    for (const auto& [name, value] : table[0]["scores"].items())
      columns.insert(columns.begin() + 2, {name, name, 1, 4, false, true});
  size_t width = 4;
  for (const auto& row : table) width = std::max(width, row["label"].get<std::string>().size());
  auto pad = [](std::string s, size_t n) {
    return s.size() < n ? s + std::string(n - s.size(), ' ') : s;
  };
  std::string out = pad("rule", width);
  for (const Column& c : columns) out += "  " + pad(c.title, 16);
  out += "\n";
  for (const auto& row : table) {
    out += pad(row["label"], width);
    for (const Column& c : columns) {
      const nlohmann::json& v = c.own_score ? row["scores"][c.key] : row[c.key];
      std::string cell = spread_text(v, c.factor, c.digits);
      // A mean over the seeds that are left says so.
      if (v.is_object() && row.value("diverged", int64_t{0}) > 0 && !c.of_steps) cell += " *";
      out += "  " + pad(cell, 16);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += "\n";
  }
  for (const auto& row : table)
    if (const int64_t lost = row.value("diverged", int64_t{0}); lost > 0)
      out +=
          text::cat(lost < row["runs"].get<int64_t>() ? "* " : "", row["label"].get<std::string>(),
                    ": ", lost, " of ", row["runs"].get<int64_t>(),
                    lost == 1 ? " runs diverged and has no outcome\n"
                              : " runs diverged and have no outcome\n");
  for (const auto& row : table)
    if (row.value("stochastic", false))
      out += row["label"].get<std::string>() +
             ": its gradient is a random estimate, and the angle is that of single draws\n";
  return out;
}

}  // namespace altprop
