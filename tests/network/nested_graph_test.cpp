// A graph as an operation of another graph.
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "check_op.h"
#include "graphs.h"

namespace altprop {
namespace {

TEST(Graph, IsAnOperation) { check_op(small_graph(3, 4), {{4, 3}}); }

TEST(Graph, ANestedGraphIsNamedInitialisedAndNotOverwritten) {
  Graph net;
  int h = net.input({{4}});
  const auto shared = small_graph(4, 4);
  for (const auto& op : {small_graph(4, 4), shared, shared}) h = net.add(op, {h});
  // Must not overwrite the tanh that the graph's derivative reads. (A relu would hide it: where it
  // changes its input it also cuts the credit.)
  h = net.add(activation("sigmoid"), {h});
  net.output(h);
  std::vector<std::string> names;
  for (const ParamPtr& p : net.params()) names.push_back(p->name);
  EXPECT_EQ(names, (std::vector<std::string>{"graph1.a.weight", "graph1.a.bias", "graph1.b.weight",
                                             "graph1.b.bias", "graph2.a.weight", "graph2.a.bias",
                                             "graph2.b.weight", "graph2.b.bias"}));
  initialise(net, Initialiser("xavier"), Stream(1));
  EXPECT_GT(largest(net.params()[0]->value), 0);
  EXPECT_FALSE(at::equal(net.params()[0]->value, net.params()[4]->value));
  net.to(at::kCPU, at::kDouble);
  const Tensor x = Stream(2).normal({3, 4}, at::kDouble),
               cot = Stream(3).normal({3, 4}, at::kDouble);
  const auto nested = everything(net, x, cot, {});
  EXPECT_EQ(0, largest(nested[0] - everything(net, x, cot, {.keep_values = true})[0]));

  Graph flat_net;  // the same operations, spliced in
  h = flat_net.input({{4}});
  for (int i = 1; i <= 3; ++i) {
    const auto& op = dynamic_cast<const Graph&>(*net.node(i).op);
    h = flat_net.splice(op, {h}, text::cat("s", i, "."))[0];
  }
  flat_net.output(flat_net.add(activation("sigmoid"), {h}));
  const auto spliced = everything(flat_net, x, cot, {});
  ASSERT_EQ(spliced.size(), nested.size());
  for (size_t i = 0; i < nested.size(); ++i) expect_close(nested[i], spliced[i], 1e-13, "spliced");
  EXPECT_EQ(flat_net.params()[0]->name, "graph1.a.weight");
  EXPECT_EQ(flat_net.find("s2.b"), 7);
}

TEST(Graph, ANestedGraphRefusesSubstitutesAndLearnsInParts) {
  auto net = small_graph(3, 4);
  Saved saved;
  const Tensor y = net->forward(std::vector<Tensor>{at::ones({2, 3})}, saved, {});
  expect_refusal([&] { net->vjp(saved, y, 0, &y); }, "substitute those of its parts");
  const Op& op = *net;
  Gradients all, one({net->params()[2]});
  expect_refusal([&] { op.accumulate(saved, y, 1, all, &y); }, "substitute those of its parts");
  op.accumulate(saved, y, 1, all);
  op.accumulate(saved, y, 1, one);
  EXPECT_EQ(one.all().size(), 1u);
  EXPECT_TRUE(one.of_param(*net->params()[2]).equal(all.of_param(*net->params()[2])));
}

}  // namespace
}  // namespace altprop
