#include "altprop/theory/page.h"

#include <cmath>
#include <cstdio>
#include <map>

#include "altprop/base/text.h"
#include "altprop/base/files.h"

namespace altprop::theory {

namespace {

std::string of(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string figures(const nlohmann::json& statistics, const char* format) {
  if (!statistics.is_object() || !statistics["mean"].is_number()) return "-";
  return of(format, statistics["mean"]) + " ± " + of(format, statistics["std"]);
}

std::string title(const nlohmann::json& s) {
  return text::cat(s["psi"].get<std::string>(), ", data ", s["data"].get<std::string>(), ", ",
                   s["rule"].get<std::string>(), ", eta ", text::from_number(s["eta"]));
}

std::string lambda_name(const nlohmann::json& cell) {
  return text::cat("λ = ", text::from_number(cell["lambda"]));
}

constexpr const char* kHead =
    "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>two-layer theory</title>\n"
    "<style>body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #ddd;white-space:nowrap}svg{max-width:44rem;display:block;margin:1rem "
    "0}pre{white-space:pre-wrap}</style>\n";

std::string table(const nlohmann::json& summary) {
  std::string out =
      "<table><tr><th>λ<th>p<th>repetitions<th>cos(b, β)<th>loss<th>steps<th>rate of |e| / η<th>γ "
      "at the start"
      "<th>diverged</tr>\n";
  for (const auto& cell : summary["cells"]) {
    out += text::cat("<tr><td>", text::from_number(cell["lambda"]), "<td>",
                     cell["p"].get<int64_t>(), "<td>", cell["repetitions"].get<int64_t>(), "<td>",
                     figures(cell["alignment"], "%.3f"), "<td>", figures(cell["loss"], "%.2e"),
                     "<td>", figures(cell["steps"], "%.0f"), "<td>", figures(cell["rate"], "%.1f"),
                     "<td>", figures(cell["gamma_start"], "%.1f"), "<td>",
                     cell["diverged"].get<int64_t>(), "</tr>\n");
    if (cell.contains("message"))
      out +=
          text::cat("<tr><td colspan='9'>", escaped(cell["message"].get<std::string>()), "</tr>\n");
  }
  return out + "</table>\n";
}

}  // namespace

Plot alignment_plot(const nlohmann::json& summary) {
  Plot plot{title(summary), "hidden units p", "cos(b, β)", true, false, {}};
  std::map<double, Line> lines;
  for (const auto& cell : summary["cells"]) {
    if (!cell["alignment"].is_object()) continue;
    Line& line = lines[cell["lambda"].get<double>()];
    line.name = lambda_name(cell);
    line.points = true;
    line.x.push_back(cell["p"]);
    line.y.push_back(cell["alignment"]["mean"]);
    line.spread.push_back(cell["alignment"]["std"]);
  }
  for (const auto& [lambda, line] : lines) plot.lines.push_back(line);
  return plot;
}

Plot loss_plot(const nlohmann::json& summary) {
  int64_t width = 0;
  for (const auto& cell : summary["cells"]) width = std::max(width, cell["p"].get<int64_t>());
  Plot plot{text::cat(title(summary), ", p = ", width), "step", "loss |e|²/n", false, true, {}};
  for (const auto& cell : summary["cells"]) {
    if (cell["p"] != width || !cell["curve"].is_object()) continue;
    Line line{lambda_name(cell), {}, {}, {}, false, false, -1};
    for (const auto& step : cell["curve"]["step"]) line.x.push_back(step);
    for (const auto& loss : cell["curve"]["loss_mean"]) line.y.push_back(loss);
    const int index = static_cast<int>(plot.lines.size());
    plot.lines.push_back(line);
    if (cell["lambda"] != 0 || !cell["gamma"].is_object()) continue;
    const double eta = 2 * summary["eta"].get<double>() / summary["samples"].get<double>();
    Line bound{"bound, γ / 4", line.x, {}, {}, false, true, index};
    for (double t : line.x)
      bound.y.push_back(
          line.y[0] * std::exp(2 * t * std::log1p(-eta * cell["gamma"]["min"].get<double>() / 4)));
    plot.lines.push_back(bound);
  }
  return plot;
}

void write_page(const nlohmann::json& summary, const std::filesystem::path& folder) {
  const std::string alignment = svg(alignment_plot(summary)), loss = svg(loss_plot(summary));
  write_atomically(folder / "alignment.svg", alignment);
  write_atomically(folder / "loss.svg", loss);
  write_atomically(
      folder / "report.html",
      text::cat(kHead, "<h1>", escaped(title(summary)),
                "</h1>\n<p>n = ", summary["samples"].get<int64_t>(),
                " samples, d = ", summary["inputs"].get<int64_t>(), " inputs, seed ",
                summary["seed"].get<int64_t>(), ", ", summary["dtype"].get<std::string>(),
                "; mean ± standard deviation over the repetitions.</p>\n", alignment, loss,
                table(summary), "<pre>", escaped(summary["command"].get<std::string>()),
                "</pre>\n</html>\n"));
}

}  // namespace altprop::theory
