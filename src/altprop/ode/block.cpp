#include "altprop/ode/block.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {

Record& record_in(const Saved& saved) {
  return *std::any_cast<const std::shared_ptr<Record>&>(saved.extra);
}

void refuse_for_block(const Tensor* substitute) {
  if (substitute)
    throw Refusal("ode", "an ODE block has no single weight to substitute",
                  "substitute those of its parts");
}

}  // namespace

Spec time_spec() { return {.shape = {1}, .batched = false}; }

Block::Block(std::shared_ptr<Graph> f, Problem problem)
    : f_(std::move(f)), problem_(std::move(problem)), method_(&tableau(problem_.solver)) {
  const size_t inputs = f_->input_nodes().size();
  if (inputs < 1 || inputs > 2 || f_->output_nodes().size() != 1)
    throw Refusal("ode", text::cat("f has ", inputs, " inputs and ", f_->output_nodes().size(),
                                   " outputs, but is a function of the state z and the time t"));
  if (inputs == 2 && f_->node(f_->input_nodes()[1]).spec != time_spec())
    throw Refusal("ode", "the second input of f is the time, one number for the whole batch");
  if (!(problem_.end_time > 0) || !std::isfinite(problem_.end_time))
    throw UsageError(text::cat("ode: T is the time at which the state is read, above 0, but is ",
                               problem_.end_time));
  const StepSizes& sizes = problem_.sizes;
  if (sizes.steps == 0 && !method_->estimates_error())
    throw UsageError("ode: solver '" + problem_.solver +
                     "' has no estimate of its error; say how many steps it takes, as in steps=8, "
                     "or use dopri5");
  if (sizes.steps < 0 || sizes.max_steps < 1 || !(sizes.rtol >= 0) || !(sizes.atol >= 0) ||
      !(sizes.rtol + sizes.atol > 0) || !(sizes.first_step >= 0))
    throw UsageError(
        "ode: steps, tolerances and the first step are not negative, max-steps is at least 1, and "
        "rtol and atol are not both 0");
}

std::string Block::settings() const {
  const StepSizes& sizes = problem_.sizes;
  std::string out = text::cat("solver=", problem_.solver, ",T=", problem_.end_time);
  if (sizes.steps > 0) return text::cat(out, ",steps=", sizes.steps);
  out = text::cat(out, ",rtol=", sizes.rtol, ",atol=", sizes.atol);
  if (sizes.first_step > 0) out = text::cat(out, ",first-step=", sizes.first_step);
  return out;
}

Spec Block::infer(std::span<const Spec> inputs) const {
  const Spec& state = f_->node(f_->input_nodes()[0]).spec;
  const Spec& slope = f_->node(f_->output_node()).spec;
  if (inputs[0] != state)
    throw Refusal("ode", text::cat("its f is of states of shape ", shape_text(state.shape),
                                   ", but the input has ", shape_text(inputs[0].shape)));
  if (slope.shape != state.shape || !slope.batched)
    throw Refusal(
        "ode",
        text::cat("f makes values of shape ", shape_text(slope.shape), " of a state of shape ",
                  shape_text(state.shape), ", but is the state's rate of change"),
        "let the last operation inside have the shape of the state");
  return state;
}

void Block::build(std::span<const Spec>) {
  if (f_->traits().couples_samples)
    throw Refusal("ode",
                  "an operation in f takes statistics of the batch (batch normalisation), which "
                  "would be others at every evaluation and be counted at each of them",
                  "use layer-norm inside, or put the batch-norm in front of the block");
}

Traits Block::traits() const {
  Traits out = f_->traits();
  const int64_t steps = problem_.sizes.steps;
  out.reuses |= steps == 0 || steps * method_->stages() > 1;
  out.couples_samples |= steps == 0;  // they share the steps, and the norm of the error
  return out;
}

int64_t Block::multiply_adds(std::span<const Spec> inputs) const {
  // Adaptive: of one step.
  return f_->multiply_adds(inputs) * method_->stages() * std::max<int64_t>(problem_.sizes.steps, 1);
}

void Block::expect_repeatable(const Tensor& x, const Record& record) const {
  if (!f_->traits().draws_for_batch || record.pass.mode != Mode::Train) return;
  const Field f = field_of(*f_, record.pass, false);
  if (!at::equal(f(0, x).slope, f(0, x).slope))
    throw Refusal("ode",
                  "f gives other values when it is evaluated again at the same place, and gradient "
                  "methods evaluate it again",
                  "leave random numbers and statistics out of f");
}

Tensor Block::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const bool replay = pass.mode == Mode::Replay && saved.extra.has_value();
  if (!replay) {
    auto fresh = std::make_shared<Record>();
    fresh->pass = {.mode = pass.mode == Mode::Replay ? Mode::Eval : pass.mode,
                   .draws = pass.draws,
                   .ids = pass.ids,
                   .first_row = pass.first_row};
    fresh->end_time = problem_.end_time;
    saved.extra = fresh;
  }
  // A replay takes the steps and draws of the pass that it repeats.
  Record& record = record_in(saved);
  record.gradient = gradient_;
  if (!replay) expect_repeatable(inputs[0], record);
  return record_forward(*method_, *f_, inputs[0], problem_.sizes, record);
}

const Record& Block::record(const Saved& saved) { return record_in(saved); }

Credits Block::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                      const Tensor* substitute, Sweep& sweep) const {
  refuse_for_block(substitute);
  // Its parts may learn where nobody wants the credit of its input.
  Tensor of_input = record_back(*method_, *f_, problem_.sizes, record_in(saved), cot, sweep);
  if (!wanted.empty() && !wanted[0]) of_input = Tensor();
  return {of_input};
}

Tensor Block::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  refuse_for_block(substitute);
  Feedback exact;
  Sweep sweep{exact};
  return record_back(*method_, *f_, problem_.sizes, record_in(saved), cot, sweep);
}

Tensor Block::jvp(const Saved& saved, const Tensor& tangent, int) const {
  return push_along(*method_, *f_, record_in(saved), tangent, {});
}

Tensor Block::jvp_params(const Saved& saved, const ParamTangents& of) const {
  bool any = false;
  for (const ParamPtr& param : f_->params()) any |= of(*param).defined();
  return any ? push_along(*method_, *f_, record_in(saved), {}, of) : Tensor();
}

void Block::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                       const Tensor* substitute, const Shared*) const {
  refuse_for_block(substitute);
  Feedback exact;
  IntoStore sink(store);
  Sweep sweep{exact, &sink, scale};
  record_back(*method_, *f_, problem_.sizes, record_in(saved), cot, sweep);
}

OpPtr block(std::shared_ptr<Graph> f, Problem problem) {
  return std::make_shared<Block>(std::move(f), std::move(problem));
}

namespace {
void add_blocks(const Graph& net, std::vector<Block*>& out) {
  for (const Node& node : net.nodes()) {
    if (!node.op || !node.op->parts()) continue;
    if (auto* block = dynamic_cast<Block*>(node.op.get())) out.push_back(block);
    add_blocks(*node.op->parts(), out);
  }
}
}  // namespace

int set_gradient(const Graph& net, Gradient gradient) {
  std::vector<Block*> blocks;
  add_blocks(net, blocks);
  for (Block* block : blocks) block->set_gradient(gradient);
  return static_cast<int>(blocks.size());
}

ExactGradients::ExactGradients(const Graph& net) {
  add_blocks(net, changed_);
  std::erase_if(changed_, [](Block* b) { return b->gradient() != Gradient::Adjoint; });
  for (Block* block : changed_) block->set_gradient(Gradient::Symplectic);
}

ExactGradients::~ExactGradients() {
  for (Block* block : changed_) block->set_gradient(Gradient::Adjoint);
}

}  // namespace altprop::ode
