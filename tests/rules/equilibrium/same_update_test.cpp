// One update for both ways, where the ways differ and an edge has a max pooling: the mean of what
// the winners under the forward weights and those under the backward weights give.
#include "altprop/rules/equilibrium/contrast.h"
#include "rules/equilibrium/fixture.h"

namespace altprop::same_update {
namespace {

using namespace altprop::testing;

/// < s_to, edge(s_from) > summed over a batch, of one of the two ways.
double product(const ConvergentNetwork& net, const Graph& map, size_t edge, const Field& s) {
  std::vector<Tensor> parents;
  for (const int p : net.graph.edges[edge].from) parents.push_back(s[static_cast<size_t>(p)]);
  Activity activity;
  const Tensor out = map.run(parents, activity, {Mode::Eval});
  return (out * s[static_cast<size_t>(net.graph.edges[edge].to)]).sum().item<double>();
}

TEST(EquilibriumSameUpdate, IsTheMeanOfBothPoolings) {
  at::NoGradGuard no_grad;
  EpExample e =
      random_example("chain: conv 3 k=3 p=1, sigmoid, conv 4 k=3, maxpool 2, sigmoid, linear 3",
                     {2, 6, 6}, "cross-entropy", 0.4);
  const ConvergentNetwork net = convergent_network(e.net, *e.loss);
  const BackwardWeights back(net, Stream(3), true);
  ASSERT_EQ(back.pairs().size(), 1u);
  ConvergentDynamics dynamics(net, &back, Timing::Synchronous);
  dynamics.begin(e.x);
  Contrast contrast(net, dynamics, &back);

  // Any two fields of states will do: nothing here has to be at rest.
  Field plus = dynamics.copy(), minus = dynamics.copy();
  for (size_t s = 0; s < plus.size(); ++s) {
    if (!net.moves(static_cast<int>(s))) continue;
    plus[s] =
        Stream(6).at("plus").at(static_cast<int64_t>(s)).uniform(plus[s].sizes(), at::kDouble);
    minus[s] =
        Stream(6).at("minus").at(static_cast<int64_t>(s)).uniform(minus[s].sizes(), at::kDouble);
  }
  const double span = 0.4, scale = 1.0 / 3;
  Gradients sink;
  contrast.deliver_same_update({plus, minus, span, scale}, sink);

  const BackwardWeights::Pair& pair = back.pairs()[0];
  size_t edge = 0;
  while (!back.map(static_cast<int>(edge))) ++edge;
  ASSERT_TRUE(net.bends[edge]);
  const Graph &forward = net.graph.edges[edge].map, &backward = *back.map(static_cast<int>(edge));
  /// Central difference of the contrast in one entry of a weight; exact, for it is linear in the
  /// weights as long as no winner changes.
  const auto slope = [&](const Graph& map, const ParamPtr& weight, int64_t i) {
    double* entry = weight->value.mutable_data_ptr<double>() + i;
    const double kept = *entry, h = 1e-6;
    const auto at = [&](double value) {
      *entry = value;
      const double c = product(net, map, edge, plus) - product(net, map, edge, minus);
      *entry = kept;
      return c;
    };
    return (at(kept + h) - at(kept - h)) / (2 * h);
  };
  double apart = 0;
  for (int64_t i = 0; i < pair.forward->value.numel(); i += 5) {
    const double up = slope(forward, pair.forward, i), down = slope(backward, pair.backward, i);
    EXPECT_NEAR(sink.of_param(*pair.forward).view(-1)[i].item<double>(),
                -scale / span * (up + down) / 2, 1e-8)
        << i;
    apart = std::max(apart, std::abs(up - down));
  }
  EXPECT_GT(apart, 0.1) << "the two ways have the same winners, so nothing was told apart";
}

}  // namespace
}  // namespace altprop::same_update
