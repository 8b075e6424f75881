// The loop of a phase: steps until states are at rest or the steps are done.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "altprop/rules/relaxation/relax.h"

namespace altprop {

/// Numbers that a core keeps near. With more, threads share the products of a step: by rows each
/// would fetch all weights.
constexpr int64_t kMostWeightsByRows = 1 << 20;
/// Below, a product with a matrix is one of a few vectors, which no layout makes faster.
constexpr int64_t kLeastUnitsOfPanels = 17;

struct StopWhen {
  int64_t steps = 0;        ///< at most
  double tolerance = 0;     ///< no unit moved by this much in a step; 0: never early
  int64_t check_every = 5;  ///< steps between looks at the residual
  bool turn = false;        ///< also measure Settled::turn
};

struct Settled {
  int64_t steps = 0;
  double residual = 0;  ///< largest |move| of a unit in the last step
  double turn = 0;      ///< cosine between the last two moves; near -1: a period of two steps
};

/// @param advance takes so many steps, at least one, and returns the largest |move| of a unit in
/// the last of them
/// @param copy the states as they are, to keep; for Settled::turn
Settled settle_loop(const StopWhen& stop, const std::function<double(int64_t steps)>& advance,
                    const std::function<Field()>& copy);

/// @param phases the options that say how many steps, by name, and their values
/// @param reason a clause: what fewer steps would miss
/// @throws Refusal for the first that is below `least`
void require_steps(int64_t least, const std::vector<std::pair<std::string, int64_t>>& phases,
                   const std::string& reason);

}  // namespace altprop
