#include "altprop/rules/step.h"

namespace altprop {

Look Look::part(int64_t first, int64_t count) const {
  Look out = *this;
  out.inputs = inputs.narrow(0, first, count);
  if (ids.defined()) out.ids = ids.narrow(0, first, count);
  out.first_row = first_row + first;
  out.samples = batch();
  return out;
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
