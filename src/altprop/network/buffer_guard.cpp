#include "altprop/network/buffer_guard.h"

namespace altprop {

BufferGuard::BufferGuard(Graph& net) {
  for (auto& [name, tensor] : net.buffers()) kept_.emplace_back(tensor, tensor->clone());
}

BufferGuard::~BufferGuard() {
  for (auto& [tensor, copy] : kept_) tensor->copy_(copy);
}

}  // namespace altprop
