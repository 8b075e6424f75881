#include "altprop/network/graph.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/fusion.h"

namespace altprop {

void Activity::clear() {
  for (Saved& s : saved) s.clear();
  values.assign(values.size(), Tensor());
}

/// Facts derived from the structure once, after the last node was added.
struct Graph::Plan {
  std::vector<char> needs_credit;  ///< per node
  std::vector<char> learns;        ///< per node: it has parameters that are not frozen
  std::vector<char> composite;     ///< per node: it is made of others
  std::vector<int> site_of;        ///< per node
  int sites = 0;
  std::vector<char> may_overwrite;   ///< per node: its forward may reuse its input's memory
  std::vector<int> fused_with;       ///< per node: the activation applied together with it, or -1
  std::vector<char> done_by_fusion;  ///< per node: its forward was done by its producer
  std::vector<int> last_use;         ///< per node: the last consumer, or -1
  std::vector<char> is_output;
  std::vector<std::pair<ParamPtr, bool>> learnt;  ///< what this was made for
  std::shared_ptr<const Plan> before;             ///< kept for whoever still looks at it

  bool still_holds() const {
    return std::all_of(learnt.begin(), learnt.end(),
                       [](const auto& p) { return p.first->learnt == p.second; });
  }
};

// ---- building ----

int Graph::input(Spec spec, std::string name) {
  plan_.reset();
  const int id = static_cast<int>(nodes_.size());
  if (name.empty()) name = inputs_.empty() ? "input" : text::cat("input", inputs_.size() + 1);
  nodes_.push_back({std::move(name), nullptr, {}, std::move(spec), id, id});
  consumers_.emplace_back();
  inputs_.push_back(id);
  return id;
}

int Graph::add(OpPtr op, std::vector<int> inputs, std::string name) {
  plan_.reset();
  const int id = static_cast<int>(nodes_.size());
  if (name.empty()) {
    int count = 1;
    for (const Node& node : nodes_) count += node.op && node.op->type() == op->type();
    name = op->type() + std::to_string(count);
  }
  for (const Node& node : nodes_)
    if (node.name == name)
      throw Refusal("node '" + name + "'", "the name is taken by another node",
                    "name each node once");
  const std::string where = "node '" + name + "'";
  std::vector<Spec> specs;
  for (int i : inputs) {
    if (i < 0 || i >= id)
      throw Refusal("node '" + name + "'", "an input does not exist yet",
                    "add nodes after their inputs");
    specs.push_back(nodes_[static_cast<size_t>(i)].spec);
  }
  if (op->arity() >= 0 && op->arity() != static_cast<int>(inputs.size()))
    throw Refusal("node '" + name + "'",
                  text::cat(op->type(), " takes ", op->arity(), " inputs, not ", inputs.size()));
  for (size_t i = 0; i < specs.size(); ++i)
    expect_taken(where, op->type(), op->takes(static_cast<int>(i)), specs[i],
                 nodes_[static_cast<size_t>(inputs[i])].name);
  if (!specs.empty() &&
      std::none_of(specs.begin(), specs.end(), [](const Spec& spec) { return spec.batched; }))
    throw Refusal(where, "all of its inputs are one value for the whole batch",
                  "give it at least one that every sample has for itself");
  Spec spec;
  try {
    spec = op->infer(specs);
    op->build(specs);
  } catch (const Refusal& refusal) {
    throw Refusal("node '" + name + "'", refusal.why.empty() ? refusal.what() : refusal.why,
                  refusal.instead);
  }
  // A parameter is named after the node that it first appeared in. The names inside a nested graph
  // are complete there, but two such graphs may share them: they get the outer node's name as well.
  const Graph* inner = op->parts();
  for (const ParamPtr& param : op->params()) {
    if (!param->placed || (inner && !inner->nested_)) param->name = name + "." + param->name;
    param->placed = true;
    if (op->weight() && param != op->weight()) param->decay = false;  // a bias
  }
  if (inner) inner->nested_ = true;
  for (int i : inputs) consumers_[static_cast<size_t>(i)].push_back(id);
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs), std::move(spec), id, id});
  consumers_.emplace_back();
  return id;
}

void Graph::output(int node) {
  plan_.reset();
  outputs_.push_back(node);
}

int Graph::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const Node& node : nodes_) {
    if (node.name == name) return node.id;
    names.push_back(node.name);
  }
  throw UsageError("the network has no operation '" + name + "'" + text::suggestion(name, names));
}

int Graph::output_node() const {
  if (outputs_.size() != 1)
    throw Refusal("network", text::cat("it has ", outputs_.size(), " outputs"),
                  "use a network with one output");
  return outputs_[0];
}

std::vector<ParamPtr> Graph::params() const {
  std::vector<ParamPtr> all;
  std::set<const Param*> seen;
  for (const Node& node : nodes_)
    if (node.op)
      for (const ParamPtr& param : node.op->params())
        if (seen.insert(param.get()).second) all.push_back(param);
  return all;
}

std::vector<std::pair<std::string, Tensor*>> Graph::buffers() {
  std::vector<std::pair<std::string, Tensor*>> all;
  std::set<const Tensor*> seen;
  for (const Node& node : nodes_)
    if (node.op)
      for (auto& [name, tensor] : node.op->buffers())
        if (seen.insert(tensor).second) all.emplace_back(node.name + "." + name, tensor);
  return all;
}

void Graph::to(at::Device device, at::ScalarType dtype) {
  for (const ParamPtr& param : params()) param->value = param->value.to(device, dtype);
  for (auto& [name, tensor] : buffers())
    *tensor = tensor->to(device, tensor->is_floating_point() ? dtype : tensor->scalar_type());
}

at::TensorOptions Graph::options() const {
  for (const Node& node : nodes_)
    if (node.op)
      for (const ParamPtr& param : node.op->params()) return param->value.options();
  return at::kFloat;
}

// ---- structure ----

// Several threads may ask for the first time at once; the first plan stays.
const Graph::Plan& Graph::plan() const {
  std::shared_ptr<const Plan> known = std::atomic_load(&plan_);
  if (known && known->still_holds()) return *known;
  auto plan = std::make_shared<Plan>();
  const size_t n = nodes_.size();
  plan->before = known;
  plan->learns.assign(n, 0);
  plan->composite.assign(n, 0);
  plan->site_of.assign(n, 0);
  plan->needs_credit.assign(n, 0);
  plan->may_overwrite.assign(n, 0);
  plan->done_by_fusion.assign(n, 0);
  plan->fused_with.assign(n, -1);
  plan->last_use.assign(n, -1);
  plan->is_output.assign(n, 0);
  for (int o : outputs_) plan->is_output[static_cast<size_t>(o)] = 1;
  for (const Node& node : nodes_) {
    const size_t id = static_cast<size_t>(node.id);
    plan->site_of[id] = plan->sites++;
    if (!node.op) continue;
    if (const Graph* parts = node.op->parts()) {
      plan->composite[id] = 1;
      plan->sites += parts->site_count();
    }
    for (const ParamPtr& param : node.op->params()) {
      plan->learnt.emplace_back(param, param->learnt);
      plan->learns[id] |= param->learnt;
    }
    plan->needs_credit[id] = plan->learns[id];
    for (int i : node.inputs) {
      plan->needs_credit[id] |= plan->needs_credit[static_cast<size_t>(i)];
      plan->last_use[static_cast<size_t>(i)] = node.id;
    }
    plan->needs_credit[id] &= node.spec.differentiable();
    if (node.inputs.size() != 1) continue;
    const Node& producer = nodes_[static_cast<size_t>(node.inputs[0])];
    const size_t from = static_cast<size_t>(producer.id);
    if (!node.op->works_in_place() || !producer.op || consumers_[from].size() != 1 ||
        plan->is_output[from])
      continue;
    plan->may_overwrite[id] = !producer.op->keeps_output();
    if (plan->may_overwrite[id] && can_fuse(*producer.op, *node.op)) {
      plan->fused_with[from] = node.id;
      plan->done_by_fusion[id] = 1;
    }
  }
  return std::atomic_compare_exchange_strong(&plan_, &known, {plan}) ? *plan : *known;
}

const std::vector<char>& Graph::needs_credit() const { return plan().needs_credit; }

int Graph::site_of(int node) const { return plan().site_of[static_cast<size_t>(node)]; }

std::vector<int> Graph::site_numbers(const std::vector<int>& nodes) const {
  std::vector<int> out;
  for (int node : nodes) out.push_back(site_of(node));
  return out;
}

int Graph::site_count() const { return plan().sites; }

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
}  // namespace

Tensor Graph::run(std::span<const Tensor> inputs, Activity& activity, const Pass& pass,
                  const RunOptions& options) const {
  const Plan& plan = this->plan();
  if (inputs.size() != inputs_.size())
    throw UsageError(
        text::cat("the network takes ", inputs_.size(), " inputs, not ", inputs.size()));
  activity.saved.resize(nodes_.size());
  activity.values.assign(nodes_.size(), Tensor());
  activity.batch = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node& node = nodes_[static_cast<size_t>(inputs_[i])];
    expect_value(node, inputs[i]);
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
