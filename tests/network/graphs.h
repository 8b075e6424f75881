// What the tests of graphs share: all that a caller can see of a pass and back, and a small graph.
#pragma once

#include "altprop/network/gradients.h"
#include "altprop/network/graph.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"

namespace altprop {

/// Forward and sweep; everything that a caller can see.
inline std::vector<Tensor> everything(Graph& net, const Tensor& x, const Tensor& cot,
                                      const RunOptions& options, Mode mode = Mode::Train) {
  Activity activity;
  Feedback exact;
  Gradients sink;
  std::vector<Tensor> out = {net.run(x, activity, {mode, Stream(9)}, options).clone()};
  std::vector<Tensor> credits;
  net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.input_credits = &credits});
  out.push_back(credits.at(0));
  for (const Tensor& g : sink.of_params(net.params())) out.push_back(g);
  return out;
}

/// linear, relu, linear, relu with widths n, ending in an activation that keeps its output.
inline std::shared_ptr<Graph> small_graph(int64_t in, int64_t out) {
  auto net = std::make_shared<Graph>();
  int h = net->input({{in}});
  h = net->add(linear(5), {h}, "a");
  h = net->add(relu(), {h});
  h = net->add(linear(out), {h}, "b");
  net->output(net->add(activation("tanh"), {h}));
  return net;
}

}  // namespace altprop
