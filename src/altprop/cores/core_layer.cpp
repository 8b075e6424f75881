#include "altprop/cores/core_layer.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/limits.h"
#include "altprop/network/init.h"
#include "altprop/network/signal.h"
#include "altprop/tensor/linear.h"

namespace altprop::cores {

CoreLayer::CoreLayer(CoreLayout layout, CoreSettings settings)
    : layout_(std::move(layout)), settings_(settings) {
  layout_.check();
  if (!(settings_.penalty >= 0))
    throw Refusal(type(), text::cat("a penalty is at least 0, not ", settings_.penalty));
  const int64_t axons = layout_.axons_each(), all = layout_.size() * axons;
  std::vector<int64_t> sources, readers(static_cast<size_t>(layout_.inputs), all);
  std::vector<char> silent;
  int64_t next = 0;
  for (int64_t core = 0; core < layout_.size(); ++core) {
    first_.push_back(next);
    next += layout_.neurons[static_cast<size_t>(core)];
    for (const int64_t input : layout_.axons[static_cast<size_t>(core)]) {
      if (input >= 0) readers[static_cast<size_t>(input)] = static_cast<int64_t>(sources.size());
      sources.push_back(std::max<int64_t>(input, 0));
      silent.push_back(input < 0);
    }
  }
  sources_ = at::tensor(sources, at::kLong);
  axon_inputs_ = sources_.clone();
  for (size_t i = 0; i < silent.size(); ++i)
    if (silent[i]) axon_inputs_.mutable_data_ptr<int64_t>()[i] = -1;
  in_order_ = layout_.inputs == all && at::equal(sources_, at::arange(all)) &&
              std::count(silent.begin(), silent.end(), 1) == 0;
  if (layout_.each_input_once()) readers_ = at::tensor(readers, at::kLong);
  if (std::count(silent.begin(), silent.end(), 1) > 0) {
    silent_ = at::empty({all}, at::kBool);
    std::copy(silent.begin(), silent.end(), silent_.mutable_data_ptr<bool>());
  }
}

std::string CoreLayer::settings() const {
  const auto [least, most] = std::minmax_element(layout_.neurons.begin(), layout_.neurons.end());
  std::string out =
      text::cat("cores=", layout_.size(), ",axons=", layout_.axons_each(), ",neurons=", *least);
  if (*most != *least) out += text::cat("-", *most);
  if (deterministic()) out += ",synapse=deterministic";
  return out;
}

Takes CoreLayer::takes(int) const {
  return {.kinds = {Kind::Probability},
          .instead =
              "cores read the network's inputs, other cores, or what `probabilities` stands "
              "in front of"};
}

Spec CoreLayer::infer(std::span<const Spec> inputs) const {
  if (inputs[0].numel() != layout_.inputs)
    throw Refusal(type(),
                  text::cat("its axons choose from ", layout_.inputs,
                            " inputs, but the input has shape ", shape_text(inputs[0].shape)));
  const std::vector<int64_t> wanted = {layout_.outputs(), layout_.axons_each()};
  if (connections_ && connections_->value.sizes() != IntArrayRef(wanted))
    throw Refusal(type(), text::cat("it has connections of shape ",
                                    shape_text(connections_->value.sizes()),
                                    ", but its layout needs ", shape_text(wanted)));
  return {{layout_.outputs()}, Kind::Probability};
}

void CoreLayer::build(std::span<const Spec>) {
  if (strengths_.defined()) return;
  const int64_t neurons = layout_.outputs();
  if (!connections_) {
    connections_ =
        std::make_shared<Param>("connections", at::zeros({neurons, layout_.axons_each()}));
    connections_->init = kUnitInterval;
    connections_->bounds = Bounds{0, 1};
    leaks_ = std::make_shared<Param>("leaks", at::zeros({neurons}));
    leaks_->init = "zero";
    leaks_->decay = false;
    leaks_->bounds = Bounds{-double(kMostLeak), double(kMostLeak)};
  }
  const Strengths drawn = draw_strengths(
      layout_, settings_.strengths,
      Stream(static_cast<uint64_t>(settings_.layout_seed)).at("cores").at(settings_.layer));
  types_ = drawn.types;
  strengths_ = drawn.synapse;
}

std::vector<ParamPtr> CoreLayer::params() const {
  if (!connections_) return {};
  return {connections_, leaks_};
}

std::vector<std::pair<std::string, Tensor*>> CoreLayer::buffers() {
  if (!strengths_.defined()) return {};
  return {{"types", &types_}, {"strengths", &strengths_}};
}

int64_t CoreLayer::multiply_adds(std::span<const Spec>) const {
  return (deterministic() ? 1 : 3) * layout_.outputs() * layout_.axons_each();
}

// ---- what axons see, and products core by core ----

Tensor CoreLayer::gathered(const Tensor& inputs) const {
  const Tensor flat = inputs.flatten(1);
  const std::vector<int64_t> shape = {flat.size(0), layout_.size(), layout_.axons_each()};
  if (in_order_) return flat.view(shape);
  Tensor out = flat.index_select(1, sources_.to(flat.device()));
  if (silent_.defined()) out.masked_fill_(silent_.to(flat.device()), 0);
  return out.view(shape);
}

Tensor CoreLayer::scattered(const Tensor& axons) const {
  Tensor flat = axons.flatten(1);
  if (in_order_) return flat;
  if (readers_.defined()) {
    // The column behind the last is that of inputs that nobody reads.
    return at::constant_pad_nd(flat, {0, 1}).index_select(1, readers_.to(flat.device()));
  }
  if (silent_.defined()) flat = flat.masked_fill(silent_.to(flat.device()), 0);
  // Along the first dimension rows are added at once.
  return at::zeros({layout_.inputs, flat.size(0)}, flat.options())
      .index_add_(0, sources_.to(flat.device()), flat.t().contiguous())
      .t()
      .contiguous();
}

Tensor CoreLayer::by_core(const Tensor& operands, const Tensor& factors) const {
  if (layout_.size() == 1) return gemm(operands.select(1, 0), factors.t());
  Tensor out = at::empty({operands.size(0), layout_.outputs()}, operands.options());
  for (int64_t core = 0; core < layout_.size(); ++core) {
    const int64_t n = layout_.neurons[static_cast<size_t>(core)],
                  from = first_[static_cast<size_t>(core)];
    out.narrow(1, from, n).copy_(gemm(operands.select(1, core), factors.narrow(0, from, n).t()));
  }
  return out;
}

Tensor CoreLayer::back_by_core(const Tensor& credits, const Tensor& factors) const {
  if (layout_.size() == 1) return gemm(credits, factors).unsqueeze(1);
  Tensor out = at::empty({credits.size(0), layout_.size(), factors.size(1)}, credits.options());
  for (int64_t core = 0; core < layout_.size(); ++core) {
    const int64_t n = layout_.neurons[static_cast<size_t>(core)],
                  from = first_[static_cast<size_t>(core)];
    out.select(1, core).copy_(gemm(credits.narrow(1, from, n), factors.narrow(0, from, n)));
  }
  return out;
}

Tensor CoreLayer::outer_by_core(const Tensor& credits, const Tensor& operands) const {
  Tensor out = at::empty({layout_.outputs(), operands.size(2)}, operands.options());
  for (int64_t core = 0; core < layout_.size(); ++core) {
    const int64_t n = layout_.neurons[static_cast<size_t>(core)],
                  from = first_[static_cast<size_t>(core)];
    Tensor rows = out.narrow(0, from, n);
    gemm_into(rows, credits.narrow(1, from, n).t(), operands.select(1, core), 0, 1);
  }
  return out;
}

Tensor CoreLayer::rounded_mean() const {
  return connections_->value.gt(0.5).to(strengths_.scalar_type()).mul_(strengths_);
}

CoreFactors CoreLayer::factors(const Saved& saved, const Tensor* substitute) const {
  if (substitute) return {*substitute * strengths_, {}};
  if (saved.t.size() > 2) return core_factors(connections_->value, strengths_);
  return {deterministic() ? rounded_mean() : connections_->value * strengths_, {}};
}

// ---- passes ----

Tensor CoreLayer::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  if (deterministic()) return forward_rounded(inputs[0], saved, pass.mode);
  const int64_t axons = layout_.axons_each();
  const Tensor operands = core_operands(inputs[0].flatten(1), axon_inputs_, layout_.size());
  const CoreFactors f = core_factors(connections_->value, strengths_);
  const double edge = settings_.fire_on_zero ? 0.5 : -0.5;
  CoreFired fired = core_fired(by_core(operands.narrow(2, 0, axons), f.mean),
                               by_core(operands, f.variance), leaks_->value,
                               {.shift = settings_.continuity == Continuity::Half ? edge : 0,
                                .at_zero = settings_.fire_on_zero ? 1.0 : 0.0,
                                .by_variance = settings_.exact_variance});
  saved.t = {operands, fired.by_mean};
  if (settings_.exact_variance) saved.t.push_back(fired.by_variance);
  saved.shape = inputs[0].sizes().vec();
  return fired.probability;
}

Tensor CoreLayer::forward_rounded(const Tensor& inputs, Saved& saved, Mode mode) const {
  const Tensor spikes = gathered(inputs).gt(0.5).to(inputs.scalar_type());
  const Tensor mu = by_core(spikes, rounded_mean()).add_(leaks_->value.round());
  const Tensor out = mu.sigmoid();
  saved.t = {spikes, out * (1 - out)};
  saved.shape = inputs.sizes().vec();
  if (mode != Mode::Eval) return out;
  return (settings_.fire_on_zero ? mu.ge(0) : mu.gt(0)).to(mu.scalar_type());
}

Tensor CoreLayer::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const int64_t axons = layout_.axons_each();
  const CoreFactors f = factors(saved, substitute);
  Tensor credit = back_by_core(cot * match_rows(saved.t[1], cot), f.mean);
  if (f.variance.defined()) {
    const Tensor both = back_by_core(cot * match_rows(saved.t[2], cot), f.variance);
    const Tensor x = match_rows(saved.t[0].narrow(2, 0, axons), cot);
    credit.add_(both.narrow(2, 0, axons)).addcmul_(x, both.narrow(2, axons, axons), 2);
  }
  std::vector<int64_t> shape = saved.shape;
  shape[0] = cot.size(0);
  return scattered(credit).view(shape);
}

Tensor CoreLayer::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const int64_t axons = layout_.axons_each();
  const CoreFactors f = factors(saved, nullptr);
  const Tensor moved = gathered(tangent);
  Tensor out = by_core(moved, f.mean).mul_(match_rows(saved.t[1], tangent));
  if (!f.variance.defined()) return out;
  const Tensor x = match_rows(saved.t[0].narrow(2, 0, axons), tangent);
  const Tensor both = at::cat({moved, 2 * x * moved}, 2);
  return out.addcmul_(by_core(both, f.variance), match_rows(saved.t[2], tangent));
}

Tensor CoreLayer::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const int64_t axons = layout_.axons_each();
  const Tensor dc = of(*connections_), db = of(*leaks_);
  if (!dc.defined()) return db.defined() ? saved.t[1] * db : Tensor();
  const Tensor x = saved.t[0].narrow(2, 0, axons), ds = dc * strengths_;
  Tensor mean = by_core(x, ds);
  if (db.defined()) mean = mean + db;
  Tensor out = mean * saved.t[1];
  if (saved.t.size() < 3) return out;
  const Tensor moved = at::cat({ds * strengths_, -2 * ds * connections_->value * strengths_}, 1);
  return out.addcmul_(by_core(saved.t[0], moved), saved.t[2]);
}

void CoreLayer::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor* substitute, const Shared*) const {
  const int64_t axons = layout_.axons_each(), rows = saved.t[0].size(0);
  const Tensor by_mean = fold_rows(cot, rows) * saved.t[1];
  if (Slot* slot = store.of(*leaks_)) slot->add_rows(by_mean, scale);
  Slot* slot = store.of(*connections_);
  if (!slot) return;
  Tensor gradient = outer_by_core(by_mean, saved.t[0].narrow(2, 0, axons));
  if (saved.t.size() > 2) {
    const Tensor& c = substitute ? *substitute : connections_->value;
    const Tensor both = outer_by_core(fold_rows(cot, rows) * saved.t[2], saved.t[0]);
    gradient = core_gradient(std::move(gradient), both, c, strengths_);
  } else {
    gradient.mul_(strengths_);
  }
  slot->add(gradient, scale);
}

void CoreLayer::penalise(double share, Sink& sink) const {
  if (settings_.penalty > 0)
    sink.take(ParamSignal{connections_.get(), 1 - 2 * connections_->value, share * settings_.penalty});
}

}  // namespace altprop::cores
