#include "altprop/network/right.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/softmax.h"
#include "altprop/network/step_loss.h"

namespace altprop::right {

Tensor largest(const Tensor& output, const Tensor& target) {
  if (has_steps(output, target))
    return (output.argmax(2).eq(target) * step_weights(target, output.options().dtype(at::kDouble)))
        .sum();
  if (output.device().is_cpu())
    return at::scalar_tensor(static_cast<double>(count_right(output, target)), at::kDouble);
  return output.argmax(1).eq(target).sum().to(at::kDouble);
}

Tensor earliest(const Tensor& output, const Tensor& target) {
  const auto [time, unit] = output.min(1);
  return unit.eq(target).logical_and(time.isfinite()).sum().to(at::kDouble);
}

Tensor largest_sum(const Tensor& output, const Tensor& target, int64_t classes) {
  if (classes < 1 || output.dim() != 2 || output.size(1) % classes != 0)
    throw UsageError(text::cat("an output of shape ", shape_text(output.sizes()),
                               " cannot be summed to ", classes,
                               " classes; it needs a multiple of so many units"));
  return output.view({output.size(0), -1, classes})
      .sum(1)
      .argmax(1)
      .eq(target)
      .sum()
      .to(at::kDouble);
}

Tensor within(const Tensor& output, const Tensor& target, double tolerance) {
  if (output.sizes() != target.sizes())
    throw UsageError(text::cat("targets of shape ", shape_text(target.sizes()),
                               " do not fit a network output of shape ",
                               shape_text(output.sizes())));
  return (output - target).abs().le(tolerance).flatten(1).all(1).sum().to(at::kDouble);
}

}  // namespace altprop::right
