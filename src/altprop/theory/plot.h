// A line plot as one SVG element, without scripts, fonts or links: for a page or a file of its own.
#pragma once

#include <string>
#include <vector>

namespace altprop::theory {

struct Line {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> spread;  ///< half the length of an error bar; empty: none
  bool points = false;         ///< a mark at every point
  bool dashed = false;
  int colour = -1;  ///< of another line, by index; -1: its own
};

struct Plot {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<Line> lines;
};

/// Points that a logarithmic axis cannot show, and numbers that are none, are left out.
std::string svg(const Plot& plot);

/// Text for HTML and SVG.
std::string escaped(const std::string& text);

}  // namespace altprop::theory
