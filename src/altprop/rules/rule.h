// The contract of everything trainable. A Learner owns a step; a Rule is the usual case that
// delivers local signals and lets the updater do the rest. See docs/design.md for what each hook is
// for.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/network/graph.h"
#include "altprop/network/loss.h"
#include "altprop/optim/updater.h"
#include "altprop/rules/settling.h"

namespace altprop {

/// One batch on its way through a learner.
struct Step {
  Graph& net;
  const Loss& loss;
  Updater* updater;            ///< null when gradients are only looked at (probes, checks)
  Activity& activity;          ///< reused from step to step
  Tensor inputs;               ///< [B, ...]
  Tensor targets;              ///< int64 [B], or [B, ...] values
  Tensor ids;                  ///< int64 [B], sample numbers in the data set
  int64_t epoch = 0;           ///< 0-based
  int64_t index = 0;           ///< global step, 0-based
  std::string pass = "train";  ///< one of Learner::passes(epoch)
  Stream draws{};              ///< keyed by (seed, step)

  Tensor output;  ///< set by the learner: the network's output before the update, for the running
                  ///< loss and accuracy

  int64_t batch() const { return inputs.size(0); }
};

class Learner {
 public:
  virtual ~Learner() = default;

  /// Options with their current values as defaults. Called before bind.
  virtual void declare(Options& options) {}
  /// Checks that network, loss and rule go together. @throws Refusal saying where, why and what to
  /// use instead
  virtual void admit(const Graph& net, const Loss& loss) const {}
  /// The optimizer that will step the weights. Called before bind by whoever knows; a rule that was
  /// not told assumes nothing about it. @throws Refusal if the rule's options do not go with it
  virtual void prepare_for(const OptimizerSettings& settings) {}
  /// Allocates and draws what the rule owns, of the network's type and device. @param seed of the
  /// run; a rule derives its own streams
  virtual void bind(Graph& net, const Loss& loss, uint64_t seed) {}
  /// Parameters of the network that this rule trains; the others stay as they are.
  virtual std::vector<ParamPtr> trained(Graph& net) const { return net.params(); }
  /// The rule's own parameters: stepped by the updater with the network's (or as a group of their
  /// own).
  virtual std::vector<ParamPtr> owned() { return {}; }
  /// Names of the passes over the data that make up an epoch.
  virtual std::vector<std::string> passes(int64_t epoch) const { return {"train"}; }
  /// One batch; may apply several updates.
  virtual void step(Step& step) = 0;
  /// Network output for evaluation.
  virtual Tensor predict(Graph& net, const Tensor& inputs) { return net.predict(inputs); }
  /// True if the rule does not look at gradients and uses no weight between the signal of its
  /// operation and the update, so that updates need no gradients (see Updater::set_in_place).
  virtual bool allows_in_place() const { return false; }
  /// After each update of the group "weights": refresh what depends on the weights.
  virtual void after_update(Graph& net, const StepFacts& facts, const Step& step) {}
  /// Weight decay to use in an epoch instead of the optimizer's; negative: the optimizer's.
  virtual double weight_decay(int64_t epoch) const { return -1; }
  /// Sentences about settings that are legal but will disappoint.
  virtual std::vector<std::string> warnings(const OptimizerSettings& settings) const { return {}; }
  /// Sentences about what shows only while training, new since the last call; asked after each
  /// epoch. Repetitions are dropped.
  virtual std::vector<std::string> notices() { return {}; }
  /// Figures of the epoch so far, by name, for its record; forgotten once asked for.
  virtual std::vector<std::pair<std::string, double>> measurements() { return {}; }
  /// Everything beside the network's and the owned parameters that a resumed run needs.
  virtual void state(StateIO io) {}
};

/// A feedback tensor against the weight it stands for.
struct FeedbackFact {
  std::string name;
  Tensor feedback;  ///< the tensor really used, of the weight's shape
  Tensor weight;
  double predicted_factor = -1;  ///< of an exact alignment law; negative: none
  double measured_factor = -1;
};

class Rule : public Learner {
 public:
  /// Forward pass, then signals: sets step.output.
  virtual void assign(Step& step, Sink& sink) = 0;
  /// The exact gradient of what this rule approximates: backprop's unless the rule has a loss or
  /// dynamics of its own.
  virtual void reference(Step& step, Sink& sink);
  virtual std::string reference_name() const { return "backprop"; }
  void step(Step& step) override;
  /// Per operation whose credit crosses a feedback tensor, for the alignment instruments; empty if
  /// the rule has none.
  virtual std::vector<FeedbackFact> feedback(const Graph& net) const { return {}; }
  /// Relaxes on a batch as `assign` would and says how the states settle; changes nothing. None if
  /// the rule relaxes nothing.
  virtual std::optional<Settling> watch(Step& step) { return std::nullopt; }
};

/// Forward pass, output gradient, reverse sweep through `feedback`: the body of backprop and of all
/// feedback-pathway rules.
void sweep_step(Step& step, Feedback& feedback, Sink& sink);

}  // namespace altprop
