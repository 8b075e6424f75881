// Which parameters share a buffer, what their signals are added to, and what is kept of them.
#include "altprop/optim/own_updater.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// What tells blocks apart; "" without bounds, so that what is saved of others keeps its names.
std::string bounds_text(const std::optional<Bounds>& bounds) {
  return bounds ? text::cat(":in [", text::from_number(bounds->low), ", ",
                            text::from_number(bounds->high), "]")
                : "";
}

/// A first step that carried values far back would be no step of training.
void refuse_outside(const Param& param) {
  if (!param.bounds || param.value.numel() == 0) return;
  if (!(param.bounds->low <= param.bounds->high))
    throw Error(text::cat("updater: the bounds of '", param.name, "' are empty: from ",
                          param.bounds->low, " to ", param.bounds->high));
  const auto [low, high] = at::aminmax(param.value);
  if (low.item<double>() < param.bounds->low || high.item<double>() > param.bounds->high)
    throw Refusal("parameter '" + param.name + "'",
                  text::cat("its values have to stay ", bounds_text(param.bounds).substr(1),
                            ", but begin from ", low.item<double>(), " to ", high.item<double>()),
                  "change --init-of or --init-from");
}

}  // namespace

const OwnUpdater::Group& OwnUpdater::group_of(const std::string& group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? run_ : found->second;
}

const StepFacts& OwnUpdater::facts(const std::string& group) const {
  static const StepFacts none;
  auto it = progress_.find(group);
  return it == progress_.end() ? none : it->second.facts;
}

int64_t OwnUpdater::steps(const std::string& group) const {
  auto it = progress_.find(group);
  return it == progress_.end() ? 0 : it->second.steps;
}

void OwnUpdater::bind(const std::vector<ParamPtr>& params) {
  if (exchange_ && couples_samples_)
    throw Refusal("exchange",
                  "the network has operations in which the samples of a batch depend on each other "
                  "(batch norm) or may do so (functions that nobody has looked into), so that parts "
                  "of a batch do not learn what the whole would",
                  "use a network without them, e.g. with layer norm, or say that a function's samples "
                  "are apart (Samples::Apart)");
  if (steps_alone_) refuse_alone();
  run_.schedule.check();
  for (const auto& [name, group] : groups_) group.schedule.check();
  blocks_.clear();
  slots_ = Gradients::none();
  progress_.clear();
  at_once_.clear();
  stepped_.clear();
  alone_.clear();
  std::vector<ParamPtr> learnt;
  std::set<const Param*> partners;  // of twins, in blocks of their own
  for (const ParamPtr& param : params) {
    if (param->learnt) learnt.push_back(param);
    if (param->twin) partners.insert(param->twin);
  }
  for (const ParamPtr& param : learnt) {
    refuse_outside(*param);
    const OptimizerSettings& s = settings(param->group);
    // A twin steps exactly as its partner, so partner's name and flags decide.
    const Param& model = param->twin ? *param->twin : *param;
    const double lr_factor = s.lr_factor(model.name);
    const bool decay = s.decay_all || model.decay;
    const char* role = param->twin ? ":twins" : partners.count(param.get()) ? ":partners" : "";
    const std::string key =
        text::cat(param->group, role, ":", lr_factor, decay ? "" : ":no-decay", ":",
                  param->value.scalar_type(), bounds_text(param->bounds));
    auto block =
        std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& b) { return b.key == key; });
    if (block == blocks_.end()) {
      blocks_.push_back(
          {param->group, key, lr_factor, decay, param->twin != nullptr, optimizer_named(s.kind),
           param->bounds});
      block = std::prev(blocks_.end());
    }
    block->params.push_back(param);
  }
  into_values_ = !blocks_.empty();
  for (Block& block : blocks_) {
    block.target = target_of(block);
    into_values_ &= block.target == Target::Value;
    gathers() ? gather(block) : hold_apart(block);
    prepare_optimizer(block);
    if (block.target == Target::Average && !settings(block.group).keep_signs)
      for (const ParamPtr& param : block.params)
        at_once_[param.get()] = static_cast<size_t>(&block - blocks_.data());
  }
  refresh_factors();
  for (const ParamPtr& param : learnt)
    if (param->twin && !slots_.find(*param->twin))
      throw Error("updater: '" + param->name + "' steps as '" + param->twin->name +
                  "' does, which is not stepped here; bind both or neither");
  if (direction_) direction_->bind(learnt);
  bound_ = true;
}

/// What needs all gradients of a step at once.
void OwnUpdater::refuse_alone() const {
  const auto refuse = [](const std::string& what) {
    throw Refusal("optimizer", "the rule steps one operation after the other, but " + what,
                  "leave that out, or use a rule that steps all of them at once");
  };
  if (direction_) refuse("a direction makes the gradients of a whole group");
  if (exchange_) refuse("an exchange shares those of a whole group");
  bool clips = run_.settings.clip_norm > 0;
  for (const auto& [name, group] : groups_) clips |= group.settings.clip_norm > 0;
  if (clips) refuse("clip-norm bounds the norm of all gradients together");
}

void OwnUpdater::require_params() const {
  if (!bound_)
    throw Error("the updater has no parameters to step yet; call bind with those of the learner");
}

Target OwnUpdater::target_of(const Block& block) const {
  const OptimizerSettings& s = settings(block.group);
  if (!in_place_ || steps_alone_ || direction_ || exchange_ || s.clip_norm > 0 ||
      s.clip_tensor_norm > 0 || s.clip_value > 0 || s.sign_gradient)
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
  const Target wanted = block.optimizer->takes_signals(s);
  if (wanted != Target::Value) return wanted;
  // One rate for all, because the parameters of one operation share their signals.
  const bool plain =
      !any_twins && s.weight_decay == 0 && !s.keep_signs && s.lr_of.empty() && groups_.empty();
  return plain ? Target::Value : Target::Gradient;
}

void OwnUpdater::gather(Block& block) {
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

void OwnUpdater::hold_apart(Block& block) {
  for (const ParamPtr& param : block.params) {
    Tensor grad;
    if (!block.twins)
      grad = block.target == Target::Value ? param->value : at::zeros_like(param->value);
    give_slot(block, param, grad);
    block.values.push_back(param->value);
    if (!block.twins) block.grads.push_back(std::move(grad));
  }
}

void OwnUpdater::give_slot(const Block& block, const ParamPtr& param, Tensor into) {
  const double keep = block.target == Target::Value ? 1
                      : block.target == Target::Average
                          ? block.optimizer->momentum(settings(block.group))
                          : 0;
  slots_.give(*param, {.into = std::move(into), .keep = keep});
}

void OwnUpdater::prepare_optimizer(Block& block) {
  if (block.target == Target::Average) {
    block.state = {block.grads};
    return;
  }
  for (const StateTensor& kind : block.optimizer->state(settings(block.group))) {
    std::vector<Tensor>& tensors = block.state.emplace_back();
    for (const Tensor& v : block.values)
      tensors.push_back(kind.is_count
                            ? at::zeros({}, at::TensorOptions(at::kFloat).device(v.device()))
                            : at::zeros_like(v));
  }
}

void OwnUpdater::set_progress(int64_t epoch, double fraction, int64_t epochs, int64_t step) {
  const auto advance = [&](Group& group) {
    group.rate_factor = group.schedule.factor(epoch, fraction, epochs, step);
  };
  advance(run_);
  for (auto& [name, group] : groups_) advance(group);
  refresh_factors();
}

void OwnUpdater::set_rate_factor(double factor) {
  run_.rate_factor = factor;
  for (auto& [name, group] : groups_) group.rate_factor = factor;
  refresh_factors();
}

/// Signals that go into the values carry the rate.
void OwnUpdater::refresh_factors() {
  if (!into_values_) return;
  for (const Block& block : blocks_)
    for (const ParamPtr& param : block.params)
      slot_of(param).factor = -run_.settings.lr * run_.rate_factor;
}

double OwnUpdater::decay_of(const std::string& group) const {
  const auto own = decay_overrides_.find(group);
  if (own != decay_overrides_.end() && own->second >= 0) return own->second;
  return decay_override_ >= 0 ? decay_override_ : settings(group).weight_decay;
}

StepFacts OwnUpdater::facts_now(const std::string& group) const {
  const Group& of = group_of(group);
  return of.settings.facts(of.settings.lr * of.rate_factor, decay_of(group));
}

double OwnUpdater::gradient_norm(const std::string& group) const {
  double sum = 0;
  for (const Block& block : blocks_)
    if (block.group == group && !block.twins)
      for (const Tensor& g : block.grads) sum += std::pow(g.norm().item<double>(), 2);
  return std::sqrt(sum);
}

void OwnUpdater::state(StateIO io) {
  for (Block& block : blocks_) {
    StateIO scope = io.scope(block.key);
    const std::vector<StateTensor> kinds = block.optimizer->state(settings(block.group));
    for (size_t k = 0; k < block.state.size(); ++k)
      for (size_t i = 0; i < block.state[k].size(); ++i)
        scope.tensor(kinds[k].name + std::to_string(i), block.state[k][i]);
    io.integer("steps." + block.group, progress_[block.group].steps);
  }
  if (direction_) direction_->state(io.scope("direction"));
}

}  // namespace altprop
