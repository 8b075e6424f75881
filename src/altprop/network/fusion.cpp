#include "altprop/network/fusion.h"

#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"

namespace altprop {

bool can_fuse(const Op& producer, const Op& activation) {
  const auto* act = dynamic_cast<const Activation*>(&activation);
  return dynamic_cast<const Linear*>(&producer) && act && act->epilogue() != Epilogue::None;
}

Tensor forward_fused(const Op& producer, const Op& activation, const Tensor& input, Saved& saved,
                     const Pass&) {
  return static_cast<const Linear&>(producer).forward_with(
      input, saved, static_cast<const Activation&>(activation).epilogue());
}

void adopt_fused_output(const Op& activation, const Tensor& output, Saved& saved) {
  static_cast<const Activation&>(activation).adopt(output, saved);
}

}  // namespace altprop
