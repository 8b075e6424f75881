// Values that all samples of a batch share: their way through networks, and their credit.
#include <gtest/gtest.h>

#include "altprop/network/gradients.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/shape.h"
#include "altprop/network/state_graph.h"
#include "network/check_op.h"
#include "network/support.h"

namespace altprop::test {
namespace {

constexpr int64_t kSamples = 4;

Spec shared_value(std::vector<int64_t> shape) {
  return {.shape = std::move(shape), .batched = false};
}

/// Inputs t [3], x [B, 3], s [2], u [4], v [4]: every operation that takes a shared value, with the
/// shared one first, between and last.
Graph sharing_net() {
  Graph net;
  const int t = net.input(shared_value({3}), "t"), x = net.input({{3}}, "x"),
            s = net.input(shared_value({2}), "s"), u = net.input(shared_value({4}), "u"),
            v = net.input(shared_value({4}), "v");
  const int h = net.add(activation("tanh"), {net.add(linear(3), {x}, "fc1")});
  const int m = net.add(multiply(), {t, h}, "timed");
  const int c = net.add(concat(3), {s, net.add(multiply(), {m, t}, "again"), s}, "joined");
  const int y = net.add(linear(4), {c}, "fc2");
  const int sum = net.add(add(3), {u, v, y}, "sum");
  const int own =
      net.add(autograd_op(
                  "own", [](auto in) { return at::sin(in[0]) * in[1] + in[1] * in[1]; }, 2),
              {sum, u}, "own");
  net.output(net.add(activation("tanh"), {own}));
  return net;
}

Graph prepared(Graph net) {
  net.to(test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

/// The same inside of a graph.
Graph shared_inside() {
  auto inner = std::make_shared<Graph>(sharing_net());
  Graph net;
  std::vector<int> inputs;
  for (int i : inner->input_nodes()) inputs.push_back(net.input(inner->node(i).spec));
  net.output(net.add(inner, inputs, "block"));
  return net;
}

std::vector<Tensor> inputs_of(const Graph& net, int64_t rows, const std::string& name,
                              bool leading = false) {
  std::vector<Tensor> out;
  for (int i : net.input_nodes()) {
    const Spec& spec = net.node(i).spec;
    std::vector<int64_t> shape = spec.shape;
    if (spec.batched) {
      shape.insert(shape.begin(), rows);
    } else if (leading) {
      shape.insert(shape.begin(), rows / kSamples);
    }
    out.push_back(Stream(3).at(name).at(i).normal(shape, on_device(at::kDouble)));
  }
  return out;
}

Tensor pass_through(const Graph& net, const std::vector<Tensor>& in, Activity& activity) {
  return net.run(in, activity, {Mode::Train, Stream(1)});
}

std::vector<Tensor> credits_of(const Graph& net, Activity& activity, const Tensor& cot,
                               Sink* sink = nullptr) {
  Feedback exact;
  std::vector<Tensor> out;
  net.sweep(activity, {{net.output_node(), cot}}, exact, sink, {.input_credits = &out});
  return out;
}

class Unbatched : public ::testing::TestWithParam<bool> {
 protected:
  Graph net = prepared(GetParam() ? shared_inside() : sharing_net());
  std::vector<Tensor> in = inputs_of(net, kSamples, "inputs");
  Activity activity;
  Tensor y = pass_through(net, in, activity);
  Tensor cots(int64_t k) const {
    return Stream(4).at("cotangents").normal({k * kSamples, 4}, on_device(at::kDouble));
  }
};

TEST_P(Unbatched, TheBatchIsThatOfTheFirstInputThatHasOne) {
  EXPECT_EQ(activity.batch, kSamples);
  EXPECT_EQ(shape_text(y.sizes()), "[4, 4]");
  // Sample by sample it is the same.
  for (int64_t b = 0; b < kSamples; ++b) {
    std::vector<Tensor> one = in;
    one[1] = in[1].narrow(0, b, 1);
    Activity alone;
    expect_close(pass_through(net, one, alone), y.narrow(0, b, 1), 1e-14, "one sample");
  }
}

TEST_P(Unbatched, CreditsAreCentralDifferences) {
  const Tensor cot = cots(1);
  Gradients sink;
  const std::vector<Tensor> credits = credits_of(net, activity, cot, &sink);
  const auto loss = [&] {
    Activity scratch;
    return dot_product(pass_through(net, in, scratch), cot);
  };
  const auto differences = [&](const Tensor& at) {
    std::vector<double> out;
    const Tensor entries = at.variable_data().view(-1);
    for (int64_t i = 0; i < at.numel(); ++i) {
      Tensor entry = entries[i];
      const double kept = entry.item<double>(), h = 1e-5;
      entry.fill_(kept + h);
      const double up = loss();
      entry.fill_(kept - h);
      const double down = loss();
      entry.fill_(kept);
      out.push_back((up - down) / (2 * h));
    }
    return at::tensor(out, at::kDouble).view(at.sizes());
  };
  ASSERT_EQ(credits.size(), in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const bool shared = i != 1;
    expect_close(shared ? credits[i].squeeze(0) : credits[i], differences(in[i]), 1e-7,
                 text::cat("input ", i));
    EXPECT_EQ(credits[i].dim(), in[i].dim() + shared) << "K leads, also where it is 1";
  }
  for (const ParamPtr& param : net.params())
    expect_close(sink.of_param(*param), differences(param->value), 1e-7, param->name);
}

TEST_P(Unbatched, ManyCotangentsKeepTheirBlocksApart) {
  const int64_t k = 3;
  const Tensor all = cots(k);
  const std::vector<Tensor> together = credits_of(net, activity, all);
  for (int64_t j = 0; j < k; ++j) {
    const std::vector<Tensor> alone =
        credits_of(net, activity, all.narrow(0, j * kSamples, kSamples));
    for (size_t i = 0; i < in.size(); ++i) {
      const int64_t rows = i == 1 ? kSamples : 1;
      EXPECT_EQ(together[i].size(0), k * rows);
      expect_close(together[i].narrow(0, j * rows, rows), alone[i], 1e-12,
                   text::cat("block ", j, " of input ", i));
    }
  }
}

TEST_P(Unbatched, TangentsAreTheTransposeOfCredits) {
  const int64_t k = 3;
  const Tensor all = cots(k);
  const std::vector<Tensor> credits = credits_of(net, activity, all),
                            tangents = inputs_of(net, k * kSamples, "tangents", true);
  for (size_t i = 0; i < in.size(); ++i) {
    std::vector<Tensor> one(in.size());
    one[i] = tangents[i];
    const Tensor pushed = net.push(activity, one);
    ASSERT_EQ(pushed.size(0), k * kSamples);
    EXPECT_NEAR(dot_product(pushed, all), dot_product(credits[i], tangents[i]), 1e-10) << i;
    for (int64_t j = 0; j < k; ++j) {
      const int64_t rows = i == 1 ? kSamples : 1;
      one[i] = tangents[i].narrow(0, j * rows, rows);
      expect_close(net.push(activity, one), pushed.narrow(0, j * kSamples, kSamples), 1e-12,
                   "block of tangents");
    }
  }
}

TEST_P(Unbatched, StatesAndFlatNetworksAreTheSame) {
  const Graph flat = net.flattened();
  Activity other;
  expect_close(pass_through(flat, in, other), y, 1e-14, "spliced flat");
  for (const Cut cut : {Cut::Blocks, Cut::EveryNode}) {
    std::vector<Activity> edges;
    const std::vector<Tensor> values = states(net, cut).run(in, edges, {Mode::Train, Stream(1)});
    expect_close(values.back(), y, 1e-14, "states");
  }
}

INSTANTIATE_TEST_SUITE_P(Values, Unbatched, ::testing::Bool(), [](const auto& info) {
  return info.param ? "InANestedGraph" : "InANetwork";
});

TEST(UnbatchedRows, AreSummedOverSamplesAndSpreadOverThem) {
  const Tensor rows = at::arange(12, at::kDouble).view({6, 2});  // K = 2, B = 3
  EXPECT_TRUE(at::equal(sum_to_unbatched(rows, 3),
                        at::tensor({6.0, 9.0, 24.0, 27.0}, at::kDouble).view({2, 2})));
  EXPECT_EQ(shape_text(sum_to_unbatched(rows, 6).sizes()), "[1, 2]");
  const Tensor spread = spread_over_batch(rows.narrow(0, 0, 2), 3);
  for (int64_t r = 0; r < 6; ++r) EXPECT_TRUE(at::equal(spread[r], rows[r / 3]));
  expect_refusal([&] { sum_to_unbatched(rows, 4); }, "does not fit an activity of 4 rows");
}

TEST(UnbatchedValues, AreRefusedWhereTheyMakeNoSense) {
  const auto said = [](const OpPtr& op, const std::vector<Spec>& specs) {
    return message_of([&] {
      Graph net;
      std::vector<int> inputs;
      for (const Spec& spec : specs)
        inputs.push_back(net.input(spec, std::string(1, static_cast<char>('t' + inputs.size()))));
      net.add(op, inputs, "op");
    });
  };
  EXPECT_EQ(said(linear(2), {shared_value({3})}),
            "node 'op': linear takes one value per sample, and 't' gives one for the whole batch; "
            "give every sample its own, or join it by add, multiply or concat");
  EXPECT_TRUE(contains(said(activation("tanh"), {shared_value({3})}), "one value per sample"));
  EXPECT_TRUE(contains(said(flatten(), {shared_value({3})}), "one value per sample"));
  EXPECT_EQ(said(add(), {shared_value({3}), shared_value({3})}),
            "node 'op': all of its inputs are one value for the whole batch; give it at least one "
            "that every sample has for itself");
  EXPECT_TRUE(contains(said(add(), {{{3}}, shared_value({4})}), "do not fit"));
  Graph net;
  const int t = net.input(shared_value({3}), "t");
  net.output(t);
  Activity activity;
  EXPECT_EQ(message_of([&] { net.run(at::zeros({3}), activity, {}); }),
            "all inputs of the network are one value for the whole batch, so that there is no "
            "batch; give it an input that every sample has for itself");
  EXPECT_EQ(message_of([&] {
              net.run(at::zeros({1, 3}), activity, {});
            }),
            "input 't' of the network takes one value for the whole batch of shape [3], but the "
            "data has [1, 3]");
  // One operation cannot take one thing for all at one place and for each at another.
  Graph twice;
  const int x = twice.input({{3}}), u = twice.input(shared_value({3}));
  const OpPtr own = autograd_op(
      "own", [](auto in) { return in[0] * in[1]; }, 2);
  twice.add(own, {x, u});
  EXPECT_TRUE(contains(message_of([&] { twice.add(own, {x, x}); }), "for each place"));
}

}  // namespace
}  // namespace altprop::test
