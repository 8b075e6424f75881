#include "altprop/report/terminal_chart.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/printable.h"
#include "altprop/base/terminal.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"

namespace altprop::report {

namespace {

constexpr size_t kColours[] = {34, 31, 32, 35, 36, 33};
constexpr char kMarks[] = "*o+x#@%&";

std::string coloured(const std::string& s, size_t line, const TerminalLook& look) {
  if (!look.colour) return s;
  return text::cat("\033[", kColours[line % std::size(kColours)], "m", s, "\033[0m");
}

std::string figure_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  double scaled(double value) const { return logarithmic ? std::log10(value) : value; }
  /// From 0 at the lower end to 1 at the upper.
  double place(double value) const {
    const double a = scaled(low), b = scaled(high);
    return b > a ? (scaled(value) - a) / (b - a) : 0.5;
  }
};

struct Points {
  std::vector<std::pair<double, double>> at;
  std::string label;
};

std::vector<Points> finite(const std::vector<ChartLine>& lines) {
  std::vector<Points> out;
  for (const ChartLine& line : lines) {
    Points kept{{}, text::printable(line.label)};
    for (const auto& point : line.points)
      if (std::isfinite(point.first) && std::isfinite(point.second)) kept.at.push_back(point);
    if (!kept.at.empty()) out.push_back(std::move(kept));
  }
  return out;
}

Axis axis_of(const std::vector<Points>& lines, bool of_y) {
  Axis out;
  bool first = true;
  for (const Points& line : lines)
    for (const auto& [x, y] : line.at) {
      const double v = of_y ? y : x;
      out.low = first ? v : std::min(out.low, v);
      out.high = first ? v : std::max(out.high, v);
      first = false;
    }
  out.logarithmic = of_y && out.low > 0 && out.high > 30 * out.low;
  return out;
}

/// Dots in cells, `wide` x `tall` to each.
class Canvas {
 public:
  Canvas(size_t columns, size_t rows, size_t wide, size_t tall)
      : columns_(columns), rows_(rows), wide_(wide), tall_(tall), dots_(columns * rows, 0),
        line_(columns * rows, 0) {}
  size_t dots_across() const { return columns_ * wide_; }
  size_t dots_up() const { return rows_ * tall_; }
  void set(size_t x, size_t y, size_t line) {
    const size_t from_top = dots_up() - 1 - y;
    const size_t cell = from_top / tall_ * columns_ + x / wide_;
    dots_[cell] |= bit(x % wide_, from_top % tall_);
    line_[cell] = line;
  }
  /// The cell's character, coloured; a blank if it is empty.
  std::string cell(size_t column, size_t row, const TerminalLook& look) const {
    const size_t at = row * columns_ + column;
    if (dots_[at] == 0) return " ";
    if (!look.utf8)
      return coloured(std::string(1, kMarks[line_[at] % (sizeof kMarks - 1)]), line_[at], look);
    const unsigned code = 0x2800u + dots_[at];
    return coloured({static_cast<char>(0xe0 | (code >> 12)),
                     static_cast<char>(0x80 | ((code >> 6) & 0x3f)),
                     static_cast<char>(0x80 | (code & 0x3f))},
                    line_[at], look);
  }

 private:
  /// Braille numbers its dots down the left column, then the right, with the lowest row last.
  unsigned bit(size_t x, size_t y) const {
    if (wide_ == 1) return 1;
    return y == 3 ? 0x40u << x : 1u << (y + 3 * x);
  }
  size_t columns_, rows_, wide_, tall_;
  std::vector<unsigned> dots_;
  std::vector<size_t> line_;
};

size_t dot(double place, size_t dots) {
  return static_cast<size_t>(
      std::lround(std::clamp(place, 0.0, 1.0) * static_cast<double>(dots - 1)));
}

void draw(Canvas& canvas, const Points& line, size_t number, const Axis& x, const Axis& y) {
  const auto at = [&](const std::pair<double, double>& point) {
    return std::pair{dot(x.place(point.first), canvas.dots_across()),
                     dot(y.place(point.second), canvas.dots_up())};
  };
  auto [x0, y0] = at(line.at[0]);
  canvas.set(x0, y0, number);
  for (const auto& point : line.at) {
    const auto [x1, y1] = at(point);
    const auto dx = static_cast<double>(x1) - static_cast<double>(x0),
               dy = static_cast<double>(y1) - static_cast<double>(y0);
    const double steps = std::max({std::abs(dx), std::abs(dy), 1.0});
    for (double i = 1; i <= steps; ++i)
      canvas.set(static_cast<size_t>(std::lround(static_cast<double>(x0) + dx * i / steps)),
                 static_cast<size_t>(std::lround(static_cast<double>(y0) + dy * i / steps)), number);
    x0 = x1;
    y0 = y1;
  }
}

/// A row for the name of each line, as near to its end as others leave room.
std::vector<size_t> label_rows(const std::vector<Points>& lines, const Axis& y, size_t rows) {
  std::vector<size_t> out;
  std::vector<bool> taken(rows, false);
  for (const Points& line : lines) {
    const size_t wanted = rows - 1 - dot(y.place(line.at.back().second), rows);
    size_t found = wanted;
    for (size_t away = 0; away < rows; ++away) {
      if (wanted + away < rows && !taken[wanted + away]) {
        found = wanted + away;
        break;
      }
      if (away <= wanted && !taken[wanted - away]) {
        found = wanted - away;
        break;
      }
    }
    taken[found] = true;
    out.push_back(found);
  }
  return out;
}

}  // namespace

TerminalLook look_of_output() {
  return {terminal::width(STDOUT_FILENO), terminal::is_utf8(), terminal::has_colour(STDOUT_FILENO)};
}

std::string heading(const std::string& words, const TerminalLook& look) {
  return look.colour ? "\033[1m" + words + "\033[0m" : words;
}

size_t columns_of(const std::string& s) {
  size_t n = 0;
  for (size_t i = 0; i < s.size(); ++n)
    i += text::first_character(std::string_view(s).substr(i)).bytes;
  return n;
}

std::string padded(const std::string& s, size_t columns, bool to_the_right) {
  const size_t n = columns_of(s);
  if (n <= columns) {
    const std::string blanks(columns - n, ' ');
    return to_the_right ? blanks + s : s + blanks;
  }
  size_t bytes = 0;
  for (size_t i = 0; i + 1 < columns; ++i)
    bytes += text::first_character(std::string_view(s).substr(bytes)).bytes;
  return s.substr(0, bytes) + (columns > 0 ? "~" : "");
}

std::string terminal_chart(const std::string& title, const std::vector<ChartLine>& lines,
                           const TerminalLook& look, double factor) {
  const std::vector<Points> kept = finite(lines);
  if (kept.empty()) return "";
  const Axis x = axis_of(kept, false), y = axis_of(kept, true);
  const std::string top = figure_text(y.high * factor), bottom = figure_text(y.low * factor);
  const size_t left = std::max(top.size(), bottom.size());
  size_t right = 0;
  for (const Points& line : kept) right = std::max(right, columns_of(line.label));
  right = std::min(right, look.width / 3);
  // Beside the curves stand the ticks and the names, or below them the word "epoch".
  const size_t used = left + std::max<size_t>(right + (look.utf8 ? 4 : 6), 9), rows = std::max<size_t>(8, kept.size());
  const size_t columns = look.width > used + 16 ? look.width - used : 16;
  Canvas canvas(columns, rows, look.utf8 ? 2 : 1, look.utf8 ? 4 : 1);
  for (size_t i = kept.size(); i-- > 0;) draw(canvas, kept[i], i, x, y);  // the first on top
  const std::vector<size_t> names = label_rows(kept, y, rows);
  const std::string bar = look.utf8 ? "│" : "|", corner = look.utf8 ? "└" : "+",
                    dash = look.utf8 ? "─" : "-";
  std::string out =
      heading(title, look) + (y.logarithmic ? ", logarithmic axis" : "") + "\n";
  for (size_t row = 0; row < rows; ++row) {
    const std::string tick = row == 0 ? top : row + 1 == rows && y.high > y.low ? bottom : "";
    std::string line = padded(tick, left, true) + " " + bar;
    for (size_t column = 0; column < columns; ++column) line += canvas.cell(column, row, look);
    for (size_t i = 0; i < kept.size(); ++i)
      if (names[i] == row) {
        const std::string mark =
            look.utf8 ? "" : std::string(1, kMarks[i % (sizeof kMarks - 1)]) + " ";
        line += "  " + coloured(mark + padded(kept[i].label, std::min(
                                                  right, columns_of(kept[i].label))), i, look);
      }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  out += std::string(left + 1, ' ') + corner;
  for (size_t column = 0; column < columns; ++column) out += dash;
  const std::string from = figure_text(x.low), to = figure_text(x.high);
  out += "\n" + std::string(left + 2, ' ') + from;
  if (x.high > x.low && columns > from.size() + to.size())
    out += std::string(columns - from.size() - to.size(), ' ') + to;
  return out + "  epoch\n";
}

}  // namespace altprop::report
