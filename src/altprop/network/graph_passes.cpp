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
  const Plan& plan = this->plan();
  Feedback& feedback = outer.feedback;
  Sink* sink = outer.sink;
  std::vector<char> wanted = sink ? plan.needs_credit : std::vector<char>(nodes_.size(), 0);
  if (!inputs_wanted.empty()) {
    for (size_t i = 0; i < inputs_.size(); ++i)
      wanted[static_cast<size_t>(inputs_[i])] =
          inputs_wanted[i] && node(inputs_[i]).spec.differentiable();
    for (const Node& node : nodes_)
      for (int i : node.inputs)
        wanted[static_cast<size_t>(node.id)] |= wanted[static_cast<size_t>(i)];
  }
  std::vector<Tensor> credit(nodes_.size());
  std::vector<char> owned(
      nodes_.size(), 0);  // credit[i] was made here by an addition and may be added to in place
  auto contribute = [&](int to, Tensor cot) {
    const size_t i = static_cast<size_t>(to);
    if (!cot.defined()) return;
    if (!credit[i].defined()) {
      credit[i] = std::move(cot);
    } else if (owned[i]) {
      credit[i].add_(cot);
    } else if (only_here(cot) && cot.sizes() == credit[i].sizes()) {
      credit[i] = std::move(cot.add_(credit[i]));
      owned[i] = 1;
    } else {
      credit[i] = credit[i] + cot;
      owned[i] = 1;
    }
  };
  for (Seed& seed : seeds) contribute(seed.node, std::move(seed.cot));
  Sweep sweep = outer;
  c10::SmallVector<char, 4> of_inputs;
  for (size_t k = nodes_.size(); k-- > 0;) {
    const Node& node = nodes_[k];
    if (!node.op || !wanted[k]) continue;
    const Site site{node, outer.first_site + plan.site_of[k], outer.use, outer.around};
    Tensor cot = feedback.arrive(site, std::move(credit[k]));
    credit[k] = Tensor();
    const bool composite = plan.composite[k], signals = sink && plan.learns[k] && !composite;
    // Inside of a graph credit may begin where none arrived from outside.
    const bool begins = composite && node.op->parts() == node.op.get() && feedback.makes_credit();
    if (!cot.defined() && !begins) continue;
    Saved& saved = activity.saved[k];
    Shared shared;
    const auto send = [&] {
      LocalSignal signal{node.op.get(), &site, &saved, cot, outer.scale, outer.phase};
      signal.shared = &shared;
      sink->take(signal);
    };
    if (signals && outer.order == SweepOrder::SignalFirst) send();
    of_inputs.clear();
    bool any = composite;
    for (int i : node.inputs) {
      of_inputs.push_back(wanted[static_cast<size_t>(i)]);
      any |= of_inputs.back();
    }
    if (any) {
      sweep.around = &site;
      sweep.first_site = site.number + 1;
      sweep.use = 0;
      sweep.shared = &shared;
      Credits pulled = feedback.pull(site, saved, cot, {of_inputs.data(), of_inputs.size()}, sweep);
      for (size_t i = 0; i < pulled.size(); ++i)
        if (of_inputs[i]) contribute(node.inputs[i], std::move(pulled[i]));
    }
    if (signals && outer.order == SweepOrder::CreditFirst) send();
    if (outer.release) saved.clear();
  }
  Credits out;
  if (!inputs_wanted.empty())
    for (int i : inputs_) out.push_back(std::move(credit[static_cast<size_t>(i)]));
  return out;
}

Tensor Graph::push(const Activity& activity, std::span<const Tensor> tangents) const {
  return push(activity, Push{.inputs = {tangents.begin(), tangents.end()}});
}

Tensor Graph::push(const Activity& activity, const Push& from) const {
  std::vector<Tensor> tangent(nodes_.size());
  const auto add = [&](int node, const Tensor& part) {
    Tensor& here = tangent[static_cast<size_t>(node)];
    if (part.defined() && nodes_[static_cast<size_t>(node)].spec.differentiable())
      here = here.defined() ? here + part : part;
  };
  for (size_t i = 0; i < from.inputs.size(); ++i) add(inputs_.at(i), from.inputs[i]);
  for (const Seed& seed : from.nodes) add(seed.node, seed.cot);
  for (const Node& node : nodes_) {
    if (!node.op) continue;
    const Saved& saved = activity.saved[static_cast<size_t>(node.id)];
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (const Tensor& in = tangent[static_cast<size_t>(node.inputs[i])]; in.defined())
        add(node.id, node.op->jvp(saved, in, static_cast<int>(i)));
    if (from.params) add(node.id, node.op->jvp_params(saved, from.params));
  }
  return tangent[static_cast<size_t>(outputs_.at(0))];
}

}  // namespace altprop
