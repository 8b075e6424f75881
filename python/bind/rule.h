// A rule bound to a network of Python's, whose gradients go into tensors of the caller's.
#pragma once

#include "altprop/rules/rule.h"
#include "network.h"
#include "updater.h"

namespace altprop::python {

/// A loss of two Python functions, of the value of each sample [B] and of its gradient [B, ...].
class PythonLoss : public Loss {
 public:
  PythonLoss(pybind11::function value, pybind11::function gradient)
      : value_(std::move(value)), gradient_(std::move(gradient)) {}
  std::string name() const override { return "python"; }
  std::string help() const override { return "a loss of Python's"; }
  Tensor value(const Tensor& output, const Tensor& target) const override;
  Tensor gradient(const Tensor& output, const Tensor& target) const override;
  Tensor right(const Tensor&, const Tensor&) const override { return {}; }
  Tensor link(const Tensor& output) const override { return output; }
  void admit(const std::vector<int64_t>&, const Tensor&) const override {}

  /// What a sample costs depends on the others of its batch (a sum, class weights), so that no rows
  /// of a batch may be taken apart.
  bool couples_samples = false;

 private:
  pybind11::function value_, gradient_;
};

/// A forward pass, until its credit is taken.
struct ForwardPass {
  TracePtr trace;
  Tensor output;
};

/// A parameter of the rule's own.
struct Owned {
  std::string name;
  Tensor value;
  int partner;  ///< number of the network's parameter that it steps with; -1: by its own gradient
  bool learnt;
};

class BoundRule {
 public:
  /// @param loss null: gradients at the output are all that it will get
  /// @param input_credit credits of the network's inputs will be asked for
  /// @param optimizer what is known of the one that will step the weights (updater.h); or nothing
  BoundRule(std::shared_ptr<Network> net, const std::string& name, const OptionValues& options,
            std::shared_ptr<PythonLoss> loss, uint64_t seed, bool input_credit,
            const std::optional<pybind11::dict>& optimizer);

  std::shared_ptr<ForwardPass> forward(const Tensor& inputs, int64_t step, bool learning);
  /// Credit of a forward pass, of an objective whose gradient at the output is `cotangent`.
  /// @param into where gradients go, by parameter, the network's and then the rule's own; none: not
  /// wanted @param keep what is there is kept
  /// @returns that of the network's input if the rule was bound for it
  std::optional<Tensor> credit(ForwardPass& pass, const Tensor& cotangent,
                               const std::vector<std::optional<Tensor>>& into,
                               const std::vector<bool>& keep);
  /// The same of the loss that it was bound with.
  void credit_of_loss(ForwardPass& pass, const Tensor& targets,
                      const std::vector<std::optional<Tensor>>& into,
                      const std::vector<bool>& keep);

  std::vector<Owned> owned() const;
  /// The gradient of an own parameter that goes with that of its partner.
  Tensor carried(size_t own, const Tensor& of_partner) const;
  std::vector<std::string> passes(int64_t epoch, int64_t epochs) const {
    return rule_->passes(epoch, epochs);
  }
  /// One batch of a pass that is not "train".
  void run_pass(const std::string& pass, const Tensor& inputs, int64_t step);
  /// The optimizer has stepped. @param optimizer with which settings
  void after_update(const pybind11::dict& optimizer);
  /// Weight decay that it wants in an epoch; negative: the optimizer's.
  double weight_decay(int64_t epoch) const { return rule_->weight_decay(epoch); }
  std::vector<std::string> warnings(const pybind11::dict& optimizer) const;
  bool follows_updates() const { return rule_->follows_updates(); }
  bool steps_itself() const { return rule_->steps_itself(); }
  /// Per weight with feedback: name, |feedback - weight|, the factor of the first distance that the
  /// alignment law predicts and the one that is measured (negative: none).
  std::vector<std::tuple<std::string, double, double, double>> alignment() const;
  /// Goes on from where another one of the same rule is, on another trace of the same model; what
  /// they own is one from here on. @throws Error if the traces have other weights
  void take_over(BoundRule& other);

 private:
  std::vector<ParamPtr> all_params() const;
  Credits send(ForwardPass& pass, const Objective& objective,
               const std::vector<std::optional<Tensor>>& into, const std::vector<bool>& keep);
  Look look_at(const Tensor& inputs, int64_t step, bool learning) const;

  std::shared_ptr<Network> net_;
  std::shared_ptr<PythonLoss> loss_;
  std::unique_ptr<Learner> learner_;
  Rule* rule_ = nullptr;
  bool input_credit_;
  Stream draws_;
  ForeignUpdater updater_;
  Look last_;        ///< of the last forward pass that learns
  Tensor targets_;   ///< of the last loss
};

}  // namespace altprop::python
