// A learner that delivers local signals. A step is a forward pass, the credit of an objective at
// its output, and an update; forward and credit are also there alone, for networks that are a part
// of something larger (a model of another framework, two networks that train each other).
//
//   TracePtr trace = rule.forward({.inputs = x, .learning = true});
//   Credits to_inputs = rule.credit(*trace, Objective::cotangent(dy), sink, wanted);
#pragma once

#include "altprop/rules/learner.h"

namespace altprop {

class Rule;

/// What a forward pass leaves for the credit that follows it. Rules with states of their own derive
/// their own, or keep one pass at a time (keeps_last_pass).
struct Trace {
  Look look;
  Activity activity;  ///< of a plain forward pass; else empty
  Tensor output;  ///< [B, ...]; a rule whose forward pass goes on while credit is made may replace
                  ///< it then
  virtual ~Trace() = default;

 private:
  friend class Rule;
  const Rule* of_ = nullptr;
  int64_t number_ = 0;  ///< counts the forward passes of one rule
  bool spent_ = false;
};
using TracePtr = std::unique_ptr<Trace>;

class Rule : public Learner {
 public:
  /// Forward pass in training mode.
  TracePtr forward(const Look& look);
  /// Sends the local signals of an objective at the output of a forward pass, once for each pass.
  /// @param wanted per input of the network: its credit is returned. See set_input_credit
  /// @returns credits of the batch-summed objective [B, ...] of the inputs; empty if none is wanted
  /// @throws Refusal if the rule needs the loss itself and the objective is a bare cotangent; Error
  /// for a pass whose credit has been taken, or that a later one has overwritten
  Credits credit(Trace& trace, const Objective& objective, Sink& sink, Wanted wanted = {});

  /// Credits of the network's inputs will be wanted: feedback rules then draw feedback for the
  /// first layer, too, whose credit would else be exact. Call before bind.
  /// @throws Refusal if the rule makes none
  void set_input_credit(bool wanted);

  /// Both for a step, without an update; sets step.output.
  void assign(Step& step, Sink& sink);
  void step(Step& step) override;

  /// The exact gradient of what this rule approximates: backprop's unless the rule has a loss or
  /// dynamics of its own. @returns the output
  virtual Tensor reference(const Look& look, const Objective& objective, Sink& sink);
  virtual std::string reference_name() const { return "backprop"; }

  /// True if it can say what its inputs should have been.
  virtual bool has_input_credit() const { return false; }

 protected:
  /// The forward pass; by default a plain one, which leaves its activity.
  virtual TracePtr run(const Look& look);
  /// The signals and, of the inputs marked in `wanted`, the credits.
  virtual Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) = 0;
  /// True if the rule's own states are those of the last forward pass, so that an earlier one
  /// cannot be continued.
  virtual bool keeps_last_pass() const { return false; }

  /// A trace of nothing but the output, for rules that keep the pass themselves.
  static TracePtr trace_of(Tensor output);
  /// Reverse sweep of a plain pass through `feedback`: what rules of the backprop family emit.
  Credits sweep_back(Trace& trace, const Objective& objective, Wanted wanted, Feedback& feedback,
                     Sink& sink);
  bool wants_input_credit() const { return input_credit_; }
  /// @throws Refusal of a network without parameters or with several outputs
  static void require_parameters(const Graph& net);

 private:
  bool input_credit_ = false;
  int64_t passes_ = 0;
};

}  // namespace altprop
