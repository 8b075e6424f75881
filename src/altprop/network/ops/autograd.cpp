#include "altprop/network/ops/autograd.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <mutex>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

struct AutogradOp::Tape {
  std::vector<Tensor> inputs;  ///< leaves that ask for a gradient
  std::vector<Tensor> leaves;
  Tensor output;
  bool train = false;
  uint64_t seed = 0;
  /// Of each parameter's value when the pass ran: where it lay and how often it had been written.
  std::vector<std::pair<const void*, int64_t>> versions;
};

namespace {

/// Seeds ATen's generators for one run and puts them back. One run at a time: of two at once the
/// second would take the first one's numbers for the user's and leave them behind.
class Draws {
 public:
  explicit Draws(uint64_t seed) : alone_(one_at_a_time()) {
    keep(at::Device(at::kCPU), seed);
    const auto accelerator = at::getAccelerator();
    if (!accelerator) return;
    const auto count =
        at::globalContext().getAcceleratorHooksInterface(accelerator).deviceCount();
    for (c10::DeviceIndex i = 0; i < static_cast<c10::DeviceIndex>(count); ++i)
      keep(at::Device(*accelerator, i), seed);
  }
  ~Draws() {
    for (auto& [generator, state] : kept_) {
      std::lock_guard lock(generator.mutex());
      generator.set_state(state);
    }
  }

 private:
  /// Recursive: a function may run operations of this kind inside.
  static std::recursive_mutex& one_at_a_time() {
    static std::recursive_mutex mutex;
    return mutex;
  }
  void keep(at::Device device, uint64_t seed) {
    at::Generator generator = at::globalContext().defaultGenerator(device);
    std::lock_guard lock(generator.mutex());
    kept_.emplace_back(generator, generator.get_state());
    generator.set_current_seed(seed);
  }

  std::lock_guard<std::recursive_mutex> alone_;
  std::vector<std::pair<at::Generator, Tensor>> kept_;
};

std::vector<std::pair<const void*, int64_t>> versions_of(const std::vector<ParamPtr>& params) {
  std::vector<std::pair<const void*, int64_t>> out;
  for (const ParamPtr& p : params)
    out.emplace_back(p->value.data_ptr(), static_cast<int64_t>(p->value._version()));
  return out;
}

/// Gradients of <output, cot>; zeros for an input that the output does not depend on.
std::vector<Tensor> gradients(const Tensor& output, const Tensor& cot,
                              const std::vector<Tensor>& of, bool differentiable = false) {
  if (!output.requires_grad()) {
    std::vector<Tensor> zeros;
    for (const Tensor& t : of) zeros.push_back(at::zeros_like(t));
    return zeros;
  }
  std::vector<Tensor> out = torch::autograd::grad({output}, of, {cot}, /*retain_graph=*/true,
                                                  differentiable, /*allow_unused=*/true);
  for (size_t i = 0; i < of.size(); ++i)
    if (!out[i].defined()) out[i] = at::zeros_like(of[i]);
  return out;
}

}  // namespace

AutogradOp::AutogradOp(std::string type, Function function, int arity, Samples samples)
    : type_(std::move(type)), function_(std::move(function)), arity_(arity), samples_(samples) {}

Takes AutogradOp::takes(int) const {
  return {.dtypes = {Dtype::Float, Dtype::Int64, Dtype::Bool}, .unbatched = true};
}

Spec AutogradOp::infer(std::span<const Spec> inputs) const {
  const std::vector<ParamPtr> owned = params();
  const at::TensorOptions options =
      owned.empty() ? at::TensorOptions(at::kFloat) : owned[0]->value.options();
  std::vector<Tensor> zeros;
  for (const Spec& spec : inputs) {
    std::vector<int64_t> shape = spec.shape;
    if (spec.batched) shape.insert(shape.begin(), 2);
    const at::TensorOptions stored = spec.dtype == Dtype::Int64  ? options.dtype(at::kLong)
                                     : spec.dtype == Dtype::Bool ? options.dtype(at::kBool)
                                                                 : options;
    zeros.push_back(at::zeros(shape, stored.requires_grad(false)));
  }
  try {
    at::AutoGradMode off(false);
    const std::vector<Tensor> used = leaves();
    set_training(false);
    const Tensor out = run(zeros, used);
    if (out.dim() < 1 || out.size(0) != 2)
      throw Refusal(type_, text::cat("of 2 samples it makes an output of shape ",
                                     shape_text(out.sizes()), ", not one row per sample"));
    return {out.sizes().slice(1).vec(), Kind::Real, dtype_of(out)};
  } catch (const c10::Error& e) {
    throw Refusal(type_, text::cat("it does not accept samples of shape ",
                                   shape_text(inputs[0].shape), ": ", e.what_without_backtrace()));
  }
}

void AutogradOp::build(std::span<const Spec> inputs) {
  std::vector<char> shared;
  for (const Spec& spec : inputs) shared.push_back(!spec.batched);
  if (!shared_.empty() && shared != shared_)
    throw Refusal(type_, "elsewhere in the network another of its inputs is for the whole batch",
                  "make an operation of its own for each place");
  shared_ = std::move(shared);
}

std::shared_ptr<const AutogradOp::Tape> AutogradOp::record(std::span<const Tensor> inputs,
                                                           bool train, uint64_t seed) const {
  auto tape = std::make_shared<Tape>();
  at::AutoGradMode on(true);
  for (const Tensor& x : inputs)
    tape->inputs.push_back(x.detach().requires_grad_(x.is_floating_point()));
  tape->leaves = leaves();
  tape->train = train;
  tape->seed = seed;
  tape->versions = versions_of(params());
  set_training(train);
  std::optional<Draws> draws;
  if (train && may_draw()) draws.emplace(seed);
  // Views, so that a function which returns its input does not return a leaf.
  std::vector<Tensor> arguments;
  for (const Tensor& x : tape->inputs) arguments.push_back(x.view_as(x));
  tape->output = run(arguments, tape->leaves);
  return tape;
}

std::shared_ptr<const AutogradOp::Tape> AutogradOp::repeat(std::span<const Tensor> inputs,
                                                           const Tape& old) const {
  std::vector<Tensor> kept;
  for (const Tensor& t : by_products()) kept.push_back(t.clone());
  auto tape = record(inputs, old.train, old.seed);
  size_t i = 0;
  for (const Tensor& t : by_products()) t.copy_(kept[i++]);
  return tape;
}

Tensor AutogradOp::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  std::shared_ptr<const Tape> tape;
  if (pass.mode == Mode::Replay && saved.extra.has_value()) {
    tape = repeat(inputs, *std::any_cast<const std::shared_ptr<const Tape>&>(saved.extra));
  } else {
    tape = record(inputs, pass.mode == Mode::Train, pass.draws.key());
  }
  saved.t.assign(inputs.begin(), inputs.end());
  saved.extra = tape;
  return tape->output.detach();
}

std::shared_ptr<const AutogradOp::Tape> AutogradOp::tape_of(const Saved& saved) const {
  const auto& tape = std::any_cast<const std::shared_ptr<const Tape>&>(saved.extra);
  return tape->versions == versions_of(params()) ? tape : repeat(saved.t, *tape);
}

namespace {
/// f of each block of B rows of a tensor of K*B rows, one behind the other.
template <class F>
Tensor by_blocks(const Tensor& rows, int64_t batch, F&& f) {
  if (rows.size(0) == batch) return f(rows);
  if (batch == 0 || rows.size(0) % batch != 0)
    throw UsageError(text::cat(rows.size(0), " rows do not fit an activity of ", batch, " rows"));
  std::vector<Tensor> out;
  for (const Tensor& block : rows.split(batch)) out.push_back(f(block));
  return at::cat(out);
}
}  // namespace

void AutogradOp::refuse_substitute() const {
  throw Refusal(type_, "its weights are hidden, so none can be substituted",
                "build the network of the library's own operations");
}

bool AutogradOp::shared(const Tape& tape, int input) const {
  const size_t i = static_cast<size_t>(input);
  if (!tape.inputs[i].is_floating_point())
    throw Refusal(type_,
                  text::cat("its input ", input + 1, " holds integers, which have no derivative"));
  return i < shared_.size() && shared_[i];
}

Tensor AutogradOp::vjp(const Saved& saved, const Tensor& cot, int input,
                       const Tensor* substitute) const {
  if (substitute) refuse_substitute();
  const auto tape = tape_of(saved);
  const Tensor& x = tape->inputs[static_cast<size_t>(input)];
  const bool for_all = shared(*tape, input);
  at::AutoGradMode on(true);
  return by_blocks(cot, tape->output.size(0), [&](const Tensor& c) {
    const Tensor pulled = gradients(tape->output, c, {x})[0];
    return for_all ? pulled.unsqueeze(0) : pulled;
  });
}

// One reverse pass for all inputs and for what accumulate will ask for.
Credits AutogradOp::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                           const Tensor* substitute, Sweep& sweep) const {
  if (substitute) refuse_substitute();
  const auto tape = tape_of(saved);
  if (cot.size(0) != tape->output.size(0)) return Op::credit(saved, cot, wanted, nullptr, sweep);
  std::vector<Tensor> of;
  if (sweep.sink && sweep.shared) of = tape->leaves;
  const size_t leaves = of.size();
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i]) of.push_back(tape->inputs[i]);
  at::AutoGradMode on(true);
  std::vector<Tensor> all = gradients(tape->output, cot, of);
  Credits out(wanted.size());
  size_t next = leaves;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i]) {
      out[i] = std::move(all[next++]);
      if (shared(*tape, static_cast<int>(i))) out[i] = out[i].unsqueeze(0);
    }
  all.resize(leaves);
  if (leaves > 0) *sweep.shared = {cot, std::move(all)};
  return out;
}

Tensor AutogradOp::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const auto tape = tape_of(saved);
  const Tensor& x = tape->inputs[static_cast<size_t>(input)];
  const bool for_all = shared(*tape, input);
  at::AutoGradMode on(true);
  // J^T u is linear in u; the derivative of <J^T u, t> in u is J t.
  const Tensor u = at::zeros_like(tape->output.detach()).requires_grad_(true);
  const Tensor pulled = gradients(tape->output, u, {x}, true)[0];
  return by_blocks(tangent, for_all ? 1 : x.size(0), [&](const Tensor& t) {
    return gradients(pulled, for_all ? t.squeeze(0) : t, {u})[0];
  });
}

Tensor AutogradOp::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const std::vector<ParamPtr> owned = params();
  const auto tape = tape_of(saved);
  Tensor out;
  at::AutoGradMode on(true);
  for (size_t i = 0; i < owned.size(); ++i) {
    const Tensor t = of(*owned[i]);
    if (!t.defined()) continue;
    // As in jvp: the derivative of <J^T u, t> in u.
    const Tensor u = at::zeros_like(tape->output.detach()).requires_grad_(true);
    const Tensor pulled = gradients(tape->output, u, {tape->leaves[i]}, true)[0];
    const Tensor part = gradients(pulled, t, {u})[0];
    out = out.defined() ? out + part : part;
  }
  return out;
}

void AutogradOp::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                            const Tensor* substitute, const Shared* shared) const {
  if (substitute) refuse_substitute();
  const std::vector<ParamPtr> owned = params();
  if (owned.empty()) return;
  std::vector<Tensor> all;
  if (shared && shared->is_for(cot) &&
      std::any_cast<const std::shared_ptr<const Tape>&>(saved.extra)->versions ==
          versions_of(owned)) {
    all = shared->t;
  } else {
    const auto tape = tape_of(saved);
    at::AutoGradMode on(true);
    all = gradients(tape->output, fold_rows(cot, tape->output.size(0)), tape->leaves);
  }
  for (size_t i = 0; i < owned.size(); ++i)
    if (Slot* slot = store.of(*owned[i])) slot->add(all[i], scale);
}

OpPtr autograd_op(std::string type, AutogradOp::Function function, int arity, Samples samples) {
  return std::make_shared<AutogradOp>(std::move(type), std::move(function), arity, samples);
}

}  // namespace altprop
