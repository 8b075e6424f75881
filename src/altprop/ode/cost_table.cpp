#include "altprop/ode/cost_table.h"

#include <cstdio>

#include "altprop/base/short_number.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {

std::vector<GradientMethod> methods_for(const Profile& p) {
  std::vector<GradientMethod> out = {Gradient::Naive, Gradient::OneCheckpoint, Gradient::Aca,
                                     Gradient::Symplectic, Gradient::Binomial, Gradient::Mali,
                                     Gradient::Adjoint};
  std::erase_if(out, [&](const GradientMethod& method) { return !p.has(method); });
  return out;
}

/// The numbers of steps for which costs are told, and what they are.
std::vector<std::pair<std::string, int64_t>> numbers_of_steps(const Profile& p) {
  if (!p.is_adaptive()) return {{text::cat("N=", p.steps), p.steps}};
  std::vector<std::pair<std::string, int64_t>> out;
  if (p.steps > 0) out.emplace_back(text::cat("N=", p.steps, " (measured)"), p.steps);
  out.emplace_back(text::cat("N=", p.max_steps, " (max-steps)"), p.max_steps);
  return out;
}

/// By how much a step more adds.
int64_t bytes_of_step(const Profile& p, const GradientMethod& method) {
  constexpr int64_t kMany = 1 << 20;  // of a logarithm nothing is left
  if (method.kind == Gradient::Binomial) return 0;
  return (bytes_of(p, method, 2 * kMany) - bytes_of(p, method, kMany)) / kMany;
}

}  // namespace

std::string cost_table(std::span<const Profile> profiles, int64_t rows) {
  std::string out;
  char line[300];
  for (const Profile& p : profiles) {
    out += text::cat("\nODE block '", p.name, "' at batch ", rows, ": s=", p.stages,
                     " evaluations a step, ",
                     p.is_adaptive() ? std::string("adaptive steps") : text::cat("N=", p.steps, " steps"),
                     "; X=", altprop::text::short_bytes(p.carried * p.state_bytes),
                     " carried from step to step, U=", altprop::text::short_bytes(p.kept_bytes),
                     " kept by an evaluation for its derivative, W=", altprop::text::short_bytes(p.sweep_bytes),
                     " taken by its reverse pass beside\n");
    std::string head;
    std::snprintf(line, sizeof line, "%-16s", "ode.gradient");
    head = line;
    const auto numbers = numbers_of_steps(p);
    if (p.is_adaptive()) {
      std::snprintf(line, sizeof line, " %14s", "bytes a step");
      head += line;
    }
    for (const auto& [what, n] : numbers) {
      std::snprintf(line, sizeof line, " %22s %12s", what.c_str(), "reverse");
      head += line;
    }
    out += head + "\n";
    for (const GradientMethod& method : methods_for(p)) {
      std::snprintf(line, sizeof line, "%-16s", method.text().c_str());
      out += line;
      if (p.is_adaptive()) {
        std::snprintf(line, sizeof line, " %14s", altprop::text::short_bytes(bytes_of_step(p, method)).c_str());
        out += line;
      }
      for (const auto& [what, n] : numbers) {
        std::snprintf(line, sizeof line, " %22s %12ld", altprop::text::short_bytes(bytes_of(p, method, n)).c_str(),
                      static_cast<long>(reverse_evaluations(p, method, n)));
        out += line;
      }
      out += method.is_exact() ? "\n" : "  not exact\n";
    }
  }
  return out;
}

nlohmann::json cost_json(std::span<const Profile> profiles, int64_t rows) {
  nlohmann::json out = nlohmann::json::array();
  for (const Profile& p : profiles) {
    nlohmann::json block{{"name", p.name},
                         {"batch", rows},
                         {"stages", p.stages},
                         {"adaptive", p.is_adaptive()},
                         {"steps", p.steps > 0 ? nlohmann::json(p.steps) : nlohmann::json(nullptr)},
                         {"state_bytes", p.carried * p.state_bytes},
                         {"kept_bytes", p.kept_bytes},
                         {"sweep_bytes", p.sweep_bytes}};
    if (p.is_adaptive()) block["max_steps"] = p.max_steps;
    block["methods"] = nlohmann::json::array();
    for (const GradientMethod& method : methods_for(p)) {
      nlohmann::json one{{"method", method.text()},
                         {"exact", method.is_exact()},
                         {"bytes_per_step", bytes_of_step(p, method)}};
      for (const auto& [what, n] : numbers_of_steps(p)) {
        const bool most = p.is_adaptive() && n == p.max_steps;
        one[most ? "bytes_at_max_steps" : "bytes"] = bytes_of(p, method, n);
        one[most ? "reverse_evaluations_at_max_steps" : "reverse_evaluations"] =
            reverse_evaluations(p, method, n);
      }
      block["methods"].push_back(std::move(one));
    }
    out.push_back(std::move(block));
  }
  return out;
}

}  // namespace altprop::ode
