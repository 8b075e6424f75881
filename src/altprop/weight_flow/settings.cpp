#include "altprop/weight_flow/settings.h"

#include <algorithm>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/build/sizes.h"
#include "altprop/weight_flow/retraction.h"
#include "altprop/weight_flow/weight_flow.h"

namespace altprop::weight_flow {

namespace {

/// The flows that an option is for; those that are not here are for all.
const std::map<std::string, std::vector<std::string>>& flows_by_option() {
  static const std::vector<std::string> group{"iso", "gated"}, perceptrons{"gated", "free"};
  static const std::map<std::string, std::vector<std::string>> table{
      {"retraction", group},  {"start", group},       {"learn-start", group}, {"cap", group},
      {"gates", perceptrons}, {"width", perceptrons}, {"sees", perceptrons},  {"basis", {"basis"}},
      {"terms", {"basis"}},   {"gain", {"constant"}}};
  return table;
}

bool is_for(const std::string& option, const std::string& flow) {
  const auto found = flows_by_option().find(option);
  return found == flows_by_option().end() || std::ranges::count(found->second, flow) > 0;
}

}  // namespace

void Settings::declare(Options& o) {
  const char* paper = "Choromanski et al. 2020, arXiv 2006.11421";
  o.choice("flow", flow, flow_names(), {"what moves the weights", "", paper});
  o.checked_text("activation", activation, "", check_activation, {"f of x' = f(W x)"});
  o.integer("steps", steps, {.min = 1, .max = 1e6}, {"equal steps from 0 to T", "steps", paper});
  o.number("T", end, {.min = 0, .max = 1e9, .min_excluded = true}, {"end of the flow", "time"});
  o.choice("solver", solver, {"euler", "midpoint"},
           {"how state and weights step: of first or of second order"});
  o.choice("retraction", retraction, retraction_names(),
           {"iso, gated: how a step of the weights ends on the orthogonal group"});
  o.choice("start", start, {"orthogonal", "identity"},
           {"iso, gated: W(0), drawn uniformly from all orthogonal matrices, or the identity"});
  o.flag("learn-start", learn_start, {"iso, gated: learn W(0), among the orthogonal matrices"});
  o.number(
      "cap", cap, {.min = 0, .max = 1e9},
      {"iso, gated: Frobenius norm beyond which Omega is shortened to it; 0: none", "rad/time"});
  o.integer("gates", gates, {.min = 1, .max = 4096},
            {"gated, free: perceptrons, each behind a gate", "", paper});
  o.integer("width", width, {.min = 1, .max = 65536}, {"gated, free: hidden units of each"});
  o.choice("sees", sees, {"weights", "time", "both"}, {"gated, free: what the perceptrons see"});
  o.choice("basis", basis, {"chebyshev", "fourier", "piecewise"},
           {"basis: functions of the time that W is a sum of", "",
            "Davis et al. 2020, arXiv 2005.01906"});
  o.integer("terms", terms, {.min = 1, .max = 4096}, {"basis: how many functions"});
  o.number("gain", gain, {.min = 0, .max = 1e6},
           {"constant: entries of W are drawn with this deviation over the root of the width"});
}

void Settings::check(const Options& options) const {
  for (const Options::Entry& entry : options.entries())
    if (entry.given && !is_for(entry.name, flow))
      throw UsageError(text::cat(
          "option '", entry.name, "' has no effect with flow=", flow,
          "; it is for flow=", text::join(flows_by_option().at(entry.name), " and flow=")));
}

std::string Settings::text() const {
  Settings written = *this, usual;
  Options options, defaults;
  written.declare(options);
  usual.declare(defaults);
  std::vector<std::string> out;
  for (size_t i = 0; i < options.entries().size(); ++i) {
    const Options::Entry& entry = options.entries()[i];
    const std::string value = entry.text();
    if (is_for(entry.name, flow) && (entry.name == "flow" || value != defaults.entries()[i].text()))
      out.push_back(entry.name + "=" + value);
  }
  return text::join(out, ",");
}

}  // namespace altprop::weight_flow
