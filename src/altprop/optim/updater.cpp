#include "altprop/optim/updater.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/outer_product.h"

namespace altprop {

const OptimizerSettings& Updater::settings(const std::string& group) const {
  auto it = group_settings_.find(group);
  return it == group_settings_.end() ? settings_ : it->second;
}

const StepFacts& Updater::facts(const std::string& group) const {
  static const StepFacts none;
  auto it = progress_.find(group);
  return it == progress_.end() ? none : it->second.facts;
}

int64_t Updater::steps(const std::string& group) const {
  auto it = progress_.find(group);
  return it == progress_.end() ? 0 : it->second.steps;
}

void Updater::bind(const std::vector<ParamPtr>& params) {
  blocks_.clear();
  slots_.all.clear();
  progress_.clear();
  at_once_.clear();
  stepped_.clear();
  std::set<const Param*> partners;  // of twins, in blocks of their own
  for (const ParamPtr& param : params)
    if (param->twin) partners.insert(param->twin);
  for (const ParamPtr& param : params) {
    if (!param->learnt) continue;
    const OptimizerSettings& s = settings(param->group);
    // A twin steps exactly as its partner, so partner's name and flags decide.
    const Param& model = param->twin ? *param->twin : *param;
    const double lr_factor = s.lr_factor(model.name);
    const bool decay = s.decay_all || model.decay;
    const char* role = param->twin ? ":twins" : partners.count(param.get()) ? ":partners" : "";
    const std::string key = text::cat(param->group, role, ":", lr_factor, decay ? "" : ":no-decay",
                                      ":", param->value.scalar_type());
    auto block =
        std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& b) { return b.key == key; });
    if (block == blocks_.end()) {
      blocks_.push_back({param->group, key, lr_factor, decay, param->twin != nullptr});
      block = std::prev(blocks_.end());
    }
    block->params.push_back(param);
  }
  into_values_ = !blocks_.empty();
  for (Block& block : blocks_) {
    block.target = target_of(block);
    into_values_ &= block.target == Target::Value;
    gathered_ ? gather(block) : hold_apart(block);
    prepare_optimizer(block);
    if (block.target == Target::Average && !settings(block.group).keep_signs)
      for (const ParamPtr& param : block.params)
        at_once_[param.get()] = static_cast<size_t>(&block - blocks_.data());
  }
  set_rate_factor(rate_factor_);
  for (const Block& block : blocks_)
    for (const ParamPtr& param : block.params)
      if (param->twin && !slots_.all.count(param->twin))
        throw Error("updater: '" + param->name + "' steps as '" + param->twin->name +
                    "' does, which is not stepped here; bind both or neither");
}

Updater::Target Updater::target_of(const Block& block) const {
  const OptimizerSettings& s = settings(block.group);
  if (!in_place_ || direction_ || s.clip_norm > 0 || s.clip_tensor_norm > 0 || s.clip_value > 0 ||
      s.sign_gradient)
    return Target::Gradient;
  if (block.twins) return Target::Gradient;
  bool any_twins = false;
  for (const Block& other : blocks_) {
    if (!other.twins) continue;
    any_twins = true;
    // Their gradients are taken by the twins.
    for (const ParamPtr& twin : other.params)
      if (twin->twin == block.params[0].get()) return Target::Gradient;
  }
  if (s.kind == "momentum" && s.momentum > 0) return Target::Average;
  // One rate for all, because the parameters of one operation share their signals.
  const bool plain = s.kind == "sgd" && !any_twins && s.weight_decay == 0 && !s.keep_signs &&
                     s.lr_of.empty() && group_settings_.empty();
  return plain ? Target::Value : Target::Gradient;
}

void Updater::gather(Block& block) {
  int64_t total = 0;
  for (const ParamPtr& param : block.params) total += param->value.numel();
  const at::TensorOptions options = block.params[0]->value.options();
  Tensor value = at::empty({total}, options), grad;
  if (!block.twins) grad = block.target == Target::Value ? value : at::zeros({total}, options);
  int64_t offset = 0;
  for (const ParamPtr& param : block.params) {
    const int64_t n = param->value.numel();
    const auto part = [&](const Tensor& flat) {
      return flat.narrow(0, offset, n).view(param->value.sizes());
    };
    Tensor home = part(value);
    home.copy_(param->value);
    param->value = home;
    give_slot(block, param, block.twins ? Tensor() : part(grad));
    if (block.twins) block.values.push_back(home);
    offset += n;
  }
  if (!block.twins) {
    block.values = {value};
    block.grads = {grad};
  }
}

void Updater::hold_apart(Block& block) {
  for (const ParamPtr& param : block.params) {
    Tensor grad;
    if (!block.twins)
      grad = block.target == Target::Value ? param->value : at::zeros_like(param->value);
    give_slot(block, param, grad);
    block.values.push_back(param->value);
    if (!block.twins) block.grads.push_back(std::move(grad));
  }
}

void Updater::give_slot(const Block& block, const ParamPtr& param, Tensor into) {
  const double keep = block.target == Target::Value     ? 1
                      : block.target == Target::Average ? settings(block.group).momentum
                                                        : 0;
  slots_.all[param.get()] = Slot{.into = std::move(into), .keep = keep};
}

void Updater::prepare_optimizer(Block& block) {
  if (block.target == Target::Average) {
    block.first = block.grads;
    return;
  }
  const std::string& kind = settings(block.group).kind;
  const bool adaptive = kind == "adam" || kind == "adamw";
  for (const Tensor& v : block.values) {
    if (adaptive || settings(block.group).effective_momentum() > 0)
      block.first.push_back(at::zeros_like(v));
    if (adaptive || kind == "rmsprop") block.second.push_back(at::zeros_like(v));
    if (adaptive)
      block.step_counts.push_back(at::zeros({}, at::TensorOptions(at::kFloat).device(v.device())));
  }
}

/// Twins seldom receive signals of their own: their gradients are allocated when they do.
Slot* Updater::Slots::of(const Param& param) {
  const auto found = all.find(&param);
  if (found == all.end()) return nullptr;
  Slot& slot = found->second;
  if (!slot.into.defined()) slot.into = at::empty_like(param.value);
  return &slot;
}

const Slot* Updater::slot(const Param& param) const {
  const auto found = slots_.all.find(&param);
  return found == slots_.all.end() ? nullptr : &found->second;
}

void Updater::set_rate_factor(double factor) {
  rate_factor_ = factor;
  if (into_values_)
    for (auto& [param, slot] : slots_.all) slot.factor = -settings_.lr * rate_factor_;
}

void Updater::take(const LocalSignal& signal) {
  if (direction_) {
    direction_->absorb(signal, slots_);
  } else if (!step_at_once(signal)) {
    signal.accumulate(slots_);
  }
}

void Updater::take(const ParamSignal& signal) {
  if (direction_) return direction_->absorb(signal, slots_);
  signal.accumulate(slots_);
  // Where average and value have taken this step's signals already, the value takes this one, too.
  if (stepped_.count(signal.param))
    signal.param->value.add_(signal.tensor, -rate_of(*signal.param) * signal.scale);
}

double Updater::rate_of(const Param& param) const {
  const Block& block = blocks_[at_once_.at(&param)];
  return settings(block.group).lr * rate_factor_ * block.lr_factor;
}

double Updater::decay_of(const std::string& group) const {
  return decay_override_ >= 0 ? decay_override_ : settings(group).weight_decay;
}

bool Updater::step_at_once(const LocalSignal& signal) {
  const ParamPtr weight = at_once_.empty() ? nullptr : signal.op->weight();
  if (!weight || signal.stand_in || !signal.teaches(*weight)) return false;
  const auto at = at_once_.find(weight.get());
  if (at == at_once_.end()) return false;
  const std::optional<WeightRows> rows = signal.rows();
  if (!rows || !rows->inputs.defined()) return false;
  const Tensor &credits = rows->credits, &inputs = rows->inputs;
  Slot& slot = slots_.at(weight);
  const bool again = stepped_.count(weight.get()) > 0;
  if (!again && !(slot.fresh && outer_product_fits(slot.into, credits.t(), inputs))) return false;
  const Block& block = blocks_[at->second];
  const OptimizerSettings& s = settings(block.group);
  const double rate = rate_of(*weight);
  if (!again) {
    outer_product_step(slot.into, weight->value, credits.t(), inputs, signal.scale,
                       {s.momentum, block.decay ? decay_of(block.group) : 0, rate});
  } else {
    // A further signal of the same step: average and value each take it as it is.
    gemm_into(slot.into, credits.t(), inputs, 1, signal.scale);
    gemm_into(weight->value, credits.t(), inputs, 1, -rate * signal.scale);
  }
  mark_written(weight->value);
  slot.fresh = false;
  stepped_.insert(weight.get());
  AllBut others(slots_, *weight);
  signal.accumulate(others);
  return true;
}

double Updater::gradient_norm(const std::string& group) const {
  double sum = 0;
  for (const Block& block : blocks_)
    if (block.group == group && !block.twins)
      for (const Tensor& g : block.grads) sum += std::pow(g.norm().item<double>(), 2);
  return std::sqrt(sum);
}

/// The gradients of a block that a step takes as they are: of twins those of their own, as the
/// others take finished ones.
std::vector<Tensor> Updater::treated(const Block& block) {
  if (!block.twins) return block.grads;
  std::vector<Tensor> out;
  for (const ParamPtr& param : block.params)
    if (!slots_.at(param).fresh) out.push_back(slots_.at(param).into);
  return out;
}

void Updater::clip(const std::string& group, const OptimizerSettings& s, StepFacts& facts) {
  if (s.clip_norm > 0) {
    const double norm = gradient_norm(group);
    facts.clip_factor = norm > s.clip_norm ? s.clip_norm / norm : 1;
  }
  for (Block& block : blocks_) {
    if (block.group != group) continue;
    for (Tensor grad : treated(block))
      if (facts.clip_factor != 1) grad.mul_(facts.clip_factor);
    clip_each(block, s);
  }
}

/// What is done to each tensor's gradient by itself.
void Updater::clip_each(Block& block, const OptimizerSettings& s) {
  if (s.clip_tensor_norm > 0)
    for (const ParamPtr& param : block.params) {
      Slot& slot = slots_.at(param);
      if (block.twins && slot.fresh) continue;
      const double norm = slot.into.norm().item<double>();
      if (norm > s.clip_tensor_norm) slot.into.mul_(s.clip_tensor_norm / norm);
    }
  for (Tensor grad : treated(block)) {
    if (s.clip_value > 0) grad.clamp_(-s.clip_value, s.clip_value);
    if (s.sign_gradient) grad.sign_();
  }
}

void Updater::apply(const std::string& group) {
  if (direction_) direction_->finish(group, slots_);
  const OptimizerSettings& s = settings(group);
  Progress& progress = progress_[group];
  StepFacts facts{s.kind, s.lr * rate_factor_, s.effective_momentum(), decay_of(group),
                  1,      s.linear()};
  for (Block& block : blocks_)
    if (block.group == group && !block.twins)
      for (const ParamPtr& param : block.params) slots_.at(param).settle();
  clip(group, s, facts);
  for (Block& block : blocks_)
    if (block.group == group) step(block, s, facts, progress.steps == 0);
  for (const Block& block : blocks_)
    if (block.group == group) finish_step(block);
  progress.facts = facts;
  ++progress.steps;
}

void Updater::apply_to(const Op& op) {
  if (gathered_)
    throw Error(
        "updater: one operation cannot be stepped alone where values lie in one buffer; call "
        "set_gathered(false) before bind");
  if (direction_)
    throw Error("updater: a direction finishes the gradients of a whole group; use apply");
  for (Block& block : blocks_) {
    Block part{block.group, block.key, block.lr_factor, block.decay, block.twins, block.target};
    const OptimizerSettings& s = settings(block.group);
    for (size_t i = 0; i < block.params.size(); ++i) {
      const std::vector<ParamPtr> own = op.params();
      if (std::find(own.begin(), own.end(), block.params[i]) == own.end()) continue;
      if (block.twins || block.target != Target::Gradient || s.clip_norm > 0)
        throw Error("updater: '" + block.params[i]->name +
                    "' cannot be stepped alone: in-place updates, twins and clip-norm need all "
                    "gradients of a step");
      slots_.at(block.params[i]).settle();
      part.params.push_back(block.params[i]);
      part.values.push_back(block.values[i]);
      part.grads.push_back(block.grads[i]);
      if (i < block.first.size()) part.first.push_back(block.first[i]);
      if (i < block.second.size()) part.second.push_back(block.second[i]);
      if (i < block.step_counts.size()) part.step_counts.push_back(block.step_counts[i]);
    }
    if (part.params.empty()) continue;
    const StepFacts facts{
        s.kind, s.lr * rate_factor_, s.effective_momentum(), decay_of(block.group), 1, s.linear()};
    clip_each(part, s);
    step(part, s, facts, false);
    finish_step(part);
    progress_[block.group].facts = facts;
  }
}

void Updater::finish_step(const Block& block) {
  for (const ParamPtr& param : block.params) {
    slots_.at(param).fresh = true;
    mark_written(param->value);
    stepped_.erase(param.get());
  }
}

void Updater::step(Block& block, const OptimizerSettings& s, const StepFacts& facts,
                   bool first_step) {
  if (block.twins) {
    block.grads.clear();
    for (const ParamPtr& param : block.params) {
      const Slot& own = slots_.at(param);
      const Tensor& shared = slots_.all.at(param->twin).into;
      block.grads.push_back(!own.fresh ? own.into : param->carry ? param->carry(shared) : shared);
    }
  }
  const double lr = facts.lr * block.lr_factor, decay = block.decay ? facts.weight_decay : 0;
  if (block.target == Target::Value && decay > 0)
    throw Error(
        "updater: a weight decay that was not in the optimizer's settings cannot be applied to "
        "values that took their signals in place; do not allow in-place updates there");
  std::vector<Tensor> before;
  if (s.keep_signs)
    for (const Tensor& v : block.values) before.push_back(v.sign());
  if (s.kind == "adam" || s.kind == "adamw") {
    for (Tensor& count : block.step_counts) count.add_(1);
    if (s.kind == "adam") {
      at::_fused_adam_(block.values, block.grads, block.first, block.second, {}, block.step_counts,
                       lr, s.beta1, s.beta2, decay, s.eps, false, false);
    } else {
      at::_fused_adamw_(block.values, block.grads, block.first, block.second, {}, block.step_counts,
                        lr, s.beta1, s.beta2, decay, s.eps, false, false);
    }
  } else if (s.kind == "rmsprop") {
    for (size_t i = 0; i < block.values.size(); ++i) {
      Tensor g = decay > 0 ? block.grads[i] + block.values[i] * decay : block.grads[i];
      block.second[i].mul_(s.rms_decay).addcmul_(g, g, 1 - s.rms_decay);
      block.values[i].addcdiv_(g, block.second[i].sqrt().add_(s.eps), -lr);
    }
  } else if (block.target == Target::Average) {
    auto descend = [&](Tensor& value, Tensor& average) {
      if (decay > 0) average.add_(value, decay);
      value.add_(average, -lr);
    };
    if (stepped_.empty()) {
      for (size_t i = 0; i < block.values.size(); ++i) descend(block.values[i], block.first[i]);
    } else {
      for (const ParamPtr& param : block.params)
        if (!stepped_.count(param.get())) descend(param->value, slots_.at(param).into);
    }
  } else if (block.target == Target::Gradient) {
    // With an empty momentum list the kernel does plain descent.
    at::_fused_sgd_(block.values, block.grads, block.first, decay, facts.momentum, lr, 0,
                    s.kind == "nesterov", false, first_step);
  }
  for (size_t i = 0; i < before.size(); ++i) {
    const Tensor flipped = block.values[i].sign().mul_(before[i]).lt_(0);
    block.values[i].copy_(at::where(flipped.to(at::kBool), before[i] * 1e-10, block.values[i]));
  }
  if (block.twins) block.grads.clear();  // carried gradients can be large
}

void Updater::state(StateIO io) {
  for (Block& block : blocks_) {
    StateIO scope = io.scope(block.key);
    for (size_t i = 0; i < block.values.size(); ++i) {
      const std::string index = std::to_string(i);
      if (i < block.first.size()) scope.tensor("first" + index, block.first[i]);
      if (i < block.second.size()) scope.tensor("second" + index, block.second[i]);
      if (i < block.step_counts.size()) scope.tensor("steps" + index, block.step_counts[i]);
    }
    io.integer("steps." + block.group, progress_[block.group].steps);
  }
  if (direction_) direction_->state(io.scope("direction"));
}

}  // namespace altprop
