// A graph as an operation of another graph, and such networks flat.
#include <algorithm>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"

namespace altprop {

std::vector<int> Graph::splice(const Graph& other, std::vector<int> inputs,
                               const std::string& prefix) {
  std::vector<int> here(other.nodes_.size(), -1);
  for (size_t i = 0; i < other.inputs_.size(); ++i)
    here[static_cast<size_t>(other.inputs_[i])] = inputs.at(i);
  for (const Node& node : other.nodes_) {
    if (!node.op) continue;
    std::vector<int> mapped;
    for (int i : node.inputs) mapped.push_back(here[static_cast<size_t>(i)]);
    here[static_cast<size_t>(node.id)] = add(node.op, mapped, prefix + node.name);
  }
  std::vector<int> outputs;
  for (int o : other.outputs_) outputs.push_back(here[static_cast<size_t>(o)]);
  return outputs;
}

bool Graph::has_composites() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return node.op && node.op->parts(); });
}

Graph Graph::flattened(std::vector<int>* sites) const {
  Graph out;
  if (sites) sites->clear();
  std::vector<int> here(nodes_.size(), -1);
  for (const Node& node : nodes_) {
    const size_t id = static_cast<size_t>(node.id);
    if (!node.op) {
      here[id] = out.input(node.spec, node.name);
      if (sites) sites->push_back(site_of(node.id));
      continue;
    }
    std::vector<int> inputs;
    for (int i : node.inputs) inputs.push_back(here[static_cast<size_t>(i)]);
    const Graph* parts = node.op->parts();
    if (!parts) {
      here[id] = out.add(node.op, inputs, node.name);
      if (sites) sites->push_back(site_of(node.id));
    } else if (parts == node.op.get()) {
      std::vector<int> inside;
      const Graph flat = parts->flattened(&inside);
      here[id] = out.splice(flat, inputs, node.name + ".").at(0);
      for (const Node& part : flat.nodes())
        if (sites && part.op)
          sites->push_back(site_of(node.id) + 1 + inside[static_cast<size_t>(part.id)]);
    } else {
      throw Refusal("node '" + node.name + "'",
                    "the rule holds the values of layers as states, and '" + node.op->type() +
                        "' is made of parts whose values come and go inside of it",
                    "use a rule that sends credit back through the network, such as backprop or "
                    "feedback-alignment");
    }
  }
  for (int o : outputs_) out.output(here[static_cast<size_t>(o)]);
  return out;
}

Takes Graph::takes(int input) const {
  const Spec& spec = node(inputs_.at(static_cast<size_t>(input))).spec;
  return {.kinds = {spec.kind}, .dtypes = {spec.dtype}, .unbatched = !spec.batched};
}

Spec Graph::infer(std::span<const Spec> inputs) const {
  const auto written = [](const Spec& spec) { return shape_text(spec.shape) + unusual_text(spec); };
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (const Spec& own = nodes_[static_cast<size_t>(inputs_[i])].spec; own != inputs[i])
      throw Refusal("graph", text::cat("input ", i + 1, " has shape ", written(inputs[i]), " but ",
                                       written(own), " is expected"));
  return nodes_[static_cast<size_t>(output_node())].spec;
}

Tensor Graph::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  if (!saved.extra.has_value()) saved.extra = std::make_shared<Activity>();
  return run(inputs, *std::any_cast<std::shared_ptr<Activity>&>(saved.extra), pass.inside());
}

namespace {
Activity& activity_of(const Saved& saved) {
  return *std::any_cast<const std::shared_ptr<Activity>&>(saved.extra);
}

void refuse(const Tensor* substitute) {
  if (substitute)
    throw Refusal("graph", "a nested graph has no single weight to substitute",
                  "substitute those of its parts");
}
}  // namespace

Credits Graph::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                      const Tensor* substitute, Sweep& sweep) const {
  refuse(substitute);
  return this->sweep(activity_of(saved), {{output_node(), cot}}, sweep, wanted);
}

Tensor Graph::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  std::vector<Tensor> tangents(inputs_.size());
  tangents[static_cast<size_t>(input)] = tangent;
  return push(activity_of(saved), tangents);
}

Tensor Graph::jvp_params(const Saved& saved, const ParamTangents& of) const {
  return push(activity_of(saved), Push{.params = of});
}

Tensor Graph::jvp_sites(const Saved& saved, std::span<const SiteTangent> from) const {
  return push(activity_of(saved), Push{.sites = {from.begin(), from.end()}});
}

void Graph::visit_parts(const Saved& saved, const Visit& visit) const {
  this->visit(activity_of(saved), visit);
}

bool Graph::has_jvp_vjp() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return !node.op || node.op->has_jvp_vjp(); });
}

TangentCredits Graph::credit_of_tangent(const Saved& saved, std::span<const Tensor> tangents,
                                        const Tensor& cot, Wanted values, Wanted of_tangents,
                                        Sweep& sweep) const {
  std::vector<Tensor> at_nodes;
  push(activity_of(saved), Push{.inputs = {tangents.begin(), tangents.end()}}, &at_nodes);
  return this->sweep(activity_of(saved), {},
                     {.tangents = at_nodes, .seeds = {{output_node(), cot}}, .wanted = of_tangents},
                     sweep, values);
}

int64_t Graph::multiply_adds(std::span<const Spec>) const {
  int64_t total = 0;
  for (const Node& node : nodes_) {
    if (!node.op) continue;
    std::vector<Spec> specs;
    for (int i : node.inputs) specs.push_back(nodes_[static_cast<size_t>(i)].spec);
    total += node.op->multiply_adds(specs);
  }
  return total;
}

Traits Graph::traits() const {
  Traits out;
  std::set<const Param*> seen;
  for (const Node& node : nodes_) {
    if (!node.op) continue;
    const Traits part = node.op->traits();
    out.substitutable &= part.substitutable;
    out.draws |= part.draws;
    out.draws_for_batch |= part.draws_for_batch;
    out.couples_samples |= part.couples_samples;
    out.needs_others |= part.needs_others;
    out.reuses |= part.reuses;
    out.penalises |= part.penalises;
    for (const ParamPtr& param : node.op->params()) out.reuses |= !seen.insert(param.get()).second;
  }
  return out;
}

bool Graph::keeps_output() const {
  const Node& last = node(output_node());
  return !last.op || last.op->keeps_output() || !consumers_[static_cast<size_t>(last.id)].empty();
}

void Graph::project() const {
  for (const Node& node : nodes_)
    if (node.op) node.op->project();
}

void Graph::penalise(double share, Sink& sink) const {
  std::set<const Op*> asked;  // one that stands at two places has one set of parameters
  for (const Node& node : nodes_)
    if (node.op && asked.insert(node.op.get()).second) node.op->penalise(share, sink);
}

std::vector<std::string> Graph::notices() const {
  std::vector<std::string> out;
  for (const Node& node : nodes_)
    if (node.op)
      for (const std::string& sentence : node.op->notices())
        out.push_back(node.name + ": " + sentence);
  return out;
}

}  // namespace altprop
