// What a sweep has found: as a table, as rules for a comparison, and as a sentence about fairness.
#include <algorithm>
#include <cstdio>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/train/spread.h"
#include "altprop/train/sweep/sweep.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

std::string measured_by(const nlohmann::json& result) {
  std::string out = result.value("by", "");
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

/// "lr (7 values, 0.0001 to 1)".
std::string axis_text(const nlohmann::json& axis) {
  const auto values = axis.at("values").get<std::vector<std::string>>();
  const std::string rule = axis.at("rule").get<std::string>();
  return text::cat(axis.at("option").get<std::string>(), " (", values.size(),
                   values.size() == 1 ? " value, " : " values, ", values.front(),
                   values.size() > 1 ? " to " + values.back() : "",
                   rule.empty() ? "" : ", of " + rule + " only", ")");
}

/// "epoch" or "epochs", counted.
std::string counted(int64_t n, const char* word) {
  return text::cat(n, " ", word, n == 1 ? "" : "s");
}

}  // namespace

nlohmann::json sweep_result(const fs::path& dir) {
  std::error_code error;
  if (!fs::exists(dir / "sweep.json", error))
    throw UsageError("'" + dir.string() +
                     "' is no folder of a sweep; name one that 'altprop sweep --out' wrote");
  if (!fs::exists(dir / "result.json", error))
    throw UsageError("the sweep in '" + dir.string() +
                     "' has no result yet; go on with: altprop resume " + dir.string());
  const std::string path = (dir / "result.json").string();
  nlohmann::json found = read_json_file(path);
  try {
    for (const nlohmann::json& rule : found.at("rules")) {
      rule.at("rule").get<std::string>();
      if (!rule.at("best").is_null()) rule.at("best").get<std::string>();
      rule.at("epochs_trained").get<int64_t>();
      for (const nlohmann::json& point : rule.at("points")) point.at("point").get<std::string>();
    }
    for (const nlohmann::json& axis : found.at("axes"))
      if (axis.at("values").get<std::vector<std::string>>().empty()) throw Error("no values");
    found.at("seeds").get<std::vector<int64_t>>();
    for (const char* key : {"epochs", "halving", "validation_samples"})
      found.at(key).get<int64_t>();
    found.at("done").get<bool>();
  } catch (const std::exception&) {
    throw Error("'" + path + "' is damaged; make it anew with: altprop resume " + dir.string());
  }
  return found;
}

std::string sweep_text(const nlohmann::json& result) {
  const std::string by = measured_by(result);
  const bool share = by.ends_with("accuracy");
  std::string out;
  for (const nlohmann::json& rule : result.at("rules")) {
    size_t width = 5;
    for (const nlohmann::json& point : rule.at("points"))
      width = std::max(width, point.at("point").get<std::string>().size());
    const auto pad = [](std::string s, size_t n) {
      return s.size() < n ? s + std::string(n - s.size(), ' ') : s;
    };
    out += (out.empty() ? "" : "\n") + pad("point", width) + "  " +
           pad(by + (share ? " %" : ""), 24) + "  epochs\n";
    for (const nlohmann::json& point : rule.at("points")) {
      std::string cell = "-", note;
      if (point.contains("score")) {
        cell = spread_text(point["score"], share ? 100 : 1, share ? 2 : 4);
        if (const int64_t lost = point.value("diverged", int64_t{0}); lost > 0)
          note = text::cat("  ", lost, " diverged");
      }
      if (point["point"] == rule["best"]) note += "  best";
      const int64_t epochs = point.value("epochs", int64_t{0});
      out += text::printable(pad(point["point"].get<std::string>(), width) + "  " +
                             pad(cell, 24) + "  " + std::to_string(epochs)) + note + "\n";
    }
    if (rule["best"].is_null() && result.at("done") == true)
      out += rule["rule"].get<std::string>() + ": no point came to its end in all seeds\n";
  }
  return out;
}

std::vector<std::string> tuned_rules(const nlohmann::json& result,
                                     const std::vector<std::string>& rules) {
  std::vector<std::string> wanted = rules, known, out;
  for (const nlohmann::json& rule : result.at("rules")) known.push_back(rule.at("rule"));
  if (wanted.empty()) wanted = known;
  if (!result.at("done").get<bool>())
    throw UsageError("the sweep is not done, so its rates are not yet comparable; go on with "
                     "'altprop resume' first");
  for (const std::string& rule : wanted) {
    const nlohmann::json* found = nullptr;
    for (const nlohmann::json& one : result.at("rules")) {
      const std::string name = one.at("rule");
      if (text::trim(name) == text::trim(rule)) found = &one;
    }
    // Another name of a rule that is written without options is the same rule.
    for (const nlohmann::json& one : result.at("rules")) {
      const RuleText a = parse_rule(one.at("rule").get<std::string>()), b = parse_rule(rule);
      if (!found && a.name == b.name && a.values.empty() && b.values.empty()) found = &one;
    }
    if (!found)
      throw UsageError("the sweep did not tune '" + rule + "'; it has " + text::join(known, ", "));
    if (found->at("best").is_null())
      throw UsageError("the sweep found nothing for '" + rule +
                       "': no point came to its end in all seeds");
    out.push_back(found->at("best"));
  }
  return out;
}

std::string fairness_of(const nlohmann::json& result, const std::string& folder) {
  std::vector<std::string> axes, rules;
  std::set<int64_t> budgets;
  for (const nlohmann::json& axis : result.at("axes")) axes.push_back(axis_text(axis));
  for (const nlohmann::json& rule : result.at("rules")) {
    rules.push_back(rule.at("rule"));
    budgets.insert(rule.at("epochs_trained").get<int64_t>());
  }
  const int64_t halving = result.at("halving").get<int64_t>();
  const auto seeds = static_cast<int64_t>(result.at("seeds").size());
  std::string budget = counted(*budgets.begin(), "epoch");
  if (budgets.size() > 1)
    budget = text::cat(*budgets.begin(), " to ", *budgets.rbegin(), " epochs");
  return text::cat(
      "Tuned for each of ", text::join(rules, ", "), ": ", text::join(axes, ", "), ", by ",
      measured_by(result), " on ", result.at("validation_samples").get<int64_t>(),
      " samples held out of the training data, never by test data; up to ",
      counted(result.at("epochs").get<int64_t>(), "epoch"), " a point from ",
      counted(seeds, "seed"), halving > 1 ? text::cat(", successive halving by ", halving) : "",
      ", ", budgets.size() > 1 ? "" : "the same ", budget, " of training ",
      budgets.size() > 1 ? "a rule, which are not the same for all" : "for every rule",
      " (sweep in ", folder, ").");
}

}  // namespace altprop
