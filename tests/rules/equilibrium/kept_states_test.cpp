// ep.start=persistent: an example's free phase goes on where its last one ended.
#include "altprop/rules/equilibrium/kept_states.h"

#include <gtest/gtest.h>

#include "rules/equilibrium/fixture.h"
#include "rules/equilibrium/resumed.h"

namespace altprop::testing {
namespace {

Tensor ids(std::initializer_list<int64_t> numbers) {
  return at::tensor(std::vector<int64_t>(numbers), at::kLong);
}

TEST(EquilibriumKeptStates, AVisitGoesOnWhereTheLastEnded) {
  for (const char* text :
       {"mlp:5-7-6-3:sigmoid", "chain: conv 4 k=3, sigmoid, maxpool 2, linear 3, tanh"}) {
    SCOPED_TRACE(text);
    const std::vector<int64_t> shape =
        text[0] == 'm' ? std::vector<int64_t>{5} : std::vector<int64_t>{2, 6, 6};
    EpExample e = random_example(text, shape, "squared-error", 0.5, 4);
    const auto visit = [&](KeptStates& kept, InMotion& m, const Tensor& which, int64_t steps) {
      m.dynamics.begin(e.x.index_select(0, which));
      kept.recall(which, m.dynamics);
      m.dynamics.settle({.steps = steps});
      kept.keep(which, m.dynamics.states());
    };
    InMotion m(e, Timing::Alternating);
    KeptStates kept(m.net);
    EXPECT_EQ(kept.bytes(), 0);
    visit(kept, m, ids({1, 0}), 3);
    visit(kept, m, ids({0, 3, 1}), 2);  // 3 has never been seen, 2 never is
    visit(kept, m, ids({3, 0}), 1);
    int64_t units = 0;
    for (size_t s = 0; s < m.net.graph.states.size(); ++s)
      if (m.net.moves(static_cast<int>(s))) units += m.dynamics.states()[s][0].numel();
    EXPECT_EQ(kept.bytes(), static_cast<double>(4 * 8 * units));
    const auto after = [&](int64_t example, int64_t steps) {
      InMotion fresh(e, Timing::Alternating);
      fresh.dynamics.begin(e.x.narrow(0, example, 1));
      fresh.dynamics.settle({.steps = steps});
      return fresh.dynamics.copy();
    };
    const std::vector<std::pair<int64_t, int64_t>> steps_of = {{0, 6}, {1, 5}, {2, 0}, {3, 3}};
    for (const auto& [example, steps] : steps_of) {
      m.dynamics.begin(e.x.narrow(0, example, 1));
      kept.recall(ids({example}), m.dynamics);
      const Field expected = after(example, steps);
      for (size_t s = 0; s < expected.size(); ++s) {
        if (!m.net.moves(static_cast<int>(s))) continue;
        EXPECT_LT((m.dynamics.states()[s] - expected[s]).abs().max().item<double>(), 1e-14)
            << example;
      }
    }
  }
}

RunSettings run_settings(const std::string& start) {
  RunSettings s;
  s.rule = "ep";
  s.net = "mlp:784-30-10:hard-sigmoid:out=hard-sigmoid";
  s.loss = "squared-error";
  s.rule_options = {{"ep.start", start}, {"ep.free-steps", "2"}, {"ep.nudged-steps", "2"}};
  s.data_options = {{"glyphs.train", "600"}, {"glyphs.test", "10"}};
  s.epochs = 3;
  s.batch = 100;
  s.threads = 1;
  return s;
}

TEST(EquilibriumKeptStates, AResumedRunEqualsAnUninterruptedOne) {
  RunSettings s = run_settings("persistent");
  const auto data = load_data(s);
  expect_resumed_run_is_whole(s, data, {4, 6, 11});
  Experiment whole(s, data);
  const std::vector<Tensor> expected = weights_after(whole);
  RunSettings other = run_settings("zero");
  Experiment forgetful(other, data);
  EXPECT_FALSE(at::equal(weights_after(forgetful)[0], expected[0]));
}

TEST(EquilibriumKeptStates, ProbesLeaveNoTrace) {
  RunSettings s = run_settings("persistent");
  const auto data = load_data(s);
  Experiment probed(s, data);
  s.probe_every = 0;
  Experiment plain(s, data);
  const std::vector<Tensor> a = weights_after(probed), b = weights_after(plain);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

}  // namespace
}  // namespace altprop::testing
