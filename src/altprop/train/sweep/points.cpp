#include "altprop/train/sweep/points.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/train/settings.h"

namespace altprop::sweeps {

namespace {

/// Names of options that are the same for all points, and why.
const std::map<std::string, std::string>& kept_options() {
  static const std::map<std::string, std::string> all = {
      {"rule", "name several with --rules"},
      {"seed", "name several with --seeds"},
      {"data", "sweep once on each data set"},
      {"epochs", "they are what a sweep spends, evenly"},
      {"max-steps", "epochs are what a sweep spends"},
      {"out", "there is one folder"},
      {"validation", "points are chosen on the same samples"}};
  return all;
}

/// Rule, option, and what stands behind the '='.
Axis axis_of(const std::string& written, const char* flag, std::string& rest) {
  const size_t equals = written.find('=');
  if (equals == std::string::npos || text::trim(written.substr(equals + 1)).empty())
    throw UsageError(text::cat("option '", flag, "' has '", written,
                               "'; write an option and its values, as in ",
                               flag == std::string("grid") ? "lr=0.01,0.03,0.1" : "lr=1e-4..1:7"));
  Axis out;
  out.option = text::trim(written.substr(0, equals));
  if (const size_t colon = out.option.find(':'); colon != std::string::npos) {
    out.rule = text::trim(out.option.substr(0, colon));
    out.option = text::trim(out.option.substr(colon + 1));
  }
  while (out.option.starts_with('-')) out.option.erase(0, 1);
  std::replace(out.option.begin(), out.option.end(), '_', '-');
  if (out.option.starts_with("rule.")) out.option.erase(0, 5);
  if (const auto found = kept_options().find(out.option); found != kept_options().end())
    throw UsageError(text::cat("option '", flag, "' has '", out.option,
                               "', which is the same for all points: ", found->second));
  rest = text::trim(written.substr(equals + 1));
  return out;
}

bool is_whole_numbered(const std::string& option) {
  RunSettings settings;
  Options options;
  settings.declare(options);
  for (const Options::Entry& entry : options.entries())
    if (entry.name == option) return entry.type == "integer";
  return false;
}

/// Short, and as exact as anybody tunes. @param exact no digit may be lost
std::string short_figure(double value, bool exact) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return exact && text::to_number(buffer) != value ? text::from_number(value) : buffer;
}

/// Whether an axis is of this rule.
bool is_of(const Axis& axis, const std::string& rule) {
  if (axis.rule.empty()) return true;
  const RuleText written = parse_rule(rule);
  return axis.rule == text::trim(rule) || parse_rule(axis.rule).name == written.name;
}

}  // namespace

Axis grid(const std::string& written) {
  std::string rest;
  Axis out = axis_of(written, "grid", rest);
  for (const std::string& value : text::split_outside_brackets(rest, ',')) {
    const std::string one = text::trim(value);
    if (one.empty() || std::count(out.values.begin(), out.values.end(), one))
      throw UsageError("option 'grid' has '" + written + "' with " +
                       (one.empty() ? "an empty value" : "'" + one + "' twice"));
    out.values.push_back(one);
  }
  return out;
}

Axis range(const std::string& written) {
  std::string rest;
  Axis out = axis_of(written, "range", rest);
  const size_t dots = rest.find(".."), colon = rest.rfind(':');
  std::optional<double> low, high;
  std::optional<int64_t> count;
  if (dots != std::string::npos && colon != std::string::npos && colon > dots) {
    low = text::to_number(text::trim(rest.substr(0, dots)));
    high = text::to_number(text::trim(rest.substr(dots + 2, colon - dots - 2)));
    count = text::to_integer(text::trim(rest.substr(colon + 1)));
  }
  if (!low || !high || !count || !(*low > 0) || !(*high > *low) || !std::isfinite(*high) ||
      *count < 2 || *count > 1000)
    throw UsageError("option 'range' has '" + written +
                     "'; write two numbers above 0, the smaller first, and how many values there "
                     "are (2 to 1000), as in lr=1e-4..1:7");
  const bool whole = is_whole_numbered(out.option);
  for (int64_t i = 0; i < *count; ++i) {
    const double at = static_cast<double>(i) / static_cast<double>(*count - 1);
    const double value = i == 0            ? *low
                         : i + 1 == *count ? *high
                                           : *low * std::pow(*high / *low, at);
    const std::string figure = whole ? std::to_string(std::llround(value))
                                     : short_figure(value, i == 0 || i + 1 == *count);
    if (!std::count(out.values.begin(), out.values.end(), figure)) out.values.push_back(figure);
  }
  return out;
}

void check_axes(const std::vector<Axis>& axes, const std::vector<std::string>& rules) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Axis& axis : axes) {
    if (!seen.insert({axis.rule, axis.option}).second)
      throw UsageError("option '" + axis.option + "' has two sets of values; put them into one");
    if (std::none_of(rules.begin(), rules.end(),
                     [&](const std::string& rule) { return is_of(axis, rule); }))
      throw UsageError("values of '" + axis.option + "' are for the rule '" + axis.rule +
                       "', which is not among --rules");
  }
}

std::vector<Point> points_of(const std::string& rule, const std::vector<Axis>& axes) {
  const RuleText written = parse_rule(rule);
  std::vector<std::string> kept;
  for (const auto& [name, value] : written.values) kept.push_back(name + "=" + value);
  std::vector<Point> out = {{written.label, {}}};
  bool any = false;
  for (const Axis& axis : axes) {
    if (!is_of(axis, rule)) continue;
    any = true;
    for (const auto& [name, value] : written.values)
      if (rule_option_name(written.name, name) == rule_option_name(written.name, axis.option))
        throw UsageError("option '" + axis.option + "' is to be varied, but '" + rule +
                         "' gives it a value; leave one out");
    std::vector<Point> more;
    for (const Point& point : out)
      for (const std::string& value : axis.values) {
        more.push_back(point);
        more.back().values.emplace_back(axis.option, value);
      }
    out = std::move(more);
  }
  if (!any) return out;
  const std::string name = text::trim(rule.substr(0, rule.find('[')));
  for (Point& point : out) {
    std::vector<std::string> items = kept;
    for (const auto& [option, value] : point.values) items.push_back(option + "=" + value);
    point.label = name + "[" + text::join(items, ",") + "]";
  }
  return out;
}

std::vector<Rung> rungs_of(size_t points, int64_t epochs, int64_t factor) {
  if (factor < 2 || points < 2 || epochs < 2) return {{points, epochs}};
  const auto by = static_cast<size_t>(factor);
  std::vector<size_t> sizes = {points};
  while (sizes.back() > 1) sizes.push_back((sizes.back() + by - 1) / by);
  std::vector<Rung> out;
  double share = static_cast<double>(epochs);
  for (size_t i = sizes.size(); i-- > 0; share /= static_cast<double>(factor)) {
    const int64_t length = std::max<int64_t>(1, std::llround(share));
    // Where epochs are too few to be divided so often, the cut is the deeper.
    if (!out.empty() && out.front().epochs == length)
      out.front().points = sizes[i];
    else
      out.insert(out.begin(), {sizes[i], length});
  }
  return out;
}

}  // namespace altprop::sweeps
