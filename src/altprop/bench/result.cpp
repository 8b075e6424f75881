// The benchmark's figures as a table and as JSON.
#include <cstdio>

#include "altprop/base/text.h"
#include "altprop/bench/bench.h"

namespace altprop::bench {

namespace {

nlohmann::json or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string fixed(const std::optional<double>& value, int digits) {
  return value ? fixed(*value, digits) : "-";
}

std::string megabytes(int64_t bytes) { return fixed(static_cast<double>(bytes) / 1e6, 1); }

std::string times(const std::optional<double>& value) {
  return value ? fixed(*value, 2) + "x" : "-";
}

/// Columns as wide as their widest cell; the first `left` of them aligned to the left.
std::string aligned(const std::vector<std::vector<std::string>>& lines, size_t left) {
  std::vector<size_t> width(lines[0].size(), 0);
  for (const auto& line : lines)
    for (size_t c = 0; c < line.size(); ++c) width[c] = std::max(width[c], line[c].size());
  std::string out;
  for (const auto& line : lines) {
    std::string row;
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string pad(width[c] - line[c].size(), ' ');
      row += (c ? "  " : "") + (c < left ? line[c] + pad : pad + line[c]);
    }
    out += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace

nlohmann::json Row::json() const {
  nlohmann::json out{{"work", work},
                     {"rule", rule},
                     {"optimizer", optimizer},
                     {"batch", batch},
                     {"rounds", rounds},
                     {"samples_per_second", samples_per_second},
                     {"step_ms", step_ms},
                     {"limit_ms", or_null(limit_ms)},
                     {"gflop", gflop},
                     {"fraction_of_limit", or_null(fraction_of_limit)},
                     {"fraction_of_peak", or_null(fraction_of_peak)},
                     {"time_relative_to_backprop", time_relative_to_backprop},
                     {"speedup_over_pytorch_eager", or_null(speedup_over_pytorch_eager)},
                     {"peak_memory_bytes", peak_memory_bytes},
                     {"eager_peak_memory_bytes", nullptr}};
  if (eager_peak_memory_bytes) out["eager_peak_memory_bytes"] = *eager_peak_memory_bytes;
  if (speedup_over_pytorch_compile)
    out["speedup_over_pytorch_compile"] = *speedup_over_pytorch_compile;
  return out;
}

nlohmann::json Result::json() const {
  nlohmann::json out = nlohmann::json::array();
  for (const Row& row : rows) out.push_back(row.json());
  return out;
}

std::string Result::table() const {
  bool compiled = false;
  for (const Row& row : rows) compiled |= row.speedup_over_pytorch_compile.has_value();
  std::vector<std::vector<std::string>> lines = {{"work", "rule", "optimizer", "samples/s",
                                                  "step ms", "limit ms", "of limit", "of peak",
                                                  "vs backprop", "vs eager", "MB", "eager MB"}};
  if (compiled) lines[0].push_back("vs compile");
  for (const Row& row : rows) {
    lines.push_back({row.work, row.rule, row.optimizer, fixed(row.samples_per_second, 0),
                     fixed(row.step_ms, 3), fixed(row.limit_ms, 3), fixed(row.fraction_of_limit, 2),
                     fixed(row.fraction_of_peak, 2), times(row.time_relative_to_backprop),
                     times(row.speedup_over_pytorch_eager), megabytes(row.peak_memory_bytes),
                     row.eager_peak_memory_bytes ? megabytes(*row.eager_peak_memory_bytes) : "-"});
    if (compiled) lines.back().push_back(times(row.speedup_over_pytorch_compile));
  }
  if (peak_flops == 0) return aligned(lines, 3);
  return aligned(lines, 3) +
         text::cat("\none large matrix product: ", fixed(peak_flops * 1e-9, 0), " GFLOP/s\n");
}

}  // namespace altprop::bench
