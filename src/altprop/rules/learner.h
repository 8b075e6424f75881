// The contract of everything trainable. A Learner owns its step; a Rule (rules/rule.h) is the usual
// case that delivers local signals and lets the updater do the rest. See docs/design.md for what
// each hook is for.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/network/graph.h"
#include "altprop/network/objective.h"
#include "altprop/network/scores.h"
#include "altprop/rules/settling.h"
#include "altprop/rules/step.h"

namespace altprop {

/// A feedback tensor against the weight it stands for.
struct FeedbackFact {
  std::string name;
  Tensor feedback;  ///< the tensor really used, of the weight's shape
  Tensor weight;
  double predicted_factor = -1;  ///< of an exact alignment law; negative: none
  double measured_factor = -1;
};

/// An option that nothing reads, because others have the values that they have.
struct Unread {
  std::string option;  ///< name in full: "pc.time"
  std::string beside;  ///< what makes it so: "pc.integrator=euler"
};
inline void unless(bool read, std::vector<Unread>& out, std::string option, std::string beside) {
  if (!read) out.push_back({std::move(option), std::move(beside)});
}

class Learner {
 public:
  Learner() = default;
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;
  virtual ~Learner() = default;

  // ---- before it is bound ----

  /// Options with their current values as defaults.
  virtual void declare(Options& options) {}
  /// True if the rule asks the loss at outputs that move, or for targets, so that a cotangent at
  /// the output of the forward pass is not enough.
  virtual bool needs_loss() const { return false; }
  /// True if a batch's gradient is one draw of a random estimate, so that its angle to the exact
  /// one is that of one draw, too.
  virtual bool is_stochastic() const { return false; }
  /// Options that, set as they are, change nothing about training: asked to warn of those that were
  /// changed all the same, and held to it by the contract tests. Not among them is what acts only
  /// when something happens, such as a bound that is not reached.
  virtual std::vector<Unread> unread() const { return {}; }
  /// Checks that network, loss and rule go together. @throws Refusal saying where, why and what to
  /// use instead
  virtual void admit(const Graph& net, const Loss& loss) const {}
  /// The optimizer that will step the weights, told by whoever knows; a rule that was not told
  /// assumes nothing about it. @throws Refusal if the rule's options do not go with it
  virtual void prepare_for(const OptimizerSettings& settings) {}

  /// Once: network and loss stay the same from here on and must outlive this. Checks them and sets
  /// up what the rule owns, of the network's type and device.
  /// @param loss or no_loss(), for rules that take bare cotangents
  /// @param seed of the run; a rule derives its own streams from it
  /// @throws Refusal as admit
  void bind(Graph& net, const Loss& loss, uint64_t seed);
  /// What it is bound to. @throws Error before that
  Graph& net() const;
  const Loss& loss() const;
  uint64_t seed() const { return seed_; }
  /// The loss of a step's batch.
  Objective objective(const Step& step) const {
    return {loss(), step.targets, static_cast<double>(step.batch())};
  }

  // ---- what is trained ----

  /// Parameters of the network that this rule trains; the others stay as they are.
  virtual std::vector<ParamPtr> trained() const { return net().params(); }
  /// The rule's own parameters: stepped by the updater with the network's, or as groups of their
  /// own.
  virtual std::vector<ParamPtr> owned() { return {}; }
  /// How groups of parameters (Param::group) step where they do not as the run's settings say.
  virtual std::vector<GroupSettings> groups(const OptimizerSettings& run,
                                            const Schedule& schedule) const {
    return {};
  }
  /// True if the rule does not look at gradients and uses no weight between the signal of its
  /// operation and the update, so that updates need no gradients (see Updater::set_in_place).
  virtual bool allows_in_place() const { return false; }
  /// True if the rule steps operations one by one between the signals of a sweep
  /// (Updater::apply_to): values then stay where they are, and nothing is stepped in place.
  virtual bool steps_alone() const { return false; }
  /// Weight decay to use in an epoch instead of the optimizer's; negative: the optimizer's.
  virtual double weight_decay(int64_t epoch) const { return -1; }

  // ---- a run ----

  /// Names of the passes over the data that make up an epoch. @param epoch 0-based @param epochs of
  /// the whole run
  virtual std::vector<std::string> passes(int64_t epoch, int64_t epochs) const { return {"train"}; }
  /// All batches of a pass have been seen.
  virtual void pass_done(const std::string& pass) {}
  /// One batch; may apply several updates.
  virtual void step(Step& step) = 0;
  /// After each update of the group "weights": refresh what depends on the weights.
  virtual void after_update(const StepFacts& facts, const Step& step) {}
  /// True, once bound, if `after_update` changes states of the rule's or the network's: who updates
  /// weights without `update` has to call it, too, or it is another rule. Held to it by the contract
  /// tests, as is the next one.
  virtual bool follows_updates() const { return false; }
  /// True if a step of the pass "train" is more than the signals of one forward pass, an update with
  /// them, and `after_update`: nobody but the rule can take it.
  virtual bool steps_itself() const { return false; }
  /// Network output for evaluation.
  virtual Tensor predict(const Look& look) { return net().predict(look.inputs); }
  /// What a batch is judged by: its loss and, for class numbers, the accuracy.
  virtual Scores evaluate(const Look& look, const Tensor& targets);
  /// The score of `evaluate` that early stopping goes by, and the best epoch.
  virtual std::string primary_score() const { return "loss"; }
  /// Everything beside the network's and the owned parameters that a resumed run needs.
  virtual void state(StateIO io) {}

  // ---- what it tells ----

  /// Sentences about settings that are legal but will disappoint.
  virtual std::vector<std::string> warnings(const OptimizerSettings& settings) const { return {}; }
  /// Sentences about what shows only while training, new since the last call; asked after each
  /// epoch. Repetitions are dropped.
  virtual std::vector<std::string> notices() { return {}; }
  /// Figures of the epoch so far, by name, for its record; forgotten once asked for.
  virtual std::vector<std::pair<std::string, double>> measurements() { return {}; }
  /// Per operation whose credit crosses a feedback tensor, for the alignment instruments; empty if
  /// the rule has none.
  virtual std::vector<FeedbackFact> feedback() const { return {}; }
  /// Relaxes on a batch as a step would and says how the states settle; changes nothing. None if
  /// the rule relaxes nothing.
  virtual std::optional<Settling> watch(const Step& step) { return std::nullopt; }

 protected:
  /// Sends the network's penalties (Op::penalise). @param share see share_of
  void penalise(double share, Sink& sink) const;
  /// For functions that use what `set_up` makes, and inputs that they do not give to the network
  /// itself. @throws Error before bind; UsageError if the inputs are not those of the network
  void require_bound(const Look& look) const { net().expect_inputs({&look.inputs, 1}); }
  /// Allocates and draws what the rule owns; called by `bind`, after `admit`.
  virtual void set_up() {}
  /// Updates the group "weights" with the signals since the last update, and what follows from it.
  void update(Step& step);
  /// Scores of an output that is at hand: loss and accuracy.
  Scores judge(const Tensor& output, const Tensor& targets) const;

 private:
  /// Else what the rule owns would silently stay as it was drawn.
  void require_owned(const Updater& updater);

  Graph* net_ = nullptr;
  const Loss* loss_ = nullptr;
  uint64_t seed_ = 0;
  const Updater* known_updater_ = nullptr;  ///< whose parameters have been looked at
  bool penalised_ = false;
};

}  // namespace altprop
