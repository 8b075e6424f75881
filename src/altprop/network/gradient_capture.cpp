#include "altprop/network/gradient_capture.h"

namespace altprop {

GradientCapture::GradientCapture(std::vector<ParamPtr> params) {
  for (ParamPtr& held : params) {
    Param& param = *held;
    kept_.push_back({std::move(held), param.grad, param.fresh, param.keep});
    param.grad = Tensor();
    param.fresh = true;
    param.keep = 0;
  }
}

GradientCapture::~GradientCapture() {
  for (Kept& kept : kept_) {
    kept.param->grad = kept.grad;
    kept.param->fresh = kept.fresh;
    kept.param->keep = kept.keep;
  }
}

std::vector<Tensor> GradientCapture::gradients() const {
  std::vector<Tensor> out;
  for (const Kept& kept : kept_) out.push_back(kept.param->fresh ? Tensor() : kept.param->grad);
  return out;
}

BufferGuard::BufferGuard(Graph& net) {
  for (auto& [name, tensor] : net.buffers()) kept_.emplace_back(tensor, tensor->clone());
}

BufferGuard::~BufferGuard() {
  for (auto& [tensor, copy] : kept_) tensor->copy_(copy);
}

}  // namespace altprop
