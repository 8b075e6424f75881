#include "altprop/rules/relaxation/value_relaxation.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/index.h"
#include "altprop/base/larger.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"

namespace altprop {

ValueRelaxation::ValueRelaxation(StatePass& pass) : pass_(pass), pull_back_(pass.graph()) {
  const StateGraph& graph = pass.graph();
  hops_ = graph.hops_to_output(true);
  for (size_t s = 0; s < graph.states.size(); ++s) {
    hidden_.push_back(!graph.states[s].input && !graph.states[s].output);
    odd_.push_back(hidden_[s] && hops_[s] % 2 == 1);
    even_.push_back(hidden_[s] && hops_[s] % 2 == 0);
  }
}

void ValueRelaxation::begin(const Tensor& output, const Objective& objective,
                            const EnergyTerms& terms) {
  const StateGraph& graph = pass_.graph();
  const bool again = !v_.empty() && output.is_same(pass_output_);
  pass_output_ = output;
  objective_ = objective;
  terms_ = terms;
  if (terms.clamps_output)
    clamp_ = at::lerp(output, objective.target_rows(output), terms.beta);
  if (!again) pull_back_.freeze(pass_.activity(), exact_);
  v_ = pass_.values();
  delta_.assign(v_.size(), Tensor());
  velocity_.assign(v_.size(), Tensor());
  prediction_.assign(graph.edges.size(), Tensor());
  turned_.assign(graph.edges.size(), Tensor());
  stale_.assign(graph.edges.size(), 0);
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const size_t to = at(graph.edges[e].to);
    prediction_[e] = v_[to];
    if (hidden_[to]) v_[to] = v_[to].clone();
    set_credit(e);
  }
  if (again)  // what lies inside the edges is that of the values the last relaxation ended with
    for (size_t e = 0; e < graph.edges.size(); ++e)
      for (int p : graph.edges[e].from) stale_[e] |= hidden_[at(p)];
}

void ValueRelaxation::set_values(Field values) {
  for (size_t s = 0; s < v_.size(); ++s)
    if (hidden_[s]) v_[s] = std::move(values[s]);
  forget_predictions();
}

void ValueRelaxation::forget_predictions() { stale_.assign(stale_.size(), 1); }

void ValueRelaxation::prepare_for_many_steps() {
  const StateGraph& graph = pass_.graph();
  for (size_t e = 0; e < turned_.size(); ++e) {
    const auto [dense, activation] = pull_back_.dense(static_cast<int>(e));
    if (dense < 0 || !hidden_[at(graph.edges[e].from[0])]) continue;
    const Graph& map = graph.edges[e].map;
    // The fused product is that of these two classes, not of every operation that is such a map.
    const auto* linear = dynamic_cast<const Linear*>(map.node(dense).op.get());
    const bool known =
        activation < 0 || dynamic_cast<const Activation*>(map.node(activation).op.get());
    if (linear && known) turned_[e] = linear->weight()->value.t().contiguous().t();  // see predict_dense
  }
}

Tensor ValueRelaxation::predict_dense(size_t e) {
  const StateGraph::Edge& edge = pass_.graph().edges[e];
  const auto [linear, activation] = pull_back_.dense(static_cast<int>(e));
  std::vector<Saved>& saved = pass_.activity()[e].saved;
  const auto& product = static_cast<const Linear&>(*edge.map.node(linear).op);
  const Tensor& from = v_[at(edge.from[0])];
  if (activation < 0)
    return product.forward_with(from, saved[at(linear)], Epilogue::None, &turned_[e]);
  const auto& f = static_cast<const Activation&>(*edge.map.node(activation).op);
  Tensor out = product.forward_with(from, saved[at(linear)], f.epilogue(), &turned_[e]);
  if (f.epilogue() == Epilogue::None)
    return f.forward(std::span<const Tensor>(&out, 1), saved[at(activation)], {Mode::Train});
  f.adopt(out, saved[at(activation)]);
  return out;
}

void ValueRelaxation::predict(size_t e) {
  stale_[e] = 0;
  if (turned_[e].defined()) {
    prediction_[e] = predict_dense(e);
    return;
  }
  const StateGraph::Edge& edge = pass_.graph().edges[e];
  std::vector<Tensor> parents;
  for (int p : edge.from) parents.push_back(v_[at(p)]);
  prediction_[e] =
      edge.map.run(parents, pass_.activity()[e], {pass_.replays() ? Mode::Replay : Mode::Train});
}

void ValueRelaxation::set_credit(size_t e) {
  const size_t to = at(pass_.graph().edges[e].to);
  if (hidden_[to]) {
    if (!delta_[to].defined()) delta_[to] = at::empty_like(prediction_[e]);
    at::sub_out(delta_[to], prediction_[e], v_[to]);
    if (precision(to) != 1) delta_[to].mul_(precision(to));
  } else {
    delta_[to] = credit_of_output(prediction_[e], *objective_, clamp_);
  }
}

Tensor ValueRelaxation::credit_of_output(const Tensor& prediction, const Objective& objective,
                                         const Tensor& clamp) const {
  if (terms_.clamps_output) return prediction - clamp;
  Tensor out = objective.gradient(prediction);
  return terms_.beta == 1 ? out : out.mul_(terms_.beta);
}

void ValueRelaxation::refresh() {
  for (size_t e = 0; e < prediction_.size(); ++e) {
    if (stale_[e]) predict(e);
    set_credit(e);
  }
}

double ValueRelaxation::energy() const {
  Tensor total;
  const StateGraph& graph = pass_.graph();
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const size_t to = at(graph.edges[e].to);
    const Tensor part = hidden_[to] || terms_.clamps_output
                            ? delta_[to].square().sum().mul_(0.5 / precision(to))
                            : objective_->value(prediction_[e]).sum().mul_(terms_.beta);
    total = total.defined() ? total.add_(part) : part;
  }
  return total.item<double>();
}

void ValueRelaxation::pull(size_t e, const Tensor& credit, double alpha, Field& into,
                           const std::vector<char>& wanted) {
  std::vector<PullBack::Receiver> receivers;
  bool any = false;
  for (int p : pass_.graph().edges[e].from) {
    receivers.push_back({wanted[at(p)] ? &into[at(p)] : nullptr, 1});
    any |= wanted[at(p)] != 0;
  }
  if (any)
    pull_back_.pull_through(static_cast<int>(e), pass_.activity()[e], credit, alpha, receivers);
}

// From the front to the back every state still sends its own credit before its children turn that
// credit into the force on it.
double ValueRelaxation::update(const std::vector<char>& group, double eta, double momentum,
                               bool measure) {
  const StateGraph& graph = pass_.graph();
  const auto concerns = [&](const StateGraph::Edge& edge) {
    return group[at(edge.to)] || std::any_of(edge.from.begin(), edge.from.end(),
                                             [&](int p) { return group[at(p)] != 0; });
  };
  for (size_t e = 0; e < graph.edges.size(); ++e)
    if (concerns(graph.edges[e])) {
      if (stale_[e]) predict(e);
      set_credit(e);
    }
  for (size_t e = 0; e < graph.edges.size(); ++e)
    if (concerns(graph.edges[e])) pull(e, delta_[at(graph.edges[e].to)], -1, delta_, group);
  double largest = 0;
  for (size_t s = 0; s < v_.size(); ++s) {
    if (!group[s]) continue;
    const Tensor* force = &delta_[s];
    if (momentum > 0) {
      velocity_[s] =
          velocity_[s].defined() ? velocity_[s].mul_(momentum).add_(delta_[s]) : delta_[s].clone();
      force = &velocity_[s];
    }
    if (measure)
      largest =
          larger(largest, delta_[s].norm().item<double>() / (1 + v_[s].norm().item<double>()));
    v_[s].add_(*force, eta);
    for (int e : graph.edges_from(static_cast<int>(s))) stale_[at(e)] = 1;
  }
  return largest;
}

double ValueRelaxation::descend(Order order, double eta, double momentum, bool measure) {
  if (order == Order::Synchronous) return update(hidden_, eta, momentum, measure);
  if (order == Order::RedBlack) {
    const double odd = update(odd_, eta, momentum, measure);
    return larger(odd, update(even_, eta, momentum, measure));
  }
  double largest = 0;
  std::vector<char> one(v_.size(), 0);
  for (size_t s = v_.size(); s-- > 0;) {
    if (!hidden_[s]) continue;
    one[s] = 1;
    largest = larger(largest, update(one, eta, momentum, measure));
    one[s] = 0;
  }
  return largest;
}

void ValueRelaxation::repeat(int64_t steps, const std::function<void()>& step) {
  const auto carried = [this] {
    std::vector<Tensor*> out = defined_in(v_);  // inputs do not change
    for (Field* field : {&delta_, &velocity_})
      for (Tensor* t : defined_in(*field)) out.push_back(t);
    return out;
  };
  recorded_.run(steps,
                {.step = step, .carried = carried, .forget = [this] { forget_predictions(); }});
}

void ValueRelaxation::descend_errors(double eta) {
  const StateGraph& graph = pass_.graph();
  for (size_t e = 0; e < prediction_.size(); ++e)
    if (stale_[e]) predict(e);  // credit crosses an edge at the present values
  Field total(v_.size());       // d(beta Loss) / dv through all later layers
  for (size_t e = graph.edges.size(); e-- > 0;) {
    const size_t to = at(graph.edges[e].to);
    const Tensor& credit = hidden_[to] ? total[to] : delta_[to];
    if (credit.defined()) pull(e, credit, 1, total, hidden_);
  }
  for (size_t s = 0; s < v_.size(); ++s)
    if (hidden_[s]) delta_[s].lerp_(total[s], eta * precision(s));
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const size_t to = at(graph.edges[e].to);
    if (stale_[e]) predict(e);
    if (!hidden_[to]) {
      set_credit(e);
      continue;
    }
    v_[to] = at::sub(prediction_[e], delta_[to], 1 / precision(to));
    for (int next : graph.edges_from(static_cast<int>(to))) stale_[at(next)] = 1;
  }
}

void ValueRelaxation::move(const Field& start, const Field& direction, double step) {
  for (size_t s = 0; s < v_.size(); ++s) {
    if (!hidden_[s]) continue;
    at::add_out(v_[s], start[s], direction[s], step);
    for (int e : pass_.graph().edges_from(static_cast<int>(s))) stale_[at(e)] = 1;
  }
}

Field ValueRelaxation::forces() {
  Field out(v_.size());
  for (size_t s = 0; s < v_.size(); ++s)
    if (hidden_[s]) out[s] = delta_[s].clone();
  for (size_t e = 0; e < prediction_.size(); ++e)
    pull(e, delta_[at(pass_.graph().edges[e].to)], -1, out, hidden_);
  return out;
}

double ValueRelaxation::largest_force() {
  const Field all = forces();
  double out = 0;
  for (size_t s = 0; s < all.size(); ++s)
    if (hidden_[s])
      out = larger(out, all[s].norm().item<double>() / (1 + v_[s].norm().item<double>()));
  return out;
}

}  // namespace altprop
