// The updater: takes local signals, turns them into gradients (by default through the operations
// themselves) and steps the parameters.
//
// Parameters that step alike share one flat buffer for values, one for gradients and one per
// optimizer state, so that a step is a few kernel calls whatever the number of layers.
//
// Where nobody else needs gradients they are never stored: momentum's average receives the signals
// itself, and plain descent adds them to the values. A step of large layers waits for memory, and
// this saves a write and a read of every parameter. The weights of affine maps even take momentum's
// step in the pass that makes their gradients (tensor/outer_product.h).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "altprop/network/signal.h"
#include "altprop/optim/optimizer.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

/// How a stream of signals becomes gradients, where it is not plain accumulation (recursive least
/// squares, consequentialism).
struct Direction {
  virtual ~Direction() = default;
  virtual void absorb(const LocalSignal& signal, Store& gradients) { signal.accumulate(gradients); }
  virtual void absorb(const ParamSignal& signal, Store& gradients) { signal.accumulate(gradients); }
  /// Called before each update of a group; may replace the gradients of its parameters. Of those
  /// that received nothing since the last update, the slots are still fresh.
  virtual void finish(const std::string& group, Store& gradients) {}
  virtual void state(StateIO) {}
};

class Updater : public Sink {
 public:
  explicit Updater(OptimizerSettings settings) : settings_(std::move(settings)) {}
  Updater(const Updater&) = delete;
  Updater& operator=(const Updater&) = delete;

  /// Settings of one group of parameters ("feedback", ...) where they differ. Call before bind.
  void set_group(const std::string& group, OptimizerSettings settings) {
    group_settings_[group] = std::move(settings);
  }
  void set_direction(std::shared_ptr<Direction> direction) { direction_ = std::move(direction); }

  /// Allows that. The caller promises that nobody reads gradients, and that no weight is used
  /// between the signal of its operation and `apply`. Call before bind.
  void set_in_place(bool allowed) { in_place_ = allowed; }

  /// Leaves values where they are instead of moving them into flat buffers: for parameters that
  /// belong to somebody else (a caller's tensors, of any strides). Call before bind.
  void set_gathered(bool gathered) { gathered_ = gathered; }

  /// Takes charge of these parameters, less frozen ones: moves their values into flat buffers
  /// (Param::value becomes a view; all users of the Param see it). @throws Error if a twin comes
  /// without its partner
  void bind(const std::vector<ParamPtr>& params);

  void take(const LocalSignal& signal) override;
  void take(const ParamSignal& signal) override;

  /// One optimizer step for the parameters of a group, with the gradients accumulated since the
  /// last one. Parameters that received no signal count as having gradient zero.
  void apply(const std::string& group = "weights");

  /// The same for the parameters of one operation alone, between the signals of a sweep (semi-
  /// implicit rules, SweepOrder::SignalFirst). Needs values that stay where they are.
  /// @throws Error where values are gathered, in-place, twins of others, or bounded by a norm of
  /// all
  void apply_to(const Op& op);

  /// Factor on every group's learning rate, from the schedule.
  void set_rate_factor(double factor);
  /// Overrides the weight decay of all groups until reset by a negative number (a rule's alignment
  /// phase).
  void set_weight_decay(double decay) { decay_override_ = decay; }

  const OptimizerSettings& settings(const std::string& group = "weights") const;
  /// Facts of the last step of a group.
  const StepFacts& facts(const std::string& group = "weights") const;
  int64_t steps(const std::string& group = "weights") const;
  double gradient_norm(const std::string& group = "weights") const;
  /// What the signals for a parameter are added to: its gradient, momentum's average, or its value
  /// itself. Null if it is not stepped here.
  const Slot* slot(const Param& param) const;

  void state(StateIO io);

 private:
  enum class Target { Gradient, Average, Value };  ///< what signals are added to
  struct Block {  // parameters with the same group, rate factor and decay
    std::string group, key;
    double lr_factor = 1;
    bool decay = true, twins = false;
    Target target = Target::Gradient;
    std::vector<ParamPtr> params;
    // One flat tensor each, or one per parameter for twins and where values stay where they are.
    std::vector<Tensor> values, grads;
    std::vector<Tensor> first, second, step_counts;  // optimizer state, like values
  };
  struct Progress {
    int64_t steps = 0;
    StepFacts facts;
  };
  /// What signals are added to, for those parameters that are stepped here.
  struct Slots : Store {
    std::unordered_map<const Param*, Slot> all;
    Slot* of(const Param& param) override;
    Slot& at(const ParamPtr& param) { return all.at(param.get()); }
  };
  Target target_of(const Block& block) const;
  void gather(Block& block);
  void hold_apart(Block& block);
  void give_slot(const Block& block, const ParamPtr& param, Tensor into);
  void prepare_optimizer(Block& block);
  double rate_of(const Param& param) const;
  double decay_of(const std::string& group) const;
  /// Momentum's whole step for the weight of an affine map. @returns false if it has to be taken
  /// the usual way
  bool step_at_once(const LocalSignal& signal);
  void clip(const std::string& group, const OptimizerSettings& settings, StepFacts& facts);
  std::vector<Tensor> treated(const Block& block);
  void clip_each(Block& block, const OptimizerSettings& settings);
  void finish_step(const Block& block);
  void step(Block& block, const OptimizerSettings& settings, const StepFacts& facts,
            bool first_step);

  OptimizerSettings settings_;
  std::map<std::string, OptimizerSettings> group_settings_;
  std::shared_ptr<Direction> direction_;
  std::vector<Block> blocks_;
  Slots slots_;
  std::map<std::string, Progress> progress_;
  double rate_factor_ = 1, decay_override_ = -1;
  bool in_place_ = false, gathered_ = true;
  bool into_values_ = false;                ///< the target of all blocks is the value
  std::map<const Param*, size_t> at_once_;  ///< weights that may step at once, with their block
  std::set<const Param*> stepped_;          ///< those of them that have, since the last update
};

}  // namespace altprop
