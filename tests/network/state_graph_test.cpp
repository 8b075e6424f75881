#include "altprop/network/state_graph.h"

#include "altprop/network/chain.h"
#include "network/support.h"

namespace altprop::test {
namespace {

const char* const kConv =
    "dag: x = input(3, 16, 16); c1 = conv(x, 8, k=3, p=1); n1 = batch-norm(c1); r1 = relu(n1); p1 "
    "= "
    "maxpool(r1, 2); c2 = conv(p1, 8, k=3); r2 = relu(c2); f = flatten(r2); d1 = linear(f, 20); t1 "
    "= tanh(d1); y = linear(t1, 10); output y";
const char* const kResidual =
    "dag: x = input(3, 8, 8); a = conv(x, 4, k=3, p=1); ra = relu(a); b = conv(ra, 4, k=3, p=1); "
    "rb "
    "= relu(b); c = conv(rb, 4, k=3, p=1); s = add(c, ra); rs = relu(s); g = gap(rs); y = "
    "linear(g, "
    "5); output y";
const char* const kFanOut =
    "dag: x = input(12); a = linear(x, 8); h = tanh(a); u = linear(h, 6); v = linear(h, 6); m = "
    "multiply(u, v); n = layer-norm(m); w = linear(tanh(n), 4); q = add(w, linear(n, 4)); y = "
    "linear(q, 3); output y";

std::vector<std::string> names(const StateGraph& g) {
  std::vector<std::string> out;
  for (const auto& state : g.states) out.push_back(state.name);
  return out;
}

using Names = std::vector<std::string>;

TEST(StateGraph, CutsWhereAsked) {
  const Graph conv = network(kConv);
  EXPECT_EQ(names(states(conv, Cut::Blocks)), (Names{"x", "p1", "r2", "t1", "y"}));
  EXPECT_EQ(names(states(conv, Cut::PreActivation)), (Names{"x", "n1", "c2", "d1", "y"}));
  EXPECT_EQ(states(conv, Cut::EveryNode).states.size(), conv.nodes().size());
  const Graph residual = network(kResidual);
  EXPECT_EQ(names(states(residual, Cut::Blocks)), (Names{"x", "ra", "rb", "g", "y"}));
  EXPECT_EQ(names(states(residual, Cut::PreActivation)), (Names{"x", "a", "b", "s", "y"}));
}

TEST(StateGraph, EdgesNameTheirParents) {
  const StateGraph g = states(network(kResidual), Cut::Blocks);
  EXPECT_EQ(g.parents(3), (std::vector<int>{1, 2})) << "the sum reads both ends of the skip";
  EXPECT_EQ(g.children(1), (std::vector<int>{2, 3}));
  EXPECT_EQ(g.hops_to_output(), (std::vector<int>{4, 3, 2, 1, 0}));
  EXPECT_EQ(g.hops_to_output(false), (std::vector<int>{3, 2, 2, 1, 0}));
  EXPECT_FALSE(g.levelled());
  EXPECT_TRUE(states(network(kConv), Cut::Blocks).levelled());
  EXPECT_EQ(g.edge_to(0), -1);
  EXPECT_TRUE(g.states[0].input);
  EXPECT_TRUE(g.states[4].output);
  const StateGraph::Edge& sum = g.edges[2];
  for (const Node& node : sum.map.nodes())
    EXPECT_EQ(node.name, network(kResidual).node(sum.node[static_cast<size_t>(node.id)]).name);
}

TEST(StateGraph, EdgesInOrderAreTheNetwork) {
  for (const char* text : {kConv, kResidual, kFanOut})
    for (Cut cut : {Cut::Blocks, Cut::PreActivation, Cut::EveryNode}) {
      Graph net = ready(text);
      net.to(at::kCPU, at::kDouble);
      const StateGraph g = states(net, cut);
      const Tensor x = random_batch(net, 5, at::kDouble);
      std::vector<Activity> activity;
      const std::vector<Tensor> values = g.run(std::span(&x, 1), activity, Pass{Mode::Eval});
      Activity whole;
      const Tensor y = net.run(x, whole, Pass{Mode::Eval}, {.keep_values = true});
      EXPECT_TRUE(at::equal(values.back(), y)) << text;
      for (size_t s = 0; s < g.states.size(); ++s)
        EXPECT_TRUE(at::allclose(values[s], whole.values[static_cast<size_t>(g.states[s].node)]))
            << text << " state " << g.states[s].name;
    }
}

TEST(StateGraph, EachParameterBelongsToOneEdge) {
  for (const char* text : {kConv, kResidual, kFanOut})
    for (Cut cut : {Cut::Blocks, Cut::PreActivation, Cut::EveryNode}) {
      const Graph net = network(text);
      std::vector<const Param*> seen;
      for (const auto& edge : states(net, cut).edges)
        for (const ParamPtr& param : edge.map.params()) {
          EXPECT_EQ(std::count(seen.begin(), seen.end(), param.get()), 0) << text << param->name;
          seen.push_back(param.get());
        }
      EXPECT_EQ(seen.size(), net.params().size()) << text;
    }
}

TEST(StateGraph, ADropoutMaskIsDrawnByOneEdge) {
  const Graph net = network(
      "dag: x = input(6); a = linear(x, 6); d = dropout(relu(a)); u = linear(d, 6); s = "
      "add(linear(tanh(u), 6), d); output linear(tanh(s), 2)");
  EXPECT_EQ(names(states(net, Cut::PreActivation)), (Names{"x", "a", "d", "u", "s", "fc2"}));
}

TEST(StateGraph, SharedNormBecomesAState) {
  // n feeds a tanh in front of one linear map and another linear map directly.
  EXPECT_EQ(names(states(network(kFanOut), Cut::Blocks)),
            (Names{"x", "h", "n", "tanh1", "q", "y"}));
}

TEST(StateGraph, PullingEdgesBackIsTheSweep) {
  Graph net = ready(kFanOut);
  net.to(at::kCPU, at::kDouble);
  const Tensor x = random_batch(net, 3, at::kDouble);
  const Tensor seed = at::ones({3, 3}, at::kDouble);
  Activity whole;
  net.run(x, whole, Pass{Mode::Eval});
  Feedback exact;
  std::vector<Tensor> credits;
  net.sweep(whole, {{net.output_node(), seed}}, exact, nullptr, {.input_credits = &credits});
  const Tensor expected = credits.at(0);
  const StateGraph g = states(net, Cut::Blocks);
  std::vector<Activity> activity;
  g.run(std::span(&x, 1), activity, Pass{Mode::Eval});
  std::vector<Tensor> credit(g.states.size());
  credit.back() = seed;
  for (size_t e = g.edges.size(); e-- > 0;) {
    const auto& edge = g.edges[e];
    Saved saved;
    saved.extra = std::make_shared<Activity>(activity[e]);
    for (size_t i = 0; i < edge.from.size(); ++i) {
      Tensor& to = credit[static_cast<size_t>(edge.from[i])];
      const Tensor part =
          edge.map.vjp(saved, credit[static_cast<size_t>(edge.to)], static_cast<int>(i), nullptr);
      to = to.defined() ? to + part : part;
    }
  }
  EXPECT_TRUE(at::allclose(credit[0], expected, 1e-12, 1e-14));
}

TEST(Chain, BlocksInTurnAreTheNetwork) {
  const Graph net = ready(kConv);
  const std::vector<Graph> blocks = chain(net);
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks[2].nodes()[1].name, "f") << "flatten belongs to the layer behind it";
  EXPECT_EQ(blocks[0].nodes().back().name, "p1");
  Tensor value = random_batch(net, 4);
  const Tensor expected = net.predict(value);
  for (const Graph& block : blocks) value = block.predict(value);
  EXPECT_TRUE(at::allclose(value, expected));
  EXPECT_EQ(blocks[0].params()[0], net.params()[0]);
}

TEST(Chain, WorkBeforeTheFirstLayerBelongsToItsBlock) {
  const std::vector<Graph> blocks =
      chain(network("chain: avgpool 2, conv 4 k=3, relu, linear 3", {.input_shape = {1, 8, 8}}));
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].nodes()[1].op->type(), "average_pool2d");
}

TEST(Chain, ResidualsInsideABlockAreFine) {
  EXPECT_EQ(chain(network("mlp:6-6-6-3:tanh:residual=true")).size(), 3u);
}

TEST(Chain, RefusesSkipsAcrossBlocksByName) {
  const std::string message = message_of([] { chain(network(kResidual)); });
  EXPECT_TRUE(contains(message, "from 'ra' to 's'")) << message;
}

}  // namespace
}  // namespace altprop::test
