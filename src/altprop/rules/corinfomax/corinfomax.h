// The rule CorInfoMax; see corinfomax.cpp for its equations.
#pragma once

#include "altprop/rules/corinfomax/dynamics.h"
#include "altprop/network/ops/linear.h"
#include "altprop/rules/corinfomax/lateral.h"
#include "altprop/rules/rule.h"

namespace altprop {

class CorInfoMax : public Rule {
 public:
  void declare(Options& o) override;
  std::vector<Unread> unread() const override;

  void admit(const Graph& net, const Loss& loss) const override;
  std::vector<ParamPtr> owned() override {
    return {backward_.begin() + (backward_.empty() ? 0 : 1), backward_.end()};
  }
  /// A weight meets its errors before its own signal is sent, and nothing after it.
  bool allows_in_place() const override { return true; }

  bool needs_loss() const override { return true; }
  bool is_stochastic() const override { return sign_ == "random" && !nudges_both_ways(); }
  void after_update(const StepFacts&, const Step& step) override;
  bool follows_updates() const override { return has_lateral(); }
  Tensor predict(const Look& look) override {
    require_bound(look);
    load();
    dynamics_.start(evaluated_, look.inputs.flatten(1));
    dynamics_.settle(evaluated_, free_steps_, nullptr);
    return evaluated_.layer.back().clone();
  }

  Tensor reference(const Look& look, const Objective& objective, Sink& sink) override;
  std::string reference_name() const override {
    return reference_ == "backprop"
               ? "backprop"
               : "epsilon times the exact gradient of the network with tied weights";
  }
  std::vector<FeedbackFact> feedback() const override;
  std::optional<Settling> watch(const Step& step) override;

  std::vector<std::string> warnings(const OptimizerSettings&) const override;
  std::vector<std::pair<std::string, double>> measurements() override;
  std::vector<std::string> notices() override;
  void state(StateIO io) override { lateral_.state(io); }

 protected:
  void set_up() override;
  bool keeps_last_pass() const override { return true; }
  TracePtr run(const Look& look) override;
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override;

 private:
  bool learns_feedback() const { return feedback_ == "learned"; }
  /// The free state is nudged once by either sign, so that it does not matter which is the first.
  bool nudges_both_ways() const { return phases_ == "three" && third_from_ == "free"; }
  bool has_lateral() const { return lateral_kind_ != "off"; }
  /// Upper bound of what the lateral drive of a layer can be to its rates.
  double lateral_bound(size_t k) const {
    const double factor = k + 1 == layers_.size() ? 1 : 2;
    return factor * lateral_settings_.strength() * lateral_.matrices()[k].norm().item<double>();
  }
  bool leaves_out(size_t k) const {
    return !has_lateral() || (lateral_tolerance_ > 0 && lateral_bound(k) < lateral_tolerance_);
  }

  void load();
  /// A sentence if explicit steps of this size cannot settle with the loaded weights, else "".
  std::string unstable() const;
  double signed_beta(const Look& look) const;
  void require_targets(const Tensor& rows) const;
  void pull(RateState& state, const Tensor& targets, double beta, int64_t copies);
  void contrast(const Tensor& targets, double beta);
  void deliver(const Look& look, double scale, double divisor, Sink& sink);
  void send(const Op& op, const Node* node, Tensor seen, Tensor credit, double scale,
            Sink& sink) const;

  DynamicsSettings dynamics_settings_;
  Lateral::Settings lateral_settings_;
  int64_t free_steps_ = 30, nudged_steps_ = 10;
  double beta_ = 1, lateral_tolerance_ = 0;
  std::string sign_ = "random", phases_ = "two", third_from_ = "free", hebbian_error_ = "error",
              feedback_ = "learned", feedback_init_ = "xavier", lateral_kind_ = "paper",
              reference_ = "tied";

  Graph flat_;  ///< the network without blocks: what the layers are nodes of
  std::vector<int> sites_;  ///< per node of it: its number in the network
  std::vector<DenseLayer> layers_;
  std::vector<int64_t> offsets_;    ///< of the layers' rates in a row of all rates
  std::vector<ParamPtr> backward_;  ///< W_fb; the first is null; empty if tied
  std::vector<std::unique_ptr<Linear>> backward_maps_;  ///< the same as operations
  Lateral lateral_;
  Dynamics dynamics_;
  RateState free_, nudged_, opposite_, evaluated_;
  Tensor pair_;  ///< rates of the phase that is learnt, below them those of the one unlearnt
  bool unstable_ = false;     ///< that was said after an epoch
  std::vector<Tensor> most_;  ///< per layer, the largest rate of each unit in the epoch
};

}  // namespace altprop
