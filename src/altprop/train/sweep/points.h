// What a sweep tries: for each rule all combinations of the values of its axes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace altprop::sweeps {

/// One option and its values.
struct Axis {
  std::string rule;    ///< as written before the colon, "kp:kp.form=..."; "": of all rules
  std::string option;  ///< as it may stand in brackets behind a rule
  std::vector<std::string> values;
};

/// "lr=0.01,0.03,0.1". @throws UsageError
Axis grid(const std::string& written);
/// "lr=1e-4..1:7": as many values, each the same multiple of the one before. @throws UsageError
Axis range(const std::string& written);

/// A rule with values of its axes in brackets, which is how it is trained and called.
struct Point {
  std::string label;
  std::vector<std::pair<std::string, std::string>> values;
};
/// @param rule as written, perhaps with brackets of its own. @throws UsageError if these give an
/// option that is an axis, too
std::vector<Point> points_of(const std::string& rule, const std::vector<Axis>& axes);

/// @throws UsageError if the rule of an axis is none of `rules`, or two axes are of one option
void check_axes(const std::vector<Axis>& axes, const std::vector<std::string>& rules);

/// So many points train so long; then the best go on to the next.
struct Rung {
  size_t points = 0;
  int64_t epochs = 0;  ///< in all, not only of this rung
};
/// Successive halving: of `points` all train for a few epochs, and each time the best 1 / `factor`
/// of them for `factor` times as many, until one has trained for all.
/// @param factor 0: all points train for all epochs
/// @source Jamieson, Talwalkar 2016, arXiv 1502.07943
std::vector<Rung> rungs_of(size_t points, int64_t epochs, int64_t factor);

}  // namespace altprop::sweeps
