#include "altprop/report/differences.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "altprop/base/printable.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"
#include "altprop/report/flat_records.h"
#include "altprop/report/outcome.h"
#include "altprop/report/show.h"

namespace altprop::report {

using nlohmann::json;

namespace {

/// What clocks say, and what is drawn to name a run.
bool is_passing(const std::string& field) {
  return field == "seconds" || field == "samples_per_second" || field == "run";
}

std::string shown(const json& value) {
  const std::string s = value.is_number_float() ? text::from_number(value.get<double>())
                        : value.is_null()       ? "nothing"
                                                : value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text::printable(s, 60);
}

std::string result_text(double value, bool share) {
  if (!std::isfinite(value)) return "-";
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, share ? "%.2f" : "%.5g", share ? 100 * value : value);
  return buffer;
}

const Measure* named(const std::vector<Measure>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Measure& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

using Rows = std::vector<std::vector<std::string>>;

void add_results(Rows& rows, const Run* a, const Run* b, const std::string& label) {
  const std::vector<Measure> first = a ? measures(*a) : std::vector<Measure>(),
                             second = b ? measures(*b) : std::vector<Measure>();
  std::vector<std::string> names;
  for (const auto* all : {&first, &second})
    for (const Measure& one : *all)
      if (!std::count(names.begin(), names.end(), one.name)) names.push_back(one.name);
  const auto add = [&](const std::string& what, const std::string& one, const std::string& other) {
    rows.push_back({label.empty() ? what : label + ", " + what, one, other});
  };
  for (const std::string& name : names) {
    const Measure *x = named(first, name), *y = named(second, name);
    const bool share = (x ? x : y)->share;
    std::string words = name + (share ? " %" : "");
    std::replace(words.begin(), words.end(), '_', ' ');
    add(words + ", best", result_text(x ? x->best : NAN, share), result_text(y ? y->best : NAN, share));
    add(words + ", last", result_text(x ? x->last : NAN, share), result_text(y ? y->last : NAN, share));
  }
  add("epochs", a ? epochs_text(*a) : "-", b ? epochs_text(*b) : "-");
  const auto seconds = [](const Run* run) {
    return run ? text::clock_text(number_of(run->summary, "train_seconds")) : std::string("-");
  };
  add("time", seconds(a), seconds(b));
  add("state", a ? a->state : "-", b ? b->state : "-");
}

/// Runs are told by label and seed.
std::string key_of(const Run& run) {
  return text::cat(label_of(run), " seed ", run.summary.value("seed", json(nullptr)).dump());
}

const Run* find_run(const Records& records, const std::string& key) {
  for (const Run& run : records.runs)
    if (key_of(run) == key) return &run;
  return nullptr;
}

Rows settings_rows(const Side& a, const Side& b) {
  Rows rows;
  std::set<std::string> names;
  for (const Side* side : {&a, &b})
    for (const auto& [name, value] : side->settings) names.insert(name);
  const auto of = [](const Side& side, const std::string& name) {
    const auto found = side.settings.find(name);
    return found == side.settings.end() ? std::string("-")
           : found->second.empty()      ? std::string("(empty)")
                                        : text::printable(found->second, 60);
  };
  for (const std::string& name : names)
    if (of(a, name) != of(b, name)) rows.push_back({name, of(a, name), of(b, name)});
  return rows;
}

}  // namespace

std::string first_difference(const Run& a, const Run& b) {
  const std::vector<json> first = epochs_in_order(a), second = epochs_in_order(b);
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    const json x = flat(first[i]), y = flat(second[i]);
    std::set<std::string> fields;
    for (const json* one : {&x, &y})
      for (const auto& [name, value] : one->items())
        if (!is_passing(name)) fields.insert(name);
    for (const std::string& name : fields) {
      const json left = x.value(name, json(nullptr)), right = y.value(name, json(nullptr));
      if (left != right || x.contains(name) != y.contains(name))
        return text::cat("epoch ", shown(first[i].value("epoch", json(nullptr))), ": ", name,
                         " is ", shown(left), " and ", shown(right));
    }
  }
  if (first.size() != second.size())
    return text::cat("one has ", first.size(), " epochs, the other ", second.size(),
                     "; the records of the first ", std::min(first.size(), second.size()),
                     " are the same");
  return "";
}

std::string difference_text(const Side& a, const Side& b, const TerminalLook& look) {
  const bool runs = !a.records.comparison && !b.records.comparison;
  Rows settings = settings_rows(a, b), results = {{"result", a.dir, b.dir}};
  std::vector<std::string> parted;
  size_t both = 0;
  if (runs) {
    add_results(results, &a.records.runs[0], &b.records.runs[0], "");
    both = 1;
    if (std::string where = first_difference(a.records.runs[0], b.records.runs[0]); !where.empty())
      parted.push_back(std::move(where));
  } else {
    std::vector<std::string> keys;
    for (const Records* side : {&a.records, &b.records})
      for (const Run& run : side->runs)
        if (!std::count(keys.begin(), keys.end(), key_of(run))) keys.push_back(key_of(run));
    for (const std::string& key : keys) {
      const Run *x = find_run(a.records, key), *y = find_run(b.records, key);
      add_results(results, x, y, key);
      both += x && y;
      if (!x || !y) {
        parted.push_back(key + ": only in " + (x ? a.dir : b.dir));
      } else if (std::string where = first_difference(*x, *y); !where.empty()) {
        parted.push_back(key + ": " + where);
      }
    }
  }
  const bool recorded = std::any_of(a.records.runs.begin(), a.records.runs.end(),
                                    [](const Run& run) { return !run.epochs.empty(); });
  std::string out;
  if (settings.empty()) {
    out += "settings: identical\n";
  } else {
    settings.insert(settings.begin(), {"setting", a.dir, b.dir});
    out += table_of(settings, {false, false, false}, look);
  }
  out += "\n" + table_of(results, {false, true, true}, look) + "\n";
  if (parted.empty() && both > 0 && recorded)
    return out + "records: identical, but for clocks and names\n";
  if (parted.empty()) return out + "records: there are none to compare\n";
  out += "records differ:\n";
  for (const std::string& line : parted) out += "  " + text::printable(line, 1000) + "\n";
  return out;
}

}  // namespace altprop::report
