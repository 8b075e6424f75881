#include "altprop/network/gradients.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

Gradients::Gradients(const std::vector<ParamPtr>& params) {
  for (const ParamPtr& param : params) slots_[param.get()];
}

void Gradients::bind(const Param& param, Tensor into, double keep) {
  if (!into.defined() || into.sizes() != param.value.sizes())
    throw UsageError(text::cat("the gradient of '", param.name, "' has the shape ",
                               shape_text(param.value.sizes()), ", but the tensor for it has ",
                               into.defined() ? shape_text(into.sizes()) : "no storage"));
  slots_[&param] = Slot{.into = std::move(into), .keep = keep};
}

Slot* Gradients::of(const Param& param) {
  auto found = slots_.find(&param);
  if (found == slots_.end()) {
    if (!any_ || !param.learnt) return nullptr;
    found = slots_.try_emplace(&param).first;
  }
  Slot& slot = found->second;
  if (!slot.into.defined()) slot.into = at::empty_like(param.value);
  return &slot;
}

Slot* Gradients::find(const Param& param) {
  const auto found = slots_.find(&param);
  return found == slots_.end() ? nullptr : &found->second;
}

const Slot* Gradients::find(const Param& param) const {
  const auto found = slots_.find(&param);
  return found == slots_.end() ? nullptr : &found->second;
}

Tensor Gradients::of_param(const Param& param) const {
  const auto found = slots_.find(&param);
  return found == slots_.end() || found->second.fresh ? Tensor() : found->second.into;
}

std::vector<Tensor> Gradients::of_params(const std::vector<ParamPtr>& params) const {
  std::vector<Tensor> out;
  for (const ParamPtr& param : params) out.push_back(of_param(*param));
  return out;
}

std::vector<std::pair<const Param*, Tensor>> Gradients::all() const {
  std::vector<std::pair<const Param*, Tensor>> out;
  for (const auto& [param, slot] : slots_)
    if (!slot.fresh) out.emplace_back(param, slot.into);
  return out;
}

Tensor Gradients::or_zeros(const Param& param) const {
  Tensor found = of_param(param);
  return found.defined() ? found : at::zeros_like(param.value);
}

void Gradients::restart() {
  for (auto& [param, slot] : slots_) slot.fresh = true;
}

}  // namespace altprop
