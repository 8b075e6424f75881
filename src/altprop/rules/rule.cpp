#include "altprop/rules/rule.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// Keeps what operations put on their own parameters.
struct Penalties : Sink {
  std::vector<ParamSignal> held;
  void take(const LocalSignal&) override {}
  void take(const ParamSignal& signal) override { held.push_back(signal); }
};

}  // namespace

TracePtr Rule::forward(const Look& look) {
  require_bound(look);
  TracePtr trace = run(look);
  trace->look = look;
  trace->of_ = this;
  trace->number_ = ++passes_;
  return trace;
}

Credits Rule::credit(Trace& trace, const Objective& objective, Sink& sink, Wanted wanted) {
  if (needs_loss() && !objective.has_loss())
    throw Refusal("objective",
                  "a bare cotangent says nothing about other outputs than that of the forward "
                  "pass, and this rule needs the loss at outputs that move",
                  "give the loss itself, or use a rule such as backprop that takes cotangents");
  if (trace.of_ != this) throw Error("the forward pass is that of another rule");
  if (trace.spent_)
    throw Error(
        "the credit of this forward pass has been taken, and what it needed has been freed; "
        "run the pass again");
  if (keeps_last_pass() && trace.number_ != passes_)
    throw Error(
        "a later forward pass has overwritten the states of this one; take the credit of each "
        "pass before the next");
  const bool any = std::any_of(wanted.begin(), wanted.end(), [](char w) { return w != 0; });
  if (any && wanted.size() != net().input_nodes().size())
    throw Error(text::cat("the network has ", net().input_nodes().size(),
                          " inputs, but credit is marked as wanted for ", wanted.size()));
  if (any && !input_credit_)
    throw Error("credit of inputs has to be announced: call set_input_credit(true) before bind");
  trace.spent_ = true;
  // Of the weights as they are now, but behind the rule's signals, which may step weights at once.
  Penalties penalties;
  penalise(share_of(trace.look), penalties);
  Credits credits = emit(trace, objective, any ? wanted : Wanted(), sink);
  for (const ParamSignal& signal : penalties.held) sink.take(signal);
  return credits;
}

void Rule::require_parameters(const Graph& net) {
  net.output_node();
  if (net.params().empty())
    throw Refusal("network", "it has no parameters", "add a layer that can learn");
}

void Rule::set_input_credit(bool wanted) {
  if (wanted && !has_input_credit())
    throw Refusal("rule", "it makes no credit for the network's inputs",
                  "use backprop, a feedback rule or a relaxation that does");
  input_credit_ = wanted;
}

TracePtr Rule::trace_of(Tensor output) {
  auto trace = std::make_unique<Trace>();
  trace->output = std::move(output);
  return trace;
}

TracePtr Rule::run(const Look& look) {
  auto trace = std::make_unique<Trace>();
  trace->output = net().run(look.inputs, trace->activity, look.in(Mode::Train));
  return trace;
}

Credits Rule::sweep_back(Trace& trace, const Objective& objective, Wanted wanted,
                         Feedback& feedback, Sink& sink) {
  std::vector<Tensor> to_inputs;
  net().sweep(trace.activity, {{net().output_node(), objective.gradient(trace.output)}}, feedback,
              &sink,
              {.scale = objective.scale(),
               .release = true,
               .input_credits = wanted.empty() ? nullptr : &to_inputs,
               .inputs_wanted = wanted});
  // An input is a place where credit arrives like any other, and may be replaced.
  for (size_t i = 0; i < to_inputs.size(); ++i)
    if (wanted[i]) {
      const int node = net().input_nodes()[i];
      to_inputs[i] = feedback.arrive({net().node(node), net().site_of(node)}, to_inputs[i]);
    }
  return {to_inputs.begin(), to_inputs.end()};
}

Tensor Rule::reference(const Look& look, const Objective& objective, Sink& sink) {
  Feedback exact;
  const TracePtr trace = Rule::run(look);
  Rule::sweep_back(*trace, objective, {}, exact, sink);
  penalise(share_of(look), sink);
  return trace->output;
}

void Rule::assign(Step& step, Sink& sink) {
  const TracePtr trace = forward(step);
  credit(*trace, objective(step), sink);
  step.output = trace->output;
}

void Rule::step(Step& step) {
  assign(step, step.updater());
  update(step);
}

}  // namespace altprop
