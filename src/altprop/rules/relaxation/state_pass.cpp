#include "altprop/rules/relaxation/state_pass.h"

#include <algorithm>

#include "altprop/base/index.h"

namespace altprop {

StatePass::StatePass(const Graph& net, Cut cut, bool levelled) : graph_(states(net, cut)) {
  if (levelled) graph_ = level(graph_);
  net.output_node();  // the only one
  for (size_t s = 0; s < graph_.states.size(); ++s)
    if (graph_.states[s].output) output_ = static_cast<int>(s);
  for (const StateGraph::Edge& edge : graph_.edges)
    for (const Node& node : edge.map.nodes()) {
      if (!node.op) continue;
      const Traits traits = node.op->traits();
      replays_ |= traits.draws || traits.couples_samples || !traits.substitutable;
      by_samples_ &= !traits.couples_samples && !traits.draws_for_batch;
    }
  activity_.resize(graph_.edges.size());
  moved_.resize(graph_.edges.size());
}

Tensor StatePass::forward(const Look& look) {
  values_ = graph_.run(std::span<const Tensor>(&look.inputs, 1), activity_, look.in(Mode::Train));
  return values_[at(output_)];
}

Activity& StatePass::replay(int edge, const Field& moved) {
  const StateGraph::Edge& e = graph_.edges[at(edge)];
  std::vector<Tensor> parents;
  for (int p : e.from) {
    const bool moves = moved[at(p)].defined() && !graph_.states[at(p)].input;
    parents.push_back(moves ? moved[at(p)] : values_[at(p)]);
  }
  Activity& out = moved_[at(edge)];
  out.saved = activity_[at(edge)].saved;
  e.map.run(parents, out, {Mode::Replay});
  return out;
}

Credits StatePass::deliver(const Field& credit, double scale, Feedback& inside, Sink& sink,
                           Wanted wanted, const std::function<Activity*(int)>& where) {
  Field to_states(graph_.states.size());
  for (size_t e = graph_.edges.size(); e-- > 0;) {
    const StateGraph::Edge& edge = graph_.edges[e];
    const Tensor& c = credit[at(edge.to)];
    if (!c.defined()) continue;
    Activity* activity = where ? where(static_cast<int>(e)) : nullptr;
    c10::SmallVector<char, 4> of_inputs;
    std::vector<Tensor> found;
    if (!wanted.empty())
      for (int p : edge.from) of_inputs.push_back(graph_.states[at(p)].input);
    const bool any = std::count(of_inputs.begin(), of_inputs.end(), 1) > 0;
    edge.map.sweep(activity ? *activity : activity_[e], {{edge.map.output_node(), c}}, inside,
                   &sink,
                   {.scale = scale,
                    .input_credits = any ? &found : nullptr,
                    .inputs_wanted = {of_inputs.data(), of_inputs.size()}});
    for (size_t i = 0; any && i < edge.from.size(); ++i)
      if (of_inputs[i] && found[i].defined()) {
        Tensor& sum = to_states[at(edge.from[i])];
        sum = sum.defined() ? sum + found[i] : found[i];
      }
  }
  Credits out;
  for (size_t s = 0; s < graph_.states.size() && out.size() < wanted.size(); ++s)
    if (graph_.states[s].input) out.push_back(wanted[out.size()] ? to_states[s] : Tensor());
  return out;
}

void StatePass::release() {
  for (Activity& a : activity_) a.clear();
  for (Activity& a : moved_) a.clear();
  values_.clear();
}

}  // namespace altprop
