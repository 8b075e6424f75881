// What the rules share whose feedback is pulled towards the forward weights by weight decay
// (Kolen-Pollack; product feedback alignment): how much decay in which epoch, and the facts that
// the alignment law of one weight needs. The law itself is AlignmentLaw (optim/step_facts.h): J.
// Kolen, J. Pollack, "Backpropagation without weight transport", 1994; M. Akrout et al. 2019, arXiv
// 1904.05391; Li Ji-An, M. Benna 2024, arXiv 2405.20594 for the strong first epoch.
#pragma once

#include <optional>

#include "altprop/network/param.h"
#include "altprop/optim/optimizer.h"
#include "altprop/rules/learner.h"

namespace altprop {

/// Weight decay is the engine of alignment: without it the feedback keeps its first difference for
/// ever. So it is strong at first and never quite zero.
struct AlignmentDecay {
  double decay = 1e-2;
  int64_t epochs = 1;
  double min_decay = 1e-4;

  /// @param prefix "kp" or "pfa"
  void declare(Options& options, const std::string& prefix);
  /// For Learner::unread.
  void unread(std::vector<Unread>& out, const std::string& prefix) const;
  /// For Learner::weight_decay: the optimizer's own decay where it is larger.
  double in_epoch(int64_t epoch, const std::optional<OptimizerSettings>& settings) const;
  /// Plain descent that takes signals into the values has lost the value that a decay is a part of;
  /// momentum's average has not.
  static bool fits_in_place(const std::optional<OptimizerSettings>& settings);
  /// True if no epoch has any decay.
  bool none(const OptimizerSettings& settings) const {
    return settings.weight_decay == 0 && min_decay == 0 && (epochs == 0 || decay == 0);
  }
};

/// True if steps are linear in the sequence of gradients, as those of momentum are. What is done to
/// the gradient beforehand (clipping, signs) does not matter to a twin, which gets the finished
/// one.
bool steps_linearly(const OptimizerSettings& settings);

/// What an update did to one weight: with its own rate factor and decay flag.
StepFacts facts_of(const Param& weight, const StepFacts& facts, const OptimizerSettings& settings);

}  // namespace altprop
