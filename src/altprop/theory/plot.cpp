#include "altprop/theory/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "altprop/base/text.h"

namespace altprop::theory {

namespace {

constexpr double kWidth = 640, kHeight = 400, kLeft = 70, kRight = 150, kTop = 36, kBottom = 52;
// Okabe and Ito's colours, which colour-blind readers can tell apart.
constexpr const char* kColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000"};

std::string figure(double x) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f", x);
  return buffer;
}

std::string tick_text(double x) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer,
                x != 0 && (std::abs(x) < 1e-3 || std::abs(x) >= 1e6) ? "%.0e" : "%g", x);
  return buffer;
}

class Axis {
 public:
  Axis(bool log, double from, double to) : log_(log), from_(from), to_(to) {}
  bool shows(double x) const { return std::isfinite(x) && (!log_ || x > 0); }
  void cover(double x) {
    if (!shows(x)) return;
    low_ = std::min(low_, scaled(x));
    high_ = std::max(high_, scaled(x));
  }
  /// Rounds the range outwards to ticks.
  void finish(bool ends_on_ticks) {
    if (!(low_ <= high_)) low_ = 0, high_ = 1;
    if (high_ - low_ < 1e-12) low_ -= 0.5, high_ += 0.5;
    const double rough = (high_ - low_) / 6, power = std::pow(10, std::floor(std::log10(rough)));
    step_ = rough / power > 5   ? 10 * power
            : rough / power > 2 ? 5 * power
            : rough / power > 1 ? 2 * power
                                : power;
    if (log_) step_ = std::max(1.0, std::ceil(step_));
    if (ends_on_ticks) {
      low_ = std::floor(low_ / step_ + 1e-9) * step_;
      high_ = std::ceil(high_ / step_ - 1e-9) * step_;
    }
  }
  double at(double x) const { return from_ + (scaled(x) - low_) / (high_ - low_) * (to_ - from_); }
  std::vector<double> ticks() const {
    std::vector<double> out;
    for (double t = std::ceil(low_ / step_ - 1e-9) * step_; t <= high_ + 1e-9 * step_; t += step_)
      out.push_back(log_ ? std::pow(10, t) : std::abs(t) < 1e-9 * step_ ? 0 : t);
    return out;
  }

 private:
  double scaled(double x) const { return log_ ? std::log10(x) : x; }
  bool log_;
  double from_, to_, low_ = std::numeric_limits<double>::infinity(), high_ = -low_, step_ = 1;
};

std::string segment(double x1, double y1, double x2, double y2, const std::string& style) {
  return text::cat("<line x1='", figure(x1), "' y1='", figure(y1), "' x2='", figure(x2), "' y2='",
                   figure(y2), "' ", style, "/>\n");
}

std::string label(double x, double y, const std::string& anchor, const std::string& what,
                  const std::string& more = "") {
  return text::cat("<text x='", figure(x), "' y='", figure(y), "' text-anchor='", anchor, "' ",
                   more, ">", escaped(what), "</text>\n");
}

}  // namespace

std::string escaped(const std::string& s) {
  std::string out;
  for (char c : s)
    out += c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '\'' ? "&#39;"
                       : std::string(1, c);
  return out;
}

std::string svg(const Plot& plot) {
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  Axis x(plot.log_x, kLeft, right), y(plot.log_y, bottom, kTop);
  std::vector<double>
      widths;  // a logarithmic axis of few values, like widths, has its ticks at these
  for (const Line& line : plot.lines)
    for (size_t i = 0; i < line.x.size(); ++i) {
      if (!x.shows(line.x[i]) || !y.shows(line.y[i])) continue;
      x.cover(line.x[i]);
      if (std::find(widths.begin(), widths.end(), line.x[i]) == widths.end())
        widths.push_back(line.x[i]);
      const double spread = line.spread.empty() ? 0 : line.spread[i];
      for (double at : {line.y[i] - spread, line.y[i] + spread}) y.cover(at);
    }
  x.finish(false);
  y.finish(true);
  std::string out =
      text::cat("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ", kWidth, " ", kHeight,
                "' role='img' font-family='sans-serif' font-size='12'>\n<title>",
                escaped(plot.title), "</title>\n<rect width='100%' height='100%' fill='#fff'/>\n");
  out += label((kLeft + right) / 2, 20, "middle", plot.title, "font-size='14'");
  for (double t : plot.log_x&& widths.size() <= 10 ? widths : x.ticks()) {
    out += segment(x.at(t), bottom, x.at(t), bottom + 5, "stroke='#444'");
    out += label(x.at(t), bottom + 18, "middle", tick_text(t));
  }
  for (double t : y.ticks()) {
    out += segment(kLeft, y.at(t), right, y.at(t), "stroke='#ddd'");
    out += label(kLeft - 7, y.at(t) + 4, "end", tick_text(t));
  }
  out += segment(kLeft, bottom, right, bottom, "stroke='#444'") +
         segment(kLeft, kTop, kLeft, bottom, "stroke='#444'");
  out += label((kLeft + right) / 2, kHeight - 12, "middle", plot.x_label);
  out += label(18, (kTop + bottom) / 2, "middle", plot.y_label,
               text::cat("transform='rotate(-90 18 ", figure((kTop + bottom) / 2), ")'"));
  int own = 0;
  std::vector<int> colours;
  for (size_t l = 0; l < plot.lines.size(); ++l) {
    const Line& line = plot.lines[l];
    colours.push_back(line.colour >= 0 ? colours[static_cast<size_t>(line.colour)] : own++);
    const std::string colour = kColours[static_cast<size_t>(colours.back()) % std::size(kColours)];
    const std::string stroke =
        text::cat("stroke='", colour, "'", line.dashed ? " stroke-dasharray='5 4'" : "");
    std::string path, marks;
    for (size_t i = 0; i < line.x.size(); ++i) {
      if (!x.shows(line.x[i]) || !y.shows(line.y[i])) continue;
      const double px = x.at(line.x[i]), py = y.at(line.y[i]);
      path += text::cat(path.empty() ? "" : " ", figure(px), ",", figure(py));
      if (line.points)
        marks += text::cat("<circle cx='", figure(px), "' cy='", figure(py), "' r='3.5' fill='",
                           colour, "'/>\n");
      if (line.spread.empty() || !y.shows(line.y[i] - line.spread[i])) continue;
      marks += segment(px, y.at(line.y[i] - line.spread[i]), px, y.at(line.y[i] + line.spread[i]),
                       stroke);
    }
    out += text::cat("<polyline points='", path, "' fill='none' stroke-width='1.6' ", stroke,
                     "/>\n", marks);
    const double row = kTop + 14 + 18 * static_cast<double>(l);
    out +=
        segment(right + 10, row - 4, right + 34, row - 4, text::cat("stroke-width='2' ", stroke));
    out += label(right + 40, row, "start", line.name);
  }
  return out + "</svg>\n";
}

}  // namespace altprop::theory
