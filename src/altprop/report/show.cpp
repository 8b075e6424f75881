#include "altprop/report/show.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "altprop/base/printable.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"
#include "altprop/report/outcome.h"

namespace altprop::report {

using nlohmann::json;

namespace {

constexpr size_t kWorstLayers = 5, kMostCurves = 8;

std::string number_text(double value, bool share) {
  if (!std::isfinite(value)) return "-";
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, share ? "%.2f" : "%.4g", share ? 100 * value : value);
  return buffer;
}

std::string spelt(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name.starts_with("train ") ? "training" + name.substr(5) : name;
}

std::string degrees(double angle, const TerminalLook& look) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.1f%s", angle, look.utf8 ? "°" : " deg");
  return buffer;
}

/// Mean and deviation over seeds: "97.10 +- 0.12".
std::string over_seeds(const std::vector<double>& values, bool share, const TerminalLook& look) {
  if (values.empty()) return "-";
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  std::string out = number_text(mean, share);
  if (values.size() > 1)
    out += (look.utf8 ? " ± " : " +- ") + number_text(std::sqrt(squares / (n - 1)), share);
  return out;
}

/// Title and notes of whoever began it.
std::string said_of_it(const json& summary) {
  std::string out;
  for (const char* key : {"title", "notes"})
    if (const std::string words = text_of(summary, key); !words.empty())
      out += text::cat(key, ": ", text::printable(words, 10000), "\n");
  return out;
}

std::string bullet_lines(const std::string& title, const std::vector<std::string>& lines,
                         const TerminalLook& look) {
  if (lines.empty()) return "";
  std::string out = "\n" + heading(title, look) + "\n";
  for (const std::string& line : lines) out += "  " + text::printable(line, 10000) + "\n";
  return out;
}

std::vector<std::string> warnings_of(const Records& records) {
  std::vector<std::string> out = records.notes;
  std::set<std::string> said(out.begin(), out.end());
  for (const Run& run : records.runs) {
    const auto found = run.summary.find("warnings");
    if (found == run.summary.end() || !found->is_array()) continue;
    for (const json& sentence : *found)
      if (sentence.is_string() && said.insert(sentence.get<std::string>()).second)
        out.push_back((records.comparison ? label_of(run) + ": " : "") +
                      sentence.get<std::string>());
  }
  return out;
}

// ---- a run

std::string curves_of_run(const std::vector<Measure>& all, const TerminalLook& look) {
  std::vector<std::string> scores;  // without the part of the data, in their order
  for (const Measure& one : all)
    if (const std::string score = one.name.substr(one.name.find('_') + 1);
        !std::count(scores.begin(), scores.end(), score))
      scores.push_back(score);
  std::string out;
  for (const std::string& score : scores) {
    std::vector<ChartLine> lines;
    bool share = false, curves = false;
    for (const Measure& one : all)
      if (one.name.substr(one.name.find('_') + 1) == score) {
        const std::string name = spelt(one.name);
        lines.push_back({name.substr(0, name.find(' ')), one.points});
        share = one.share;
        curves = curves || one.points.size() > 1;
      }
    if (curves)
      out += "\n" + terminal_chart(spelt(score) + (share ? " %" : ""), lines, look,
                                   share ? 100 : 1);
  }
  return out;
}

std::string text_of_run(const Records& records, const std::string& dir,
                        const std::vector<std::string>& chosen, const TerminalLook& look) {
  const Run& run = records.runs[0];
  const auto fact = [&](const char* key) {
    const json value = run.summary.value(key, json(nullptr));
    return value.is_null()     ? std::string("?")
           : value.is_string() ? text::printable(value.get<std::string>(), 300)
                               : value.dump();
  };
  std::string out = heading(text::cat(dir, ": ", text::printable(label_of(run), 300)), look) +
                    text::cat(" on ", fact("data"), ", seed ", fact("seed"), "\n", fact("net"),
                              "\n", said_of_it(run.summary));
  const double seconds = number_of(run.summary, "train_seconds"),
               steps = number_of(run.summary, "steps");
  out += how_it_ended(run) +
         (std::isfinite(steps) ? text::cat(", ", text::from_number(steps), " steps") : "") +
         (std::isfinite(seconds) ? text::cat(", ", text::clock_text(seconds), " of training") : "") +
         "\n";
  const std::vector<Measure> all = measures(run);
  std::vector<std::vector<std::string>> rows = {{"", "best", "epoch", "last"}};
  for (const Measure& one : all)
    rows.push_back({spelt(one.name) + (one.share ? " %" : ""), number_text(one.best, one.share),
                    text::from_number(one.best_epoch), number_text(one.last, one.share)});
  out += all.empty() ? "\nno epoch has been recorded\n"
                     : "\n" + table_of(rows, {false, true, true, true}, look);
  out += curves_of_run(all, look);
  std::vector<std::string> layers;
  for (const LayerAngle& row : worst_layers(run, kWorstLayers))
    layers.push_back(text::cat(padded(row.name, 28), padded(degrees(row.degrees, look), 12, true),
                               "   ", number_text(row.ratio, false), " times as long"));
  if (text_of(run.summary, "rule") != "backprop")
    out += bullet_lines("Largest angles to backprop", layers, look);
  return out + bullet_lines("Settings that are not the defaults", chosen, look) +
         bullet_lines("Warnings", warnings_of(records), look);
}

// ---- a comparison

struct Group {
  std::string label;
  std::vector<const Run*> runs;
};

std::vector<Group> groups_of(const Records& records) {
  std::vector<Group> out;
  for (const Run& run : records.runs) {
    const std::string label = label_of(run);
    auto found = std::find_if(out.begin(), out.end(),
                              [&](const Group& group) { return group.label == label; });
    if (found == out.end()) found = out.insert(out.end(), {label, {}});
    found->runs.push_back(&run);
  }
  return out;
}

/// Of the runs that came to their end; a diverged one has no outcome.
std::vector<double> finite_of(const Group& group, double (*value)(const Run&)) {
  std::vector<double> out;
  for (const Run* run : group.runs)
    if (const double v = value(*run); std::isfinite(v) && run->state != "diverged")
      out.push_back(v);
  return out;
}

double last_of(const Run& run, const std::string& score) {
  for (const char* part : {"test_", "validation_"})
    if (const auto found = measure(run, part + score)) return found->last;
  return NAN;
}

double seconds_of(const Run& run) { return number_of(run.summary, "train_seconds"); }
double last_accuracy(const Run& run) { return last_of(run, "accuracy"); }

std::string states_text(const Group& group) {
  std::map<std::string, int> counts;
  for (const Run* run : group.runs) ++counts[run->state];
  std::vector<std::string> out;
  for (const auto& [state, n] : counts)
    out.push_back(counts.size() == 1 && n == 1 ? state : text::cat(n, " ", state));
  return text::join(out, ", ");
}

/// The mean over a group's runs at each epoch.
ChartLine mean_curve(const Group& group, const std::string& name) {
  std::map<double, std::pair<double, double>> sums;
  for (const Run* run : group.runs)
    if (const auto found = measure(*run, name))
      for (const auto& [epoch, value] : found->points) {
        sums[epoch].first += value;
        sums[epoch].second += 1;
      }
  ChartLine out{group.label, {}};
  for (const auto& [epoch, sum] : sums) out.points.emplace_back(epoch, sum.first / sum.second);
  return out;
}

std::string curves_of_groups(const std::vector<Group>& groups, const TerminalLook& look) {
  std::string out;
  for (const char* name : {"test_accuracy", "test_loss", "validation_accuracy", "validation_loss"}) {
    const bool share = std::string(name).ends_with("accuracy");
    std::vector<ChartLine> lines;
    for (const Group& group : groups)
      if (ChartLine line = mean_curve(group, name); !line.points.empty())
        lines.push_back(std::move(line));
    // Those that end best: more could not be told apart.
    std::stable_sort(lines.begin(), lines.end(), [&](const ChartLine& a, const ChartLine& b) {
      const double x = a.points.back().second, y = b.points.back().second;
      return share ? x > y : x < y;
    });
    const size_t all = lines.size();
    if (all > kMostCurves) lines.resize(kMostCurves);
    const bool curves = std::any_of(lines.begin(), lines.end(), [](const ChartLine& line) {
      return line.points.size() > 1;
    });
    if (!curves || (!out.empty() && std::string(name).starts_with("validation"))) continue;
    out += "\n" + terminal_chart(
                      spelt(name) + (share ? " %" : "") +
                          (all > kMostCurves ? text::cat(", the best ", kMostCurves, " of ", all)
                                             : ""),
                      lines, look, share ? 100 : 1);
  }
  return out;
}

std::string text_of_groups(const Records& records, const std::string& dir,
                           const std::vector<std::string>& chosen, const TerminalLook& look) {
  const std::vector<Group> groups = groups_of(records);
  const auto shared = [&](const char* key) {
    std::set<std::string> values;
    for (const Run& run : records.runs) values.insert(text_of(run.summary, key));
    return values.size() == 1 ? text::printable(*values.begin(), 300)
                              : text::cat(values.size(), " different");
  };
  std::string out = heading(text::cat(dir, ": ", groups.size(),
                                      groups.size() == 1 ? " rule" : " rules", ", ",
                                      records.runs.size(), " runs"), look) +
                    text::cat(" on ", shared("data"), "\n", shared("net"), "\n",
                              said_of_it(records.summary));
  if (const std::string fairness = text_of(records.summary, "fairness"); !fairness.empty())
    out += text::printable(fairness, 10000) + "\n";
  std::vector<std::vector<std::string>> rows = {
      {"rule", "accuracy % best", "last", "loss best", "epochs", "time", "state"}};
  std::vector<std::string> layers;
  for (const Group& group : groups) {
    std::set<std::string> epochs;
    for (const Run* run : group.runs) epochs.insert(epochs_text(*run));
    double seconds = 0;
    for (const double value : finite_of(group, seconds_of)) seconds += value;
    rows.push_back({text::printable(group.label, 60),
                    over_seeds(finite_of(group, best_accuracy), true, look),
                    over_seeds(finite_of(group, last_accuracy), true, look),
                    over_seeds(finite_of(group, best_loss), false, look),
                    text::join({epochs.begin(), epochs.end()}, " "), text::clock_text(seconds),
                    states_text(group)});
    const std::vector<LayerAngle> worst = worst_layers(*group.runs[0], 1);
    if (!worst.empty() && text_of(group.runs[0]->summary, "rule") != "backprop")
      layers.push_back(text::cat(padded(text::printable(group.label, 60), 32), " ",
                                 padded(worst[0].name, 24),
                                 padded(degrees(worst[0].degrees, look), 12, true)));
  }
  out += "\n" + table_of(rows, {false, true, true, true, true, true, false}, look);
  out += curves_of_groups(groups, look);
  return out + bullet_lines("Layers with the largest angle to backprop", layers, look) +
         bullet_lines("Settings that are not the defaults", chosen, look) +
         bullet_lines("Warnings", warnings_of(records), look);
}

}  // namespace

std::string table_of(const std::vector<std::vector<std::string>>& rows,
                     const std::vector<bool>& to_the_right, const TerminalLook& look) {
  std::vector<size_t> widths(to_the_right.size(), 0);
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i)
      line += (i ? "  " : "") + padded(rows[r][i], widths[i], to_the_right[i]);
    while (line.ends_with(' ')) line.pop_back();
    out += (r == 0 ? heading(line, look) : line) + "\n";
  }
  return out;
}

std::string show_text(const Records& records, const std::string& dir,
                      const std::vector<std::string>& chosen, const TerminalLook& look) {
  return records.comparison ? text_of_groups(records, dir, chosen, look)
                            : text_of_run(records, dir, chosen, look);
}

}  // namespace altprop::report
