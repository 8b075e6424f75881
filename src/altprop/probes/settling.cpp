#include "altprop/probes/settling.h"

#include <cmath>
#include <cstdio>

#include "altprop/base/text.h"
#include "altprop/network/buffer_guard.h"

namespace altprop {

namespace {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

nlohmann::json numbers(const std::vector<double>& values) {
  nlohmann::json out = nlohmann::json::array();
  for (double value : values) out.push_back(number(value));
  return out;
}

std::string cell(double value, const char* format) {
  char text[32] = "-";
  if (std::isfinite(value)) std::snprintf(text, sizeof text, format, value);
  return text;
}

double last(const std::vector<double>& series) { return series.empty() ? NAN : series.back(); }

}  // namespace

std::optional<Settling> watch_settling(Learner& learner, const Step& step) {
  BufferGuard buffers(learner.net());
  return learner.watch(Step::look_at(step, step.targets));
}

nlohmann::json settling_json(const Settling& settling) {
  nlohmann::json states = nlohmann::json::array();
  for (const Settling::State& state : settling.states) {
    nlohmann::json entry{{"name", state.name}, {"layer", state.layer}, {"hops", state.hops}};
    if (std::isfinite(state.expected)) entry["expected"] = state.expected;
    if (state.steps_needed >= 0) entry["steps_needed"] = state.steps_needed;
    entry["residual"] = numbers(state.residual);
    if (!state.energy.empty()) entry["energy"] = numbers(state.energy);
    entry["scale"] = numbers(state.scale);
    entry["cosine"] = numbers(state.cosine);
    if (!state.apart.empty()) entry["apart"] = numbers(state.apart);
    states.push_back(std::move(entry));
  }
  nlohmann::json out{{"compared_with", settling.compared_with},
                     {"steps", settling.steps},
                     {"states", std::move(states)}};
  if (std::isfinite(settling.energy_per_sample))
    out["energy_per_sample"] = settling.energy_per_sample;
  if (std::isfinite(settling.stable_below)) out["stable_below"] = settling.stable_below;
  for (const auto& [name, value] : settling.figures) out["figures"][name] = number(value);
  if (!settling.remarks.empty()) out["remarks"] = settling.remarks;
  return out;
}

std::string settling_table(const Settling& settling) {
  std::string out =
      text::cat("states after ", settling.steps.empty() ? 0 : settling.steps.back(),
                " steps; scale and cosine against the ", settling.compared_with, "\n\n");
  char line[256];
  std::snprintf(line, sizeof line, "%-24s %5s %12s %10s %10s %10s %10s %10s %16s\n", "state",
                "hops", "expected %", "scale %", "cosine", "from BPTT", "residual", "energy",
                "steps for 99.9 %");
  out += line;
  for (const Settling::State& state : settling.states) {
    const std::string& name = state.layer.empty() ? state.name : state.layer;
    std::snprintf(
        line, sizeof line, "%-24s %5ld %12s %10s %10s %10s %10s %10s %16s\n", name.c_str(),
        static_cast<long>(state.hops), cell(100 * state.expected, "%.2f").c_str(),
        cell(100 * last(state.scale), "%.2f").c_str(), cell(last(state.cosine), "%.6f").c_str(),
        cell(last(state.apart), "%.1e").c_str(), cell(last(state.residual), "%.1e").c_str(),
        cell(last(state.energy), "%.3g").c_str(),
        state.steps_needed < 0 ? "-" : std::to_string(state.steps_needed).c_str());
    out += line;
  }
  if (std::isfinite(settling.stable_below))
    out += text::cat("\nstep sizes below ", cell(settling.stable_below, "%.3g"),
                     " are stable where states have ended\n");
  if (!settling.figures.empty()) out += "\n";
  for (const auto& [name, value] : settling.figures)
    out += text::cat(name, " ", cell(value, "%.3g"), "\n");
  if (!settling.remarks.empty()) out += "\n";
  for (const std::string& remark : settling.remarks) out += remark + "\n";
  return out;
}

}  // namespace altprop
