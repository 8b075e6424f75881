// The interface of what turns a stream of local signals into steps of parameters. The library's own
// is OwnUpdater (own_updater.h); a foreign optimizer stands behind the same functions, and rules
// know no other.
//
// What a rule may want and a foreign optimizer may not have is refused here with a sentence, so
// that it has to be provided knowingly and nothing is dropped in silence.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "altprop/network/signal.h"
#include "altprop/optim/direction.h"
#include "altprop/optim/exchange.h"
#include "altprop/optim/optimizer.h"
#include "altprop/optim/schedule.h"

namespace altprop {

/// How the parameters of one group ("feedback", ...) step where it is not as the others do.
struct GroupSettings {
  std::string name;
  OptimizerSettings optimizer;
  Schedule schedule = {};
};

class Updater : public Sink {
 public:
  Updater() = default;
  Updater(const Updater&) = delete;
  Updater& operator=(const Updater&) = delete;
  ~Updater() override = default;

  // ---- before bind

  /// @throws Refusal if groups cannot differ here
  virtual void set_group(GroupSettings settings);
  /// @throws Refusal if signals cannot be had here. Null: plain accumulation
  virtual void set_direction(std::shared_ptr<Direction> direction);
  /// Null: none. @param of_net traits of the network that is trained: one whose samples depend on
  /// each other learns from parts of a batch something else than from the whole, and is refused by
  /// bind. @throws Refusal if there is no exchange here
  virtual void set_exchange(std::shared_ptr<Exchange> exchange, const Traits& of_net);
  /// Allows updates without stored gradients. The caller promises that nobody reads gradients, and
  /// that no weight is used between the signal of its operation and `apply`.
  virtual void set_in_place(bool allowed) {}
  /// Single operations are going to be stepped alone (apply_to), so that values stay where they are
  /// and nothing is stepped in place. @throws Refusal if that cannot be here
  virtual void set_steps_alone(bool wanted);
  /// Takes charge of these parameters, less frozen ones. @throws Error if they cannot be stepped as
  /// they ask for (see refuse_twins)
  virtual void bind(const std::vector<ParamPtr>& params) = 0;

  /// Values that have an interval to stay in (Param::bounds) are carried back into it behind every
  /// step. Where they are not, learners refuse to train them.
  virtual bool keeps_bounds() const { return false; }
  /// @throws Refusal naming the parameter if one has bounds and they are not kept here
  void refuse_bounds(const std::vector<ParamPtr>& params) const;

  // ---- every step: signals (Sink), then

  /// One optimizer step for the parameters of a group, with the gradients accumulated since the
  /// last one. Parameters that received no signal count as having gradient zero.
  virtual void apply(const std::string& group = "weights") = 0;
  /// The same for the parameters of one operation alone, between the signals of a sweep (semi-
  /// implicit rules, SweepOrder::SignalFirst); `apply` then leaves them out, once, unless further
  /// signals have come. @throws Error where one cannot be stepped alone
  virtual void apply_to(const Op& op);
  /// Where training stands, before each step: every group takes the rate of its own schedule.
  /// @param epoch 0-based, @param fraction of the epoch done, @param epochs of the whole run,
  /// @param step over the whole run, 0-based
  virtual void set_progress(int64_t epoch, double fraction, int64_t epochs, int64_t step) = 0;
  /// Overrides the weight decay of all groups, or of one whatever the others have, until reset by a
  /// negative number (a rule's alignment phase). @throws Refusal if it cannot be changed here
  virtual void set_weight_decay(double decay);
  virtual void set_weight_decay(const std::string& group, double decay);

  // ---- what it is and has done

  /// Of a foreign optimizer: as far as they are known, with a kind that no optimizer here has, from
  /// which rules see that no law is known of it.
  virtual const OptimizerSettings& settings(const std::string& group = "weights") const = 0;
  /// Facts of the last step of a group. A foreign optimizer that is not linear, or whose numbers
  /// are not known, leaves `linear` false.
  virtual const StepFacts& facts(const std::string& group = "weights") const = 0;
  virtual int64_t steps(const std::string& group = "weights") const = 0;
  /// What the signals for a parameter are added to. Null if it is not stepped here.
  virtual const Slot* slot(const Param& param) const = 0;
  /// All that a resumed run needs; called after bind.
  virtual void state(StateIO io) = 0;

 protected:
  /// For those that step every parameter by its own gradient alone. @throws Refusal naming the
  /// parameter if one is to step as another does (Param::twin)
  void refuse_twins(const std::vector<ParamPtr>& params) const;
  [[noreturn]] void refuse(const std::string& why, const std::string& instead) const;
};

}  // namespace altprop
