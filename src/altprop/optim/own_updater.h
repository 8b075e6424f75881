// The library's own updater: takes local signals, turns them into gradients (by default through the
// operations themselves) and steps the parameters with one of the optimizers of optim/optimizers/.
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

#include "altprop/network/gradients.h"
#include "altprop/optim/updater.h"

namespace altprop {

class OwnUpdater : public Updater {
 public:
  /// @param schedule of all groups that have none of their own
  explicit OwnUpdater(OptimizerSettings settings, Schedule schedule = {})
      : run_{std::move(settings), std::move(schedule)} {}

  void set_group(GroupSettings settings) override {
    groups_[settings.name] = {std::move(settings.optimizer), std::move(settings.schedule)};
  }
  void set_direction(std::shared_ptr<Direction> direction) override {
    direction_ = std::move(direction);
  }
  void set_exchange(std::shared_ptr<Exchange> exchange, const Traits& of_net) override {
    exchange_ = std::move(exchange);
    couples_samples_ = of_net.couples_samples;
  }
  void set_in_place(bool allowed) override { in_place_ = allowed; }
  void set_steps_alone(bool wanted) override { steps_alone_ = wanted; }
  /// Leaves values where they are instead of moving them into flat buffers: for parameters that
  /// belong to somebody else (a caller's tensors, of any strides). Call before bind.
  void set_gathered(bool gathered) { gathered_ = gathered; }

  /// Moves the values into flat buffers (Param::value becomes a view; all users of the Param see
  /// it). @throws Error if a twin comes without its partner, UsageError for an optimizer or a
  /// schedule that there is not, Refusal for an exchange in a network whose samples are coupled, for
  /// values that lie outside of their bounds already, and for what needs all gradients of a step
  /// where operations are to be stepped alone
  void bind(const std::vector<ParamPtr>& params) override;

  void take(const LocalSignal& signal) override;
  void take(const ParamSignal& signal) override;

  void apply(const std::string& group = "weights") override;
  /// Needs values that stay where they are (set_steps_alone, set_gathered). @throws Error where
  /// values are gathered, in-place, twins of others, bounded by a norm of all, exchanged, or
  /// finished by a direction
  void apply_to(const Op& op) override;

  void set_progress(int64_t epoch, double fraction, int64_t epochs, int64_t step) override;
  /// The same for callers that know no epochs: this factor on the rate of every group.
  void set_rate_factor(double factor);
  bool keeps_bounds() const override { return true; }
  void set_weight_decay(double decay) override { decay_override_ = decay; }
  void set_weight_decay(const std::string& group, double decay) override {
    decay_overrides_[group] = decay;
  }

  const OptimizerSettings& settings(const std::string& group = "weights") const override {
    return group_of(group).settings;
  }
  const StepFacts& facts(const std::string& group = "weights") const override;
  int64_t steps(const std::string& group = "weights") const override;
  double gradient_norm(const std::string& group = "weights") const;
  /// Its gradient, momentum's average, or its value itself.
  const Slot* slot(const Param& param) const override { return slots_.find(param); }

  void state(StateIO io) override;

 private:
  struct Group {
    OptimizerSettings settings;
    Schedule schedule;
    double rate_factor = 1;
  };
  struct Block {  // parameters with the same group, rate factor, decay and bounds
    std::string group, key;
    double lr_factor = 1;
    bool decay = true, twins = false;
    std::shared_ptr<const Optimizer> optimizer;
    std::optional<Bounds> bounds;
    Target target = Target::Gradient;
    std::vector<ParamPtr> params = {};
    // One flat tensor each, or one per parameter for twins and where values stay where they are.
    std::vector<Tensor> values = {}, grads = {};
    std::vector<std::vector<Tensor>> state = {};  // by state tensor, each like values
  };
  struct Progress {
    int64_t steps = 0;
    StepFacts facts;
  };
  /// Signals would vanish. @throws Error before bind
  void require_params() const;
  Slot& slot_of(const ParamPtr& param) { return *slots_.find(*param); }
  const Group& group_of(const std::string& group) const;
  Target target_of(const Block& block) const;
  void refuse_alone() const;
  bool gathers() const { return gathered_ && !steps_alone_; }
  /// Those parameters of a block for which `wanted` is true; of values that lie apart.
  template <class Wanted>
  static Block some_of(const Block& block, const Wanted& wanted);
  void gather(Block& block);
  void hold_apart(Block& block);
  void give_slot(const Block& block, const ParamPtr& param, Tensor into);
  void prepare_optimizer(Block& block);
  void refresh_factors();
  double rate_of(const Param& param) const;
  double decay_of(const std::string& group) const;
  StepFacts facts_now(const std::string& group) const;
  /// Momentum's whole step for the weight of an affine map. @returns false if it has to be taken
  /// the usual way
  bool step_at_once(const LocalSignal& signal);
  void clip(const std::vector<Block*>& blocks, const std::string& group,
            const OptimizerSettings& settings, StepFacts& facts);
  std::vector<Tensor> treated(const Block& block);
  void clip_each(Block& block, const OptimizerSettings& settings);
  void take_twins_gradients(Block& block);
  void finish_step(Block& block);
  void step(Block& block, const OptimizerSettings& settings, const StepFacts& facts,
            bool first_step);
  void step_values(Block& block, const OptimizerSettings& settings, const StepNumbers& numbers);

  Group run_;                            ///< of all groups that are not in ...
  std::map<std::string, Group> groups_;  ///< ... this one
  std::shared_ptr<Direction> direction_;
  std::shared_ptr<Exchange> exchange_;
  bool couples_samples_ = false;
  std::vector<Block> blocks_;
  /// What signals are added to, for those parameters that are stepped here. Twins seldom receive
  /// signals of their own: their gradients are allocated when they do.
  Gradients slots_ = Gradients::none();
  std::map<std::string, Progress> progress_;
  double decay_override_ = -1;
  std::map<std::string, double> decay_overrides_;  ///< of single groups, above the one of all
  bool in_place_ = false, gathered_ = true, steps_alone_ = false, bound_ = false;
  bool into_values_ = false;                ///< the target of all blocks is the value
  std::map<const Param*, size_t> at_once_;  ///< weights that may step at once, with their block
  std::set<const Param*> stepped_;          ///< those of them that have, since the last update
  std::set<const Param*> alone_;            ///< stepped by apply_to since the last update
};

}  // namespace altprop
