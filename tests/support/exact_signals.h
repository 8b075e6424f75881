// Signals of exact gradients, for tests of what takes them.
#pragma once

#include "altprop/network/graph.h"
#include "altprop/network/loss.h"

namespace altprop::test {

/// Sends those of a batch's mean loss. @returns the output
inline Tensor send_exact(const Graph& net, const Loss& loss, const Tensor& x, const Tensor& y,
                         Sink& sink) {
  Activity activity;
  Feedback exact;
  const Tensor output = net.run(x, activity, {Mode::Train});
  net.sweep(activity, {{net.output_node(), loss.gradient(output, y)}}, exact, &sink,
            {.scale = 1.0 / static_cast<double>(x.size(0)), .release = true});
  return output;
}

}  // namespace altprop::test
