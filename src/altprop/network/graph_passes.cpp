// Passes through a graph: forward, reverse with local signals, and tangents.
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/fusion.h"
#include "altprop/network/graph_plan.h"

namespace altprop {

// ---- forward ----

namespace {
/// Refuses a tensor that is not what an input's spec says.
void expect_value(const Node& input, const Tensor& value) {
  const Spec& spec = input.spec;
  const size_t skipped = spec.batched ? 1 : 0;
  const IntArrayRef sizes = value.sizes();
  if (sizes.size() < skipped || sizes.slice(skipped) != IntArrayRef(spec.shape))
    throw UsageError(text::cat("input '", input.name, "' of the network takes ",
                               spec.batched ? "samples" : "one value for the whole batch",
                               " of shape ", shape_text(spec.shape), ", but the data has ",
                               shape_text(sizes.slice(std::min(skipped, sizes.size())))));
  if (!stores(value, spec.dtype))
    throw UsageError(text::cat("input '", input.name, "' of the network takes ", values_text(spec),
                               ", but the data holds ",
                               values_text({.shape = {}, .dtype = dtype_of(value)})));
}

/// Refuses real numbers of another type, or elsewhere, than the network's parameters.
void expect_like(const Node& input, const Tensor& value, const Tensor& parameter) {
  if (!value.is_floating_point()) return;
  if (value.scalar_type() != parameter.scalar_type())
    throw UsageError(text::cat("input '", input.name, "' is ", value.scalar_type(),
                               ", but the network's parameters are ", parameter.scalar_type(),
                               "; convert one of them, the network with Graph::to"));
  if (value.device() != parameter.device())
    throw UsageError(text::cat("input '", input.name, "' is on ", value.device().str(),
                               ", but the network on ", parameter.device().str(),
                               "; move one of them, the network with Graph::to"));
}
}  // namespace

void Graph::expect_inputs(std::span<const Tensor> inputs) const { expect_inputs(inputs, plan()); }

void Graph::expect_inputs(std::span<const Tensor> inputs, const Plan& plan) const {
  if (inputs.size() != inputs_.size())
    throw UsageError(
        text::cat("the network takes ", inputs_.size(), " inputs, not ", inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node& node = nodes_[static_cast<size_t>(inputs_[i])];
    expect_value(node, inputs[i]);
    if (!plan.learnt.empty()) expect_like(node, inputs[i], plan.learnt.front().first->value);
  }
}

Tensor Graph::run(std::span<const Tensor> inputs, Activity& activity, const Pass& pass,
                  const RunOptions& options) const {
  const Plan& plan = this->plan();
  expect_inputs(inputs, plan);
  activity.saved.resize(nodes_.size());
  activity.values.assign(nodes_.size(), Tensor());
  activity.batch = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node& node = nodes_[static_cast<size_t>(inputs_[i])];
    if (activity.batch < 0 && node.spec.batched) activity.batch = inputs[i].size(0);
    activity.values[static_cast<size_t>(node.id)] = inputs[i];
  }
  if (activity.batch < 0 && !inputs.empty())
    throw UsageError(
        "all inputs of the network are one value for the whole batch, so that there is no batch; "
        "give it an input that every sample has for itself");
  activity.batch = std::max<int64_t>(activity.batch, 0);
  const bool in_place = !options.keep_values && pass.mode != Mode::Replay;
  std::vector<Tensor> arguments;
  for (const Node& node : nodes_) {
    if (!node.op) continue;
    const size_t id = static_cast<size_t>(node.id);
    Saved& saved = activity.saved[id];
    if (pass.mode != Mode::Replay) saved.clear();
    const Pass own{pass.mode, pass.draws.at(static_cast<int64_t>(node.draws)),
                   in_place && plan.may_overwrite[id], pass.ids, pass.first_row};
    arguments.clear();
    for (int i : node.inputs) arguments.push_back(activity.values[static_cast<size_t>(i)]);
    if (in_place && plan.done_by_fusion[id]) {
      adopt_fused_output(*node.op, arguments[0], saved);
      activity.values[id] = arguments[0];
    } else if (const int next = plan.fused_with[id]; in_place && next >= 0) {
      activity.values[id] =
          forward_fused(*node.op, *nodes_[static_cast<size_t>(next)].op, arguments[0], saved, own);
    } else {
      activity.values[id] = node.op->forward(arguments, saved, own);
    }
    if (options.forget) saved.clear();
    if (!options.keep_values)
      for (int i : node.inputs)
        if (plan.last_use[static_cast<size_t>(i)] == node.id &&
            !plan.is_output[static_cast<size_t>(i)])
          activity.values[static_cast<size_t>(i)] = Tensor();
  }
  return outputs_.empty() ? Tensor() : activity.values[static_cast<size_t>(outputs_[0])];
}

Tensor Graph::predict(const Tensor& input) const {
  Activity scratch;
  return run(input, scratch, Pass{Mode::Eval}, {.forget = true});
}

// ---- reverse ----

namespace {
/// True if nobody else can see this tensor's numbers, so that they may be overwritten.
bool only_here(const Tensor& t) {
  return t.use_count() == 1 && t.storage().use_count() == 1 && t.is_non_overlapping_and_dense();
}
}  // namespace

void Graph::sweep(Activity& activity, std::vector<Seed> seeds, Feedback& feedback, Sink* sink,
                  const SweepOptions& options) const {
  Sweep sweep{feedback, sink, options.scale, options.phase, options.release, options.order};
  std::vector<char> all;
  Wanted wanted;
  if (options.input_credits) {
    wanted = options.inputs_wanted;
    if (wanted.empty()) wanted = all = std::vector<char>(inputs_.size(), 1);
  }
  const Credits credits = this->sweep(activity, std::move(seeds), sweep, wanted);
  if (options.input_credits) options.input_credits->assign(credits.begin(), credits.end());
}

Credits Graph::sweep(Activity& activity, std::vector<Seed> seeds, Sweep& outer,
                     Wanted inputs_wanted) const {
  return reverse(activity, std::move(seeds), nullptr, outer, inputs_wanted).of_values;
}

TangentCredits Graph::sweep(Activity& activity, std::vector<Seed> seeds, TangentSweep second,
                            Sweep& sweep, Wanted wanted) const {
  return reverse(activity, std::move(seeds), &second, sweep, wanted);
}

namespace {

/// Of composites, graphs keep what their parts see; others evaluate theirs several times.
bool is_graph(const Op& op) { return op.parts() == &op; }

/// Credits of nodes as they come together.
class CreditSums {
 public:
  explicit CreditSums(size_t nodes) : credit_(nodes), owned_(nodes, 0) {}

  void add(int to, Tensor cot) {
    const size_t i = static_cast<size_t>(to);
    if (!cot.defined()) return;
    if (!credit_[i].defined()) {
      credit_[i] = std::move(cot);
    } else if (owned_[i]) {
      credit_[i].add_(cot);
    } else if (only_here(cot) && cot.sizes() == credit_[i].sizes()) {
      credit_[i] = std::move(cot.add_(credit_[i]));
      owned_[i] = 1;
    } else {
      credit_[i] = credit_[i] + cot;
      owned_[i] = 1;
    }
  }
  bool has(size_t i) const { return credit_[i].defined(); }
  Tensor take(size_t i) {
    Tensor out = std::move(credit_[i]);
    credit_[i] = Tensor();
    return out;
  }
  Credits take(const std::vector<int>& nodes) {
    Credits out;
    for (const int i : nodes) out.push_back(take(static_cast<size_t>(i)));
    return out;
  }

 private:
  std::vector<Tensor> credit_;
  std::vector<char> owned_;  ///< made here by an addition, so that it may be added to in place
};

/// One operation on the way back of tangents.
struct TangentStep {
  const Site& site;
  const Saved& saved;
  std::vector<Tensor> tangents;  ///< of its inputs
  Tensor cot;                    ///< of its output's tangent
  Wanted values, of_tangents;    ///< of its inputs
  bool learns;                   ///< it has no parts and sends a signal
};

/// Credits from the tangent of one operation, with the signals that they make.
TangentCredits cross_tangent(const TangentStep& step, Sweep& sweep) {
  const Op& op = *step.site.node.op;
  if (op.parts())
    return op.credit_of_tangent(step.saved, step.tangents, step.cot, step.values, step.of_tangents,
                                sweep);
  TangentCredits out;
  Shared shared;
  sweep.shared = &shared;
  if (std::find(step.of_tangents.begin(), step.of_tangents.end(), 1) != step.of_tangents.end())
    out.of_tangents = sweep.feedback.pull(step.site, step.saved, step.cot, step.of_tangents, sweep);
  out.of_values.resize(step.values.size());
  for (size_t i = 0; i < step.values.size(); ++i)
    if (step.values[i])
      out.of_values[i] = op.jvp_vjp(step.saved, step.tangents, step.cot, static_cast<int>(i));
  if (!step.learns) return out;
  LocalSignal signal{&op, &step.site, &step.saved, step.cot, sweep.scale, sweep.phase};
  if (op.traits().affine && op.weight()) {
    signal.input = step.tangents[0];
    signal.only = {op.weight().get()};
  } else {
    signal.tangents = step.tangents;
  }
  sweep.sink->take(signal);
  return out;
}

}  // namespace

TangentCredits Graph::reverse(Activity& activity, std::vector<Seed> seeds, TangentSweep* second,
                              Sweep& outer, Wanted inputs_wanted) const {
  const Plan& plan = this->plan();
  Feedback& feedback = outer.feedback;
  Sink* sink = outer.sink;
  if (second && outer.order == SweepOrder::SignalFirst)
    throw Refusal("network",
                  "the rule changes weights while credit travels, and second derivatives cross "
                  "each weight twice",
                  "use the rule's explicit form, or another rule");
  std::vector<char> wanted = sink ? plan.needs_credit : std::vector<char>(nodes_.size(), 0);
  if (!inputs_wanted.empty()) {
    for (size_t i = 0; i < inputs_.size(); ++i)
      wanted[static_cast<size_t>(inputs_[i])] =
          inputs_wanted[i] && node(inputs_[i]).spec.differentiable();
    for (const Node& node : nodes_)
      for (int i : node.inputs)
        wanted[static_cast<size_t>(node.id)] |= wanted[static_cast<size_t>(i)];
  }
  CreditSums credit(nodes_.size()), of_tangents(second ? nodes_.size() : 0);
  for (Seed& seed : seeds) credit.add(seed.node, std::move(seed.cot));
  // Tangents of what operations make are crossed wherever they are, those of inputs if asked for.
  std::vector<char> tangent_wanted;
  if (second) {
    for (Seed& seed : second->seeds) of_tangents.add(seed.node, std::move(seed.cot));
    for (const Node& node : nodes_)
      tangent_wanted.push_back(node.op && second->tangents[tangent_wanted.size()].defined());
    for (size_t i = 0; i < second->wanted.size(); ++i)
      tangent_wanted[static_cast<size_t>(inputs_[i])] = second->wanted[i];
  }
  Sweep sweep = outer;
  c10::SmallVector<char, 4> of_inputs, tangents_of_inputs;
  for (size_t k = nodes_.size(); k-- > 0;) {
    const Node& node = nodes_[k];
    const Tensor moved = second && node.op ? of_tangents.take(k) : Tensor();
    if (!node.op || !(wanted[k] || moved.defined())) continue;
    const int number = node.site >= 0 ? node.site : outer.first_site + plan.site_of[k];
    const Site site{node, number, outer.use, outer.around};
    Tensor cot = feedback.arrive(site, credit.take(k));
    const bool composite = plan.composite[k], signals = sink && plan.learns[k] && !composite;
    // Inside of a graph credit may begin where none arrived from outside.
    const bool begins = composite && is_graph(*node.op) && feedback.makes_credit();
    if (!cot.defined() && !begins && !moved.defined()) continue;
    Saved& saved = activity.saved[k];
    Shared shared;
    const auto send = [&] {
      LocalSignal signal{node.op.get(), &site, &saved, cot, outer.scale, outer.phase};
      signal.shared = &shared;
      sink->take(signal);
    };
    const bool arrives = cot.defined() || begins;
    if (arrives && signals && outer.order == SweepOrder::SignalFirst) send();
    of_inputs.clear();
    bool any = composite;
    for (int i : node.inputs) {
      of_inputs.push_back(wanted[static_cast<size_t>(i)]);
      any |= of_inputs.back();
    }
    sweep.around = &site;
    sweep.first_site = site.number + 1;
    // An evaluation of a graph is one of the graphs inside of it, too.
    sweep.use = composite && is_graph(*node.op) ? outer.use : 0;
    if (arrives && any) {
      sweep.shared = &shared;
      sweep.release = outer.release && !moved.defined();
      Credits pulled = feedback.pull(site, saved, cot, {of_inputs.data(), of_inputs.size()}, sweep);
      for (size_t i = 0; i < pulled.size(); ++i)
        if (of_inputs[i]) credit.add(node.inputs[i], std::move(pulled[i]));
    }
    if (arrives && signals && outer.order == SweepOrder::CreditFirst) send();
    if (moved.defined()) {
      TangentStep step{site, saved, {}, moved, {of_inputs.data(), of_inputs.size()}, {}, signals};
      tangents_of_inputs.clear();
      for (int i : node.inputs) {
        step.tangents.push_back(second->tangents[static_cast<size_t>(i)]);
        tangents_of_inputs.push_back(tangent_wanted[static_cast<size_t>(i)]);
      }
      step.of_tangents = {tangents_of_inputs.data(), tangents_of_inputs.size()};
      sweep.release = outer.release;
      TangentCredits crossed = cross_tangent(step, sweep);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (i < crossed.of_values.size())
          credit.add(node.inputs[i], std::move(crossed.of_values[i]));
        if (i < crossed.of_tangents.size() && tangents_of_inputs[i])
          of_tangents.add(node.inputs[i], std::move(crossed.of_tangents[i]));
      }
    }
    if (outer.release) saved.clear();
  }
  TangentCredits out;
  if (!inputs_wanted.empty()) out.of_values = credit.take(inputs_);
  if (second && !second->wanted.empty()) out.of_tangents = of_tangents.take(inputs_);
  return out;
}

Tensor Graph::push(const Activity& activity, std::span<const Tensor> tangents) const {
  return push(activity, Push{.inputs = {tangents.begin(), tangents.end()}});
}

Tensor Graph::push(const Activity& activity, const Push& from,
                   std::vector<Tensor>* at_nodes) const {
  std::vector<Tensor> own;
  std::vector<Tensor>& tangent = at_nodes ? *at_nodes : own;
  tangent.assign(nodes_.size(), Tensor());
  const auto add = [&](int node, const Tensor& part) {
    Tensor& here = tangent[static_cast<size_t>(node)];
    if (part.defined() && nodes_[static_cast<size_t>(node)].spec.differentiable())
      here = here.defined() ? here + part : part;
  };
  for (size_t i = 0; i < from.inputs.size(); ++i) add(inputs_.at(i), from.inputs[i]);
  for (const Seed& seed : from.nodes) add(seed.node, seed.cot);
  for (const SiteTangent& one : from.sites)
    if (one.site < 0 || one.site >= site_count())
      throw UsageError(text::cat("the network has ", site_count(), " sites, but a tangent is to "
                                 "begin at number ", one.site));
  std::vector<SiteTangent> inside;  // of a composite, by numbers of its own
  for (const Node& node : nodes_) {
    const int first = from.sites.empty() ? 0 : site_of(node.id) + 1;
    const Graph* parts = node.op ? node.op->parts() : nullptr;
    inside.clear();
    for (const SiteTangent& one : from.sites) {
      if (one.site == first - 1) add(node.id, one.tangent);
      if (parts && one.site >= first && one.site < first + parts->site_count())
        inside.push_back({one.site - first, one.use, one.tangent});
    }
    if (!node.op) continue;
    const Saved& saved = activity.saved[static_cast<size_t>(node.id)];
    if (!inside.empty()) add(node.id, node.op->jvp_sites(saved, inside));
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (const Tensor& in = tangent[static_cast<size_t>(node.inputs[i])]; in.defined())
        add(node.id, node.op->jvp(saved, in, static_cast<int>(i)));
    if (from.params) add(node.id, node.op->jvp_params(saved, from.params));
  }
  return tangent[static_cast<size_t>(outputs_.at(0))];
}

void Graph::visit(const Activity& activity, const Visit& visit) const {
  for (const Node& node : nodes_) {
    if (!node.op) continue;
    const Saved& saved = activity.saved[static_cast<size_t>(node.id)];
    const Site site{node, visit.first_site + site_of(node.id), visit.use, visit.around};
    if (!node.op->parts()) {
      visit.leaf(site, saved);
      continue;
    }
    const int use = is_graph(*node.op) ? visit.use : 0;
    node.op->visit_parts(saved, {visit.leaf, &site, site.number + 1, use});
  }
}

}  // namespace altprop
