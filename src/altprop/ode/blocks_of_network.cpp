// All ODE blocks of a network at once.
#include "altprop/ode/block.h"

namespace altprop::ode {

namespace {
void add_blocks(const Graph& net, std::vector<Block*>& out) {
  for (const Node& node : net.nodes()) {
    if (!node.op || !node.op->parts()) continue;
    if (auto* block = dynamic_cast<Block*>(node.op.get())) out.push_back(block);
    add_blocks(*node.op->parts(), out);
  }
}
}  // namespace

std::vector<Block*> blocks_of(const Graph& net) {
  std::vector<Block*> out;
  add_blocks(net, out);
  return out;
}

int set_gradient(const Graph& net, const GradientMethod& gradient) {
  const std::vector<Block*> blocks = blocks_of(net);
  for (Block* block : blocks) block->set_gradient(gradient);
  return static_cast<int>(blocks.size());
}

Counting::Counting(const Graph& net) : blocks_(blocks_of(net)) {
  for (Block* block : blocks_) block->count_into(tally_);
}

Counting::~Counting() {
  for (Block* block : blocks_) block->count_into(nullptr);
}

ExactGradients::ExactGradients(const Graph& net) : changed_(blocks_of(net)) {
  std::erase_if(changed_, [](const Block* b) { return b->gradient().is_exact(); });
  for (Block* block : changed_) block->set_gradient(Gradient::Symplectic);
}

ExactGradients::~ExactGradients() {
  for (Block* block : changed_) block->set_gradient(Gradient::Adjoint);
}

}  // namespace altprop::ode
