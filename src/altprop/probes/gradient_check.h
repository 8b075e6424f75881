// A rule's gradients against the exact gradients of what it approximates, at the same weights on the same batch.
#pragma once

#include <string>
#include <vector>

#include "altprop/probes/similarity.h"
#include "altprop/rules/rule.h"

namespace altprop {

struct GradientRow {
  std::string name;  ///< of the parameter
  Similarity s;
};

/// The learner as one whose gradient can be looked at. @throws UsageError, naming it as `name`, if
/// it trains by other means than local signals
Rule& with_gradient(Learner& learner, const std::string& name);

/// One row per parameter of the network. Nothing is changed: weights, gradients, running statistics, draws.
/// @param step the batch to look at; its updater is ignored
std::vector<GradientRow> compare_gradients(Rule& rule, const Step& step);

/// A feedback tensor against its forward weight.
struct AlignmentRow {
  std::string name;
  double angle_degrees, norm_ratio;
  double predicted_factor, measured_factor;  ///< of an exact law; negative: none
};
std::vector<AlignmentRow> measure_alignment(const Learner& learner);

}  // namespace altprop
