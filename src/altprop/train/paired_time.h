// What a step of a rule costs beside a step of backprop, the two taking turns on the same machine
// in the same moments: the ratio of two runs one after the other is that of the machine's moods.
#pragma once

#include <memory>
#include <optional>

#include "altprop/train/settings.h"

namespace altprop {

namespace data {
struct Splits;
}

struct PairedTime {
  double rule = 0, backprop = 0;  ///< seconds of a step, medians
  int64_t steps = 0;              ///< of each, without those for warming up
  double ratio() const { return rule / backprop; }
};

/// Below so many steps of each there is no figure.
constexpr int64_t kFewestPairedSteps = 10;

/// Times both on batches of the training data, with networks of their own.
/// @param budget seconds, of both together; a step that takes a large part of it has no figure
/// @returns nothing on a GPU, whose steps are not timed singly, after an interrupt, or where
/// training diverges
std::optional<PairedTime> time_beside_backprop(const RunSettings& rule, const RunSettings& backprop,
                                               const std::shared_ptr<const data::Splits>& data,
                                               double budget = 1);

}  // namespace altprop
