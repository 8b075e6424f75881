// Steps on the values of a chain of dense layers: two products a layer, in which everything else
// that happens to its units rides along, with the weights laid out once for all steps.
#include <optional>

#include "altprop/network/ops/activation.h"
#include "altprop/base/index.h"
#include "altprop/network/ops/linear.h"
#include "altprop/rules/relaxation/value_relaxation.h"
#include "altprop/tensor/row_blocks.h"
#include "altprop/tensor/value_steps.h"

namespace altprop {

namespace {

struct Link {
  PackedMatrix up, down;  ///< [below, above], the transpose of the weight, and [above, below]
  Tensor bias;
  Epilogue f = Epilogue::None;
};

/// What the fused passes apply for an activation; none if they do not know it.
std::optional<Epilogue> known(const Graph& map, int activation) {
  if (activation < 0) return Epilogue::None;
  const Op& op = *map.node(activation).op;
  if (op.traits().response == Response::Linear) return Epilogue::None;
  const auto* table = dynamic_cast<const Activation*>(&op);
  const Epilogue f = table ? table->epilogue() : Epilogue::None;
  return f != Epilogue::None && value_steps_know(f) ? std::optional(f) : std::nullopt;
}

}  // namespace

bool ValueRelaxation::descend_chain(int64_t steps, double eta) {
  const StateGraph& graph = pass_.graph();
  const size_t layers = graph.edges.size();  // the last predicts the output
  if (layers < 2 || graph.states.size() != layers + 1 || !graph.states[0].input) return false;
  std::vector<Epilogue> f(layers);
  for (size_t e = 0; e < layers; ++e) {
    const StateGraph::Edge& edge = graph.edges[e];
    const bool next = edge.from == std::vector<int>{static_cast<int>(e)} && at(edge.to) == e + 1;
    if (!next || hidden_[e + 1] != (e + 1 < layers)) return false;
    if (e == 0) continue;  // whatever it is, it predicts the same all the time
    const auto [linear, activation] = pull_back_.dense(static_cast<int>(e));
    const auto applied = linear < 0 ? std::nullopt : known(edge.map, activation);
    if (!applied || (e + 1 == layers && *applied != Epilogue::None)) return false;
    f[e] = *applied;
  }
  if (!value_steps_fit(v_[1]) || !prediction_[0].is_contiguous()) return false;
  std::vector<Link> links(layers);
  for (size_t e = 1; e < layers; ++e) {
    const Graph& map = graph.edges[e].map;
    const DenseMap dense = *map.node(pull_back_.dense(static_cast<int>(e)).first).op->dense();
    const Tensor& weight = dense.weight->value;
    links[e] = {PackedMatrix(weight.t()), PackedMatrix(weight),
                dense.bias ? dense.bias->value : Tensor(), f[e]};
  }
  for_row_blocks(v_[1].size(0), number_of_row_blocks(v_[1]), [&](const RowBlock& block) {
    Field value(layers), credit(layers), sent(layers + 1);  // of state e, which edge e reads
    for (size_t e = 1; e < layers; ++e) {
      value[e] = block.of(v_[e]);
      if (e == 1) continue;
      credit[e] = at::empty_like(value[e]);
      sent[e] = at::empty_like(value[e]);
    }
    const Tensor first = block.of(prediction_[0]), clamp = block.of(clamp_);
    const Objective objective = objective_->rows(block.first, block.count);
    Tensor output = at::empty({block.count, links.back().up.columns()}, first.options());
    const Tensor bias =
        links.back().bias.defined() ? links.back().bias.expand_as(output) : Tensor();
    for (int64_t t = 0; t < steps; ++t) {
      for (size_t e = 1; e + 1 < layers; ++e)
        predict_values(
            {value[e], links[e].up, links[e].bias, links[e].f, value[e + 1], precision(e + 1)},
            credit[e + 1], sent[e + 1]);
      links.back().up.multiply_into(output, value[layers - 1], 0, 1, bias);
      sent[layers] = credit_of_output(output, objective, clamp);
      for (size_t e = layers - 1; e > 0; --e) {
        const bool lowest = e == 1;
        const double share = lowest ? eta * precision(e) : eta;
        move_values(value[e], lowest ? first : credit[e], sent[e + 1], links[e].down,
                    lowest ? 1 - share : 1, share, eta);
      }
    }
  });
  for (size_t e = 1; e < layers; ++e) stale_[e] = 1;
  return true;
}

}  // namespace altprop
