#include "altprop/ode/flow_field.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/block.h"

namespace altprop::ode {

std::vector<std::string> trace_names() { return {"exact", "hutchinson", "rademacher"}; }

/// What an evaluation leaves behind.
struct FlowField::Kept {
  Activity activity;
  int64_t batch = 0;
  Tensor noise;                  ///< [B, d]; undefined: the trace is exact
  at::TensorOptions options;     ///< of z
  std::vector<Tensor> tangents;  ///< at g's nodes, where they all went at once; else made again
};

namespace {

void refuse_for_flow(const Tensor* substitute) {
  if (substitute)
    throw Refusal("flow", "a flow has no single weight to substitute",
                  "substitute those of its parts");
}

/// The name of the first operation without second derivatives, "h1 (relu)"; "": there is none.
std::string without_second(const Graph& g, const std::string& around) {
  for (const Node& node : g.nodes()) {
    if (!node.op || node.op->has_jvp_vjp()) continue;
    const Graph* parts = node.op->parts();
    if (parts == node.op.get()) return without_second(*parts, around + node.name + ".");
    return text::cat("'", around, node.name, "' (", node.op->type(), ")");
  }
  return "";
}

/// Numbers of one sample's widest value inside.
int64_t widest_of(const Graph& g) {
  int64_t out = 1;
  for (const Node& node : g.nodes()) out = std::max(out, node.spec.numel());
  return out;
}

}  // namespace

void expect_second_derivatives(const std::string& what, const Graph& g) {
  const std::string name = without_second(g, "");
  if (name.empty()) return;
  throw Refusal(what,
                "its gradient is one of second order, and the operation " + name +
                    " inside of it does not know its own, or its slope jumps, so that the "
                    "gradient would be wrong",
                "use linear maps, convolutions, time-gate and smooth activations such as tanh or "
                "softplus");
}

FlowField::FlowField(std::shared_ptr<Graph> g, FlowSettings settings)
    : g_(std::move(g)), settings_(settings) {
  const size_t inputs = g_->input_nodes().size();
  if (inputs < 1 || inputs > 2 || g_->output_nodes().size() != 1)
    throw Refusal("flow", text::cat("g has ", inputs, " inputs and ", g_->output_nodes().size(),
                                    " outputs, but is a function of z and of the time t"));
  const Spec &z = g_->node(g_->input_nodes()[0]).spec, &out = g_->node(g_->output_node()).spec;
  if (z.shape.size() != 1 || !z.batched || !z.differentiable())
    throw Refusal("flow", "z is a vector of real numbers, but has the shape " + shape_text(z.shape),
                  "flatten samples in front of the flow; inside, reshape makes images of them");
  if (inputs == 2 && g_->node(g_->input_nodes()[1]).spec != time_spec())
    throw Refusal("flow", "the second input of g is the time, one number for the whole batch");
  if (out.shape != z.shape || !out.batched)
    throw Refusal("flow",
                  text::cat("g makes values of shape ", shape_text(out.shape), " of samples of ",
                            shape_text(z.shape), ", but is their velocity"),
                  "let the last operation inside have the shape of z");
  if (settings_.numbers_at_once < 1) throw UsageError("flow: numbers_at_once is at least 1");
  width_ = z.shape[0];
  widest_ = widest_of(*g_);
}

std::string FlowField::settings() const {
  return text::cat(
      "trace=", trace_names()[static_cast<size_t>(settings_.trace)],
      settings_.trace != Trace::Exact && !settings_.exact_in_evaluation ? ",eval-trace=same" : "");
}

Spec FlowField::infer(std::span<const Spec> inputs) const {
  if (inputs[0].shape != std::vector<int64_t>{width_ + 1})
    throw Refusal("flow", text::cat("its state has ", width_ + 1, " values, the ", width_,
                                    " of z and the change of their log density, but the input has ",
                                    shape_text(inputs[0].shape)));
  if (inputs.size() > 1 && inputs[1] != time_spec())
    throw Refusal("flow", "its second input is a time, one number for the whole batch");
  return inputs[0];
}

void FlowField::build(std::span<const Spec>) { expect_second_derivatives("flow", *g_); }

std::vector<FlowField::Chunk> FlowField::chunks(const Kept& kept) const {
  if (kept.noise.defined()) return {{0, 1}};
  const int64_t row = std::max<int64_t>(1, kept.batch) * widest_;
  const int64_t most = std::max<int64_t>(1, settings_.numbers_at_once / row);
  std::vector<Chunk> out;
  for (int64_t from = 0; from < width_; from += most)
    out.push_back({from, std::min(most, width_ - from)});
  return out;
}

Tensor FlowField::directions(const Kept& kept, const Chunk& chunk) const {
  if (kept.noise.defined()) return kept.noise;
  return at::eye(width_, kept.options)
      .narrow(0, chunk.from, chunk.count)
      .repeat_interleave(kept.batch, 0);
}

Tensor FlowField::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const bool replay = pass.mode == Mode::Replay && saved.extra.has_value();
  if (!replay) saved.extra = std::make_shared<Kept>();
  Kept& kept = *std::any_cast<std::shared_ptr<Kept>&>(saved.extra);
  const Tensor z = inputs[0].narrow(1, 0, width_).contiguous();
  kept.batch = z.size(0);
  kept.options = z.options();
  if (!replay && settings_.trace != Trace::Exact &&
      (pass.mode == Mode::Train || !settings_.exact_in_evaluation)) {
    const Stream stream = pass.draws.at("trace");
    kept.noise =
        settings_.trace == Trace::Gaussian
            ? stream.normal_rows(pass.rows(), z.sizes(), z.options())
            : stream.bernoulli_rows(0.5, pass.rows(), z.sizes(), z.options()).mul_(2).sub_(1);
  }
  std::vector<Tensor> of_g = {z};
  if (inputs.size() > 1) of_g.push_back(inputs[1]);
  const Tensor velocity = g_->run(of_g, kept.activity, pass.inside());
  kept.activity.values.clear();
  kept.tangents.clear();
  const std::vector<Chunk> parts = chunks(kept);
  Tensor trace = at::zeros({kept.batch}, z.options());
  for (const Chunk& chunk : parts) {
    std::vector<Tensor> at_nodes;
    const Tensor moved =
        g_->push(kept.activity, Push{.inputs = {directions(kept, chunk)}}, &at_nodes);
    if (!moved.defined()) break;  // g does not depend on z
    trace += kept.noise.defined() ? (moved * kept.noise).sum(1)
                                  : moved.view({chunk.count, kept.batch, width_})
                                        .narrow(2, chunk.from, chunk.count)
                                        .diagonal(0, 0, 2)
                                        .sum(1);
    if (parts.size() == 1) kept.tangents = std::move(at_nodes);
  }
  return at::cat({velocity, trace.neg().unsqueeze(1)}, 1);
}

/// Credit of the tangents that `directions` have become, where that of the trace is `weight` [M*B].
Tensor FlowField::credit_of_product(const Kept& kept, const Chunk& chunk,
                                    const Tensor& weight) const {
  if (kept.noise.defined()) {
    const Tensor column = weight.unsqueeze(1);
    return column * match_rows(kept.noise, column);
  }
  return (weight.view({-1, 1, kept.batch, 1}) * at::eye(width_, kept.options)
                                                    .narrow(0, chunk.from, chunk.count)
                                                    .view({1, chunk.count, 1, width_}))
      .flatten(0, 2);
}

Credits FlowField::back(const Kept& kept, const Tensor& cot, Wanted wanted, Sweep& sweep) const {
  Activity& activity = const_cast<Activity&>(kept.activity);  // a sweep may free it
  const Tensor weight = cot.select(1, width_).neg();
  const std::vector<Chunk> parts = chunks(kept);
  const std::vector<char> none(g_->input_nodes().size(), 0);
  const Wanted of_inputs = wanted.empty() ? Wanted(none) : wanted;
  Credits out(of_inputs.size());
  std::vector<Seed> seeds = {{g_->output_node(), cot.narrow(1, 0, width_)}};
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<Tensor> made;
    if (kept.tangents.empty())
      g_->push(activity, Push{.inputs = {directions(kept, parts[i])}}, &made);
    const std::vector<Tensor>& tangents = made.empty() ? kept.tangents : made;
    TangentSweep second{.tangents = tangents};
    if (tangents[static_cast<size_t>(g_->output_node())].defined())
      second.seeds = {{g_->output_node(), credit_of_product(kept, parts[i], weight)}};
    Sweep own = sweep;
    own.release = sweep.release && i + 1 == parts.size();
    const TangentCredits found = g_->sweep(activity, std::move(seeds), second, own, of_inputs);
    seeds.clear();
    for (size_t k = 0; k < out.size(); ++k)
      if (const Tensor& part = found.of_values[k]; part.defined())
        out[k] = out[k].defined() ? out[k] + part : part;
  }
  if (of_inputs[0]) {
    const Tensor none_of_log = at::zeros({cot.size(0), 1}, cot.options());
    out[0] = out[0].defined() ? at::cat({out[0], none_of_log}, 1) : at::zeros_like(cot);
  }
  return out;
}

Credits FlowField::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                          const Tensor* substitute, Sweep& sweep) const {
  refuse_for_flow(substitute);
  return back(*std::any_cast<const std::shared_ptr<Kept>&>(saved.extra), cot, wanted, sweep);
}

Tensor FlowField::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  if (input != 0)
    throw Refusal("flow", "the tangent of its trace along the time is not known",
                  "use a rule that sends credit back, and a T that is not learnt");
  Kept& kept = *std::any_cast<const std::shared_ptr<Kept>&>(saved.extra);
  const Tensor moved = tangent.narrow(1, 0, width_);
  Tensor velocity = g_->push(kept.activity, Push{.inputs = {moved}});
  if (!velocity.defined()) velocity = at::zeros_like(moved);
  // The trace is one number for each sample, whose gradient gives all its tangents.
  Tensor of_trace = at::zeros({kept.batch, width_ + 1}, tangent.options());
  of_trace.select(1, width_).fill_(1);
  const Tensor gradient = vjp(saved, of_trace, 0, nullptr).narrow(1, 0, width_);
  const Tensor rate = (match_rows(gradient, moved) * moved).sum(1, true);
  return at::cat({velocity, rate}, 1);
}

int64_t FlowField::multiply_adds(std::span<const Spec> inputs) const {
  const int64_t tangents = settings_.trace == Trace::Exact ? width_ : 1;
  return g_->multiply_adds(inputs) * (1 + tangents);
}

Traits FlowField::traits() const {
  Traits out = g_->traits();
  out.draws |= settings_.trace != Trace::Exact;
  out.reuses = true;  // by the velocity and by its trace
  return out;
}

OpPtr flow_field(std::shared_ptr<Graph> g, FlowSettings settings) {
  return std::make_shared<FlowField>(std::move(g), settings);
}

}  // namespace altprop::ode
