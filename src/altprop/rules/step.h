// Samples on their way through a learner: a Look is what a forward pass is given, a Step also has
// targets and an updater.
#pragma once

#include <string>

#include "altprop/network/op.h"
#include "altprop/optim/updater.h"

namespace altprop {

struct Look {
  Tensor inputs{};        ///< [B, ...]
  Tensor ids{};           ///< int64 [B], sample numbers in the data set; undefined: they have none
  Stream draws{};         ///< keyed by (seed, step)
  int64_t index = 0;      ///< global step, 0-based
  int64_t first_row = 0;  ///< number of the first sample in the whole batch
  int64_t samples = 0;    ///< of the whole batch, if some of it is elsewhere; 0: these are all
  /// The signals are going to update weights, so that the rule may count, keep states and learn
  /// beside them. Else somebody is only looking, and nothing may change.
  bool learning = false;

  int64_t rows() const { return inputs.size(0); }
  bool has_ids() const { return ids.defined(); }
  /// Size of the whole batch.
  int64_t batch() const { return samples > 0 ? samples : rows(); }
  /// The circumstances of a forward pass through a network.
  Pass in(Mode mode) const {
    return {.mode = mode, .draws = draws, .ids = ids, .first_row = first_row};
  }
  /// Whose random numbers the samples draw (Stream::normal_rows).
  RowIds row_ids() const { return {ids, first_row}; }
  /// Some of the samples, of the same batch.
  Look part(int64_t first, int64_t count) const;
};

/// The part of its whole batch that a look has.
inline double share_of(const Look& look) {
  return static_cast<double>(look.rows()) / static_cast<double>(look.batch());
}

/// What nobody can learn from: "the inputs of sample 3 of the batch are not finite; check the data";
/// "" if targets are finite and inputs are what their kind may be. For whoever is about to blame
/// something else. @param kind of the inputs: spike times may be +inf
std::string not_finite_in(const Tensor& inputs, Kind kind, const Tensor& targets = {});

struct Step : Look {
  /// A batch to learn from. @param targets as the loss takes them
  static Step train(Updater& updater, Look look, Tensor targets);
  /// A batch that is only looked at: probes, checks.
  static Step look_at(Look look, Tensor targets);

  Tensor targets;
  int64_t epoch = 0;           ///< 0-based
  std::string pass = "train";  ///< one of Learner::passes
  /// Takes the signals and steps. @throws Error if the batch is only looked at
  Updater& updater() const;

  Tensor output;  ///< set by the learner: the network's output before the update, for the running
                  ///< scores; undefined in a pass that trains something else

 private:
  Step(Look look, Tensor targets, Updater* updater)
      : Look(std::move(look)), targets(std::move(targets)), updater_(updater) {}

  Updater* updater_ = nullptr;
};

}  // namespace altprop
