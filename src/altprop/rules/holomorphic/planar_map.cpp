#include "altprop/rules/holomorphic/planar_map.h"

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/network/ops/planar_form.h"
#include "altprop/rules/equilibrium/backward_weights.h"

namespace altprop {

namespace {

/// A bias as something that can be added to an output: [K] for layers, [C, 1, ...] for images.
Tensor spread_bias(const Op& op, const Tensor& bias, int64_t dims) {
  if (op.channels()->last) return bias;
  std::vector<int64_t> shape(static_cast<size_t>(dims - 1), 1);
  shape[0] = bias.size(0);
  return bias.view(shape);
}

void add_credit(Tensor& sum, Tensor part) {
  if (part.defined()) sum = sum.defined() ? sum + part : std::move(part);
}

}  // namespace

PlanarMap::PlanarMap(const Graph& map) : map_(&map) {
  for (const Node& node : map.nodes()) {
    OpPtr op = node.op;
    ParamPtr bias;
    bool learns = op && !op->params().empty();
    for (int i : node.inputs) learns |= learns_[at(i)] != 0;
    if (op && op->weight()) {
      for (const ParamPtr& p : op->params())
        if (p != op->weight()) bias = p;
      op = with_weight(node, op->weight());
    }
    const Response response = op ? op->traits().response : Response::Linear;
    curved_ |= response == Response::Curved;
    bends_ |= response != Response::Linear;
    ops_.push_back(std::move(op));
    bias_.push_back(std::move(bias));
    learns_.push_back(learns);
  }
}

Tensor PlanarMap::run(std::span<const Tensor> inputs, const PlanarRows& rows,
                      Passed& passed) const {
  passed.rows = rows;
  passed.saved.resize(ops_.size());
  std::vector<Tensor> values(ops_.size());
  for (size_t i = 0; i < inputs.size(); ++i) values[at(map_->input_nodes()[i])] = inputs[i];
  std::vector<Tensor> arguments;
  for (const Node& node : map_->nodes()) {
    if (!node.op) continue;
    const size_t id = at(node.id);
    Saved& saved = passed.saved[id];
    saved.clear();
    Tensor& out = values[id];
    if (const PlanarForm* bent = node.op->planar()) {
      out = bent->planar_forward(values[at(node.inputs[0])], rows, saved);
      continue;
    }
    arguments.clear();
    for (int i : node.inputs) arguments.push_back(values[at(i)]);
    out = ops_[id]->forward(arguments, saved, {Mode::Eval});
    if (bias_[id])
      out.narrow(0, 0, rows.points()).add_(spread_bias(*node.op, bias_[id]->value, out.dim()));
  }
  return values[at(map_->output_node())];
}

void PlanarMap::send(const Node& node, const Saved& saved, const PlanarRows& rows,
                     const Tensor& cot, const Delivery& to) const {
  const Site site = map_->site(node.id);
  for (const ParamPtr& param : node.op->params()) {
    const std::vector<const Param*> only = {param.get()};
    if (param != node.op->weight()) {
      const Tensor own =
          to.part == Part::Real ? cot.narrow(0, 0, rows.points()) : imaginary_parts(cot, rows);
      LocalSignal part{node.op.get(), &site, nullptr, own, to.scale, 0, only};
      part.input = saved.t[0].narrow(0, 0, own.size(0));
      to.sink.take(part);
      continue;
    }
    // Re(c a) = Re c Re a - Im c Im a, and Im(c a) = Im c Re a + Re c Im a, summed over rows.
    Tensor turned = cot;
    if (rows.complex && to.part == Part::Real) {
      turned = cot.clone();
      imaginary_parts(turned, rows).neg_();
    } else if (to.part == Part::Imaginary) {
      turned = at::cat({imaginary_parts(cot, rows), real_parts(cot, rows)});
    }
    to.sink.take(LocalSignal{node.op.get(), &site, &saved, turned, to.scale, 0, only});
  }
}

void PlanarMap::sweep(const Passed& passed, const Tensor& cot, std::vector<Tensor>* credits,
                      const Delivery* to) const {
  std::vector<Tensor> credit(ops_.size());
  credit[at(map_->output_node())] = cot;
  for (size_t id = ops_.size(); id-- > 0;) {
    const Node& node = map_->nodes()[id];
    if (!node.op || !credit[id].defined()) continue;
    const Tensor here = std::move(credit[id]);
    const Saved& saved = passed.saved[id];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const size_t from = at(node.inputs[i]);
      if (!credits && !learns_[from]) continue;
      if (const PlanarForm* bent = node.op->planar()) {
        add_credit(credit[from], bent->planar_pull(saved, here, passed.rows));
      } else {
        add_credit(credit[from], ops_[id]->vjp(saved, here, static_cast<int>(i), nullptr));
      }
    }
    if (to && !node.op->params().empty()) send(node, saved, passed.rows, here, *to);
  }
  if (!credits) return;
  credits->clear();
  for (int i : map_->input_nodes()) credits->push_back(credit[at(i)]);
}

}  // namespace altprop
