// What relaxing states did while they settled, for the instruments: per state and step how far it
// is from rest, how much of its final credit it holds, and in which direction.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace altprop {

/// One batch's relaxation, seen after a few of its steps. Numbers that a rule does not define are
/// NaN; series are empty or as long as `steps`.
struct Settling {
  struct State {
    std::string name;   ///< of the node whose value or credit it is
    std::string layer;  ///< operations with parameters that learn from it, joined by " and "; or ""
    int64_t hops = 0;   ///< from the loss, along the longest way
    double expected = NAN;         ///< share of the credit that theory says has arrived at the end
    int64_t steps_needed = -1;     ///< until 99.9 % has arrived; -1: not known
    std::vector<double> residual;  ///< the force on the state, relative to its norm
    std::vector<double> energy;    ///< its part of the energy, per sample
    std::vector<double> scale;     ///< projection onto the credit compared with, over its length
    std::vector<double> cosine;    ///< to the credit compared with
    std::vector<double> apart;     ///< distance from the credit of backpropagation through as many
                                   ///< steps, over its length
  };
  std::string compared_with;       ///< "fixed point" or "credit of backprop"
  std::vector<int64_t> steps;      ///< steps done when the series were taken
  std::vector<State> states;       ///< from the input to the output
  double energy_per_sample = NAN;  ///< of everything, at the end; NaN for rules without an energy
  double stable_below = NAN;  ///< step sizes at which descent converges from where states ended
  std::vector<std::pair<std::string, double>> figures;  ///< what else the rule measured, by name
  std::vector<std::string> remarks;                     ///< sentences about what is wrong
};

}  // namespace altprop
