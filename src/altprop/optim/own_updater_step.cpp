// What happens in a step: signals to gradients, what bounds them, the step itself.
#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/optim/own_updater.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/outer_product.h"

namespace altprop {

void OwnUpdater::take(const LocalSignal& signal) {
  require_params();
  if (direction_) {
    direction_->absorb(signal, slots_);
  } else if (!step_at_once(signal)) {
    signal.accumulate(slots_);
  }
}

void OwnUpdater::take(const ParamSignal& signal) {
  require_params();
  if (direction_) return direction_->absorb(signal, slots_);
  signal.accumulate(slots_);
  // Where average and value have taken this step's signals already, the value takes this one, too.
  if (stepped_.count(signal.param))
    signal.param->value.add_(signal.tensor, -rate_of(*signal.param) * signal.scale);
}

double OwnUpdater::rate_of(const Param& param) const {
  const Block& block = blocks_[at_once_.at(&param)];
  const Group& group = group_of(block.group);
  return group.settings.lr * group.rate_factor * block.lr_factor;
}

bool OwnUpdater::step_at_once(const LocalSignal& signal) {
  const ParamPtr weight = at_once_.empty() ? nullptr : signal.op->weight();
  if (!weight || signal.stand_in || !signal.teaches(*weight)) return false;
  const auto at = at_once_.find(weight.get());
  if (at == at_once_.end()) return false;
  const std::optional<WeightRows> rows = signal.rows();
  if (!rows || rows->elementwise || !rows->inputs.defined()) return false;
  const Tensor &credits = rows->credits, &inputs = rows->inputs;
  Slot& slot = slot_of(weight);
  const bool again = stepped_.count(weight.get()) > 0;
  if (!again && !(slot.fresh && outer_product_fits(slot.into, credits.t(), inputs))) return false;
  const Block& block = blocks_[at->second];
  const double rate = rate_of(*weight);
  if (!again) {
    outer_product_step(slot.into, weight->value, credits.t(), inputs, signal.scale,
                       {slot.keep, block.decay ? decay_of(block.group) : 0, rate});
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

/// The gradients of a block that a step takes as they are: of twins those of their own, as the
/// others take finished ones.
std::vector<Tensor> OwnUpdater::treated(const Block& block) {
  if (!block.twins) return block.grads;
  std::vector<Tensor> out;
  for (const ParamPtr& param : block.params)
    if (!slot_of(param).fresh) out.push_back(slot_of(param).into);
  return out;
}

void OwnUpdater::clip(const std::vector<Block*>& blocks, const std::string& group,
                      const OptimizerSettings& s, StepFacts& facts) {
  if (s.clip_norm > 0) {
    const double norm = gradient_norm(group);
    facts.clip_factor = norm > s.clip_norm ? s.clip_norm / norm : 1;
  }
  for (Block* block : blocks) {
    for (Tensor grad : treated(*block))
      if (facts.clip_factor != 1) grad.mul_(facts.clip_factor);
    clip_each(*block, s);
  }
}

/// What is done to each tensor's gradient by itself.
void OwnUpdater::clip_each(Block& block, const OptimizerSettings& s) {
  if (s.clip_tensor_norm > 0)
    for (const ParamPtr& param : block.params) {
      Slot& slot = slot_of(param);
      if (block.twins && slot.fresh) continue;
      const double norm = slot.into.norm().item<double>();
      if (norm > s.clip_tensor_norm) slot.into.mul_(s.clip_tensor_norm / norm);
    }
  for (Tensor grad : treated(block)) {
    if (s.clip_value > 0) grad.clamp_(-s.clip_value, s.clip_value);
    if (s.sign_gradient) grad.sign_();
  }
}

template <class Wanted>
OwnUpdater::Block OwnUpdater::some_of(const Block& block, const Wanted& wanted) {
  Block out{block.group, block.key,       block.lr_factor, block.decay,
            block.twins, block.optimizer, block.bounds,    block.target};
  out.state.resize(block.state.size());
  for (size_t i = 0; i < block.params.size(); ++i) {
    if (!wanted(block.params[i])) continue;
    out.params.push_back(block.params[i]);
    out.values.push_back(block.values[i]);
    if (!block.twins) out.grads.push_back(block.grads[i]);
    for (size_t k = 0; k < block.state.size(); ++k) out.state[k].push_back(block.state[k][i]);
  }
  return out;
}

void OwnUpdater::apply(const std::string& group) {
  require_params();
  const OptimizerSettings& s = settings(group);
  Progress& progress = progress_[group];
  StepFacts facts = facts_now(group);
  if (direction_) direction_->finish(group, facts, slots_);
  // Those that have been stepped alone and that nothing has reached since are left out.
  std::vector<Block*> blocks;
  std::vector<Block> left;
  left.reserve(blocks_.size());
  for (Block& block : blocks_) {
    if (block.group != group) continue;
    if (alone_.empty()) {
      blocks.push_back(&block);
      continue;
    }
    left.push_back(some_of(block, [&](const ParamPtr& param) {
      return alone_.erase(param.get()) == 0 || !slot_of(param).fresh;
    }));
    if (!left.back().params.empty()) blocks.push_back(&left.back());
  }
  std::vector<Tensor> gradients, values;  // what is exchanged
  for (Block* block : blocks) {
    if (!block->twins)
      for (const ParamPtr& param : block->params) slot_of(param).settle();
    if (!exchange_) continue;
    for (const Tensor& grad : treated(*block)) gradients.push_back(grad);
    values.insert(values.end(), block->values.begin(), block->values.end());
  }
  if (exchange_) exchange_->gradients(group, gradients);
  clip(blocks, group, s, facts);
  for (Block* block : blocks) step(*block, s, facts, progress.steps == 0);
  if (exchange_) exchange_->values(group, values);
  for (Block* block : blocks) finish_step(*block);
  progress.facts = std::move(facts);
  ++progress.steps;
}

void OwnUpdater::apply_to(const Op& op) {
  if (gathers())
    throw Error(
        "updater: one operation cannot be stepped alone where values lie in one buffer; call "
        "set_steps_alone(true) before bind, as Trainer does for rules that say steps_alone");
  if (direction_ || exchange_)
    throw Error(
        "updater: a direction and an exchange take the gradients of a whole group; use apply");
  const std::vector<ParamPtr> own = op.params();
  for (const Block& block : blocks_) {
    const OptimizerSettings& s = settings(block.group);
    Block part = some_of(block, [&](const ParamPtr& param) {
      return std::find(own.begin(), own.end(), param) != own.end();
    });
    if (part.params.empty()) continue;
    for (const ParamPtr& param : part.params) {
      if (block.twins || block.target != Target::Gradient || s.clip_norm > 0)
        throw Error("updater: '" + param->name +
                    "' cannot be stepped alone: in-place updates, twins and clip-norm need all "
                    "gradients of a step");
      slot_of(param).settle();
      alone_.insert(param.get());
    }
    const StepFacts facts = facts_now(block.group);
    clip_each(part, s);
    step(part, s, facts, false);
    finish_step(part);
    progress_[block.group].facts = facts;
  }
}

void OwnUpdater::finish_step(Block& block) {
  if (block.bounds)
    for (Tensor& value : block.values) value.clamp_(block.bounds->low, block.bounds->high);
  for (const ParamPtr& param : block.params) {
    slot_of(param).fresh = true;
    mark_written(param->value);
    stepped_.erase(param.get());
  }
}

/// The finished gradients of the others, for twins that received none of their own.
void OwnUpdater::take_twins_gradients(Block& block) {
  block.grads.clear();
  for (const ParamPtr& param : block.params) {
    const Slot& own = slot_of(param);
    const Tensor& shared = slots_.find(*param->twin)->into;
    block.grads.push_back(!own.fresh ? own.into : param->carry ? param->carry(shared) : shared);
  }
}

void OwnUpdater::step(Block& block, const OptimizerSettings& s, const StepFacts& facts,
                      bool first_step) {
  if (block.twins) take_twins_gradients(block);
  const StepNumbers numbers{facts.lr * block.lr_factor, block.decay ? facts.weight_decay : 0,
                            first_step};
  if (block.target == Target::Value && numbers.decay > 0)
    throw Error(
        "updater: a weight decay that was not in the optimizer's settings cannot be applied to "
        "values that took their signals in place; do not allow in-place updates there");
  std::vector<Tensor> before;
  if (s.keep_signs)
    for (const Tensor& v : block.values) before.push_back(v.sign());
  step_values(block, s, numbers);
  for (size_t i = 0; i < before.size(); ++i) {
    const Tensor flipped = block.values[i].sign().mul_(before[i]).lt_(0);
    block.values[i].copy_(at::where(flipped.to(at::kBool), before[i] * 1e-10, block.values[i]));
  }
  if (block.twins) block.grads.clear();  // carried gradients can be large
}

/// What of the step is left, after what the signals have done already.
void OwnUpdater::step_values(Block& block, const OptimizerSettings& s, const StepNumbers& numbers) {
  const Optimizer& optimizer = *block.optimizer;
  if (block.target == Target::Gradient) {
    optimizer.step({block.values, block.grads, block.state}, s, numbers);
  } else if (block.target == Target::Average && stepped_.empty()) {
    for (size_t i = 0; i < block.values.size(); ++i)
      optimizer.step_from_average(block.values[i], block.state[0][i], numbers);
  } else if (block.target == Target::Average) {
    for (const ParamPtr& param : block.params)
      if (!stepped_.count(param.get()))
        optimizer.step_from_average(param->value, slot_of(param).into, numbers);
  }
}

}  // namespace altprop
