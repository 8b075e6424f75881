#include "altprop/rules/relaxation/pull_back.h"

#include "altprop/base/index.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

bool is_activation(const Node& node) { return node.op && node.op->traits().activation; }

}  // namespace

const Tensor* HopFeedback::substitute(const Op* op) const {
  auto it = substitutes.find(op);
  return it == substitutes.end() ? nullptr : &it->second;
}

Credits HopFeedback::pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                          Sweep& sweep) {
  if (is_activation(site.node)) return {cross(*site.node.op, saved, cot)};
  return site.node.op->credit(saved, cot, wanted, substitute(site.node.op.get()), sweep);
}

PullBack::PullBack(const StateGraph& graph) : graph_(graph), fast_(graph.edges.size()) {
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const std::vector<Node>& nodes = graph.edges[e].map.nodes();
    // input, linear[, activation], each fed by the one before
    if (nodes.size() < 2 || nodes.size() > 3 || nodes[0].op || nodes[0].spec.shape.size() != 1 ||
        !nodes[1].op || !nodes[1].op->dense())
      continue;
    if (nodes.size() == 3 && !is_activation(nodes[2])) continue;
    fast_[e].linear = 1;
    fast_[e].activation = nodes.size() == 3 ? 2 : -1;
  }
}

void PullBack::freeze(std::vector<Activity>& activity, HopFeedback& feedback) {
  activity_ = &activity;
  feedback_ = &feedback;
  for (size_t e = 0; e < fast_.size(); ++e) {
    Fast& f = fast_[e];
    const StateGraph::Edge& edge = graph_.edges[e];
    if (f.linear < 0 || graph_.states[at(edge.from[0])].input) continue;
    const Op* linear = edge.map.node(f.linear).op.get();
    const Tensor* other = feedback.substitute(linear);
    f.matrix = other ? *other : linear->weight()->value;
    f.packed = PackedMatrix();
    f.slope = Tensor();
    if (f.activation >= 0 && feedback.derivatives) {
      const Node& act = edge.map.node(f.activation);
      if (act.op->traits().response != Response::Linear) {
        const int64_t rows = activity[e].batch;
        f.slope = act.op->vjp(activity[e].saved[at(f.activation)],
                              at::ones({rows, act.spec.numel()}, f.matrix.options()), 0, nullptr);
      }
    }
  }
}

void PullBack::pull(int edge, const Tensor& credit, double alpha,
                    std::span<const Receiver> receivers) {
  Fast& f = fast_[at(edge)];
  if (f.linear < 0 || !f.matrix.defined() || feedback_->clamp > 0)
    return pull_through(edge, (*activity_)[at(edge)], credit, alpha, receivers);
  if (!receivers[0].to) return;
  const Tensor* behind = &credit;
  if (f.slope.defined()) {
    if (!f.scratch.defined() || f.scratch.sizes() != credit.sizes() ||
        f.scratch.options().dtype() != credit.options().dtype())
      f.scratch = at::empty_like(credit);
    at::mul_out(f.scratch, credit, f.slope);
    behind = &f.scratch;
  }
  multiply(*behind, f.matrix, f.packed, alpha, receivers[0]);
}

void PullBack::prepare_for_many_steps() {
  for (Fast& f : fast_)
    if (f.matrix.defined() && PackedMatrix::has_panels(f.matrix.options()))
      f.packed = PackedMatrix(f.matrix);
}

void PullBack::multiply(const Tensor& credit, const Tensor& matrix, const PackedMatrix& packed,
                        double alpha, const Receiver& receiver) {
  double beta = receiver.beta;
  if (!receiver.to->defined()) {
    *receiver.to = at::empty({credit.size(0), matrix.size(1)}, credit.options());
    beta = 0;
  }
  if (packed.defined() && receiver.to->stride(1) == 1 && credit.stride(1) == 1)
    return packed.multiply_into(*receiver.to, credit, beta, alpha * receiver.factor);
  gemm_into(*receiver.to, credit, matrix, beta, alpha * receiver.factor);
}

void PullBack::pull_through(int edge, Activity& activity, const Tensor& credit, double alpha,
                            std::span<const Receiver> receivers) {
  const StateGraph::Edge& e = graph_.edges[at(edge)];
  if (const Fast& f = fast_[at(edge)]; f.linear >= 0 && feedback_->clamp == 0) {
    if (!receivers[0].to) return;
    const Op* linear = e.map.node(f.linear).op.get();
    const Tensor* other = feedback_->substitute(linear);
    const Tensor behind = f.activation < 0
                              ? credit
                              : feedback_->cross(*e.map.node(f.activation).op,
                                                 activity.saved[at(f.activation)], credit);
    multiply(behind, other ? *other : linear->weight()->value, f.packed, alpha, receivers[0]);
    return;
  }
  wanted_.assign(receivers.size(), 0);
  for (size_t i = 0; i < receivers.size(); ++i) wanted_[i] = receivers[i].to != nullptr;
  e.map.sweep(activity, {{e.map.output_node(), credit}}, *feedback_, nullptr,
              {.input_credits = &credits_, .inputs_wanted = wanted_});
  for (size_t i = 0; i < receivers.size(); ++i) {
    const Receiver& receiver = receivers[i];
    if (!receiver.to) continue;
    Tensor pulled = std::move(credits_[i]);
    if (pulled.defined() && feedback_->clamp > 0)
      pulled = pulled.clamp(-feedback_->clamp, feedback_->clamp);
    Tensor& to = *receiver.to;
    const double factor = alpha * receiver.factor;
    if (!to.defined()) {
      if (!pulled.defined()) continue;
      const bool own = pulled.use_count() == 1 && pulled.storage().use_count() == 1;
      to = factor != 1 ? pulled.mul(factor) : own ? pulled : pulled.clone();
      continue;
    }
    if (receiver.beta != 1) to.mul_(receiver.beta);
    if (pulled.defined()) to.add_(pulled, factor);
  }
}

}  // namespace altprop
