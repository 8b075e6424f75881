#include "altprop/network/graph.h"

#include <atomic>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/fusion.h"
#include "altprop/network/graph_plan.h"

namespace altprop {

void Activity::clear() {
  for (Saved& s : saved) s.clear();
  values.assign(values.size(), Tensor());
}

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
  std::vector<std::pair<ParamPtr, Tensor>> placed;  // of an operation that another graph has, too
  for (const ParamPtr& param : op->params())
    if (param && param->placed) placed.emplace_back(param, param->value);
  Spec spec;
  try {
    spec = op->infer(specs);
    op->build(specs);
  } catch (const Refusal& refusal) {
    throw Refusal("node '" + name + "'", refusal.why.empty() ? refusal.what() : refusal.why,
                  refusal.instead);
  }
  const std::vector<ParamPtr> params = op->params();
  for (const auto& [param, value] : placed)
    if (!param->value.is_same(value) || !std::count(params.begin(), params.end(), param))
      throw Refusal(where,
                    "building " + op->type() + " once more has replaced '" + param->name +
                        "', which another graph learns",
                    "let Op::build keep parameters that are there");
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

Site Graph::site(int id) const {
  const Node& here = node(id);
  return {here, here.site >= 0 ? here.site : site_of(id)};
}

std::vector<int> Graph::site_numbers(const std::vector<int>& nodes) const {
  std::vector<int> out;
  for (int node : nodes) out.push_back(site_of(node));
  return out;
}

int Graph::site_count() const { return plan().sites; }

}  // namespace altprop
