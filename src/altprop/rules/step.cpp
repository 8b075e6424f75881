#include "altprop/rules/step.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

Look Look::part(int64_t first, int64_t count) const {
  Look out = *this;
  out.inputs = inputs.narrow(0, first, count);
  if (ids.defined()) out.ids = ids.narrow(0, first, count);
  out.first_row = first_row + first;
  out.samples = batch();
  return out;
}

std::string not_finite_in(const Tensor& inputs, Kind kind, const Tensor& targets) {
  const bool times = kind == Kind::SpikeTime;
  for (const auto& [values, what] : {std::pair{&inputs, "inputs"}, {&targets, "targets"}}) {
    if (!values->defined() || !values->is_floating_point() || values->numel() == 0) continue;
    const Tensor good = times && values == &inputs ? values->gt(-INFINITY) : values->isfinite();
    const Tensor lost = good.reshape({values->size(0), -1}).all(1).logical_not();
    if (!lost.any().item<bool>()) continue;
    return text::cat("the ", what, " of ", lost.sum().item<int64_t>(), " of ", lost.size(0),
                     " samples of the batch are not finite, the first is number ",
                     lost.to(at::kByte).argmax().item<int64_t>(),
                     ", counted from 0; check the data");
  }
  return "";
}

Updater& Step::updater() const {
  if (!updater_)
    throw Error(
        "this step has no updater, so the batch can only be looked at; make it with Step::train "
        "to learn from it");
  return *updater_;
}

Step Step::train(Updater& updater, Look look, Tensor targets) {
  look.learning = true;
  return {std::move(look), std::move(targets), &updater};
}

Step Step::look_at(Look look, Tensor targets) {
  look.learning = false;
  return {std::move(look), std::move(targets), nullptr};
}

}  // namespace altprop
