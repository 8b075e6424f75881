#include "altprop/network/objective.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

Objective Objective::cotangent(Tensor cot, double samples) {
  if (!cot.defined()) throw UsageError("an objective needs a cotangent; this one is undefined");
  Objective out;
  out.targets_ = std::move(cot);
  out.samples_ = samples;
  return out;
}

const Loss& Objective::loss() const {
  if (!loss_)
    throw Error(
        "the objective is a bare cotangent, but the loss itself and its targets are asked for; "
        "give a loss");
  return *loss_;
}

const Tensor& Objective::targets() const {
  loss();
  return targets_;
}

Tensor Objective::gradient(const Tensor& output) const {
  if (loss_) return loss_->gradient(output, targets_);
  if (targets_.sizes() != output.sizes())
    throw UsageError(text::cat("a cotangent of shape ", shape_text(targets_.sizes()),
                               " does not fit an output of shape ", shape_text(output.sizes())));
  return targets_;
}

Tensor Objective::curvature(const Tensor& output, const Tensor& direction) const {
  return loss_ ? loss_->curvature(output, targets_, direction) : at::zeros_like(direction);
}

Objective Objective::rows(int64_t first, int64_t count) const {
  Objective out = *this;
  out.targets_ = targets_.narrow(0, first, count);
  return out;
}

Objective Objective::repeated(int64_t times) const {
  if (times == 1) return *this;
  std::vector<int64_t> each(static_cast<size_t>(targets_.dim()), 1);
  each[0] = times;
  Objective out = *this;
  out.targets_ = targets_.repeat(each);
  return out;
}

}  // namespace altprop
