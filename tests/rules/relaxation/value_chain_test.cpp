// Many steps of a chain in one call against the same steps taken one by one.
#include <ATen/Parallel.h>

#include "altprop/rules/relaxation/value_relaxation.h"
#include "altprop/tensor/row_blocks.h"
#include "altprop/tensor/value_steps.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

constexpr int kSteps = 15;
constexpr double kEta = 0.1;
const std::vector<int64_t> kSizes = {6, 70, 33, 8, 5};

/// Values of a network in motion.
struct MovingValues {
  Graph net;
  std::unique_ptr<Loss> loss;
  BatchOf batch;
  StatePass pass;
  ValueRelaxation relaxation;

  MovingValues(Graph with, const std::string& loss_name, const EnergyTerms& terms,
               at::ScalarType type = at::kFloat)
      : net(std::move(with)),
        loss(make_loss(loss_name)),
        batch(draw_batch({37, 6}, 5, 1, type)),
        pass(net, Cut::Blocks),
        relaxation(pass) {
    const at::NoGradGuard no_grad;
    const Tensor output = pass.forward({.inputs = batch.x});
    relaxation.begin(output, {*loss, batch.y, 37}, terms);
  }
};

double far(const Field& a, const Field& b) {
  double out = 0;
  for (size_t s = 0; s < a.size(); ++s)
    out = std::max(out, (a[s] - b[s]).abs().max().item<double>());
  return out;
}

bool chain_fits() { return value_steps_fit(at::empty({2, 2}, test::on_device(at::kFloat))); }

TEST(ValueChain, TakesTheStepsThatAreTakenOneByOne) {
  if (!chain_fits()) GTEST_SKIP() << "no AVX-512";
  const std::vector<EnergyTerms> energies = {{},
                                             {.beta = -0.5},
                                             {.beta = 0.3, .clamps_output = true},
                                             {.precision = {1, 0.5, 2, 1.5, 1, 1}}};
  for (const char* function : {"relu", "sigmoid", "identity"})
    for (const char* loss : {"squared-error", "cross-entropy"})
      for (const EnergyTerms& terms : energies) {
        if (terms.clamps_output && loss != std::string("squared-error")) continue;
        const auto moving = [&] {
          return MovingValues(mlp(kSizes, function, 1, at::kFloat), loss, terms);
        };
        MovingValues singly = moving(), alone = moving(), shared = moving();
        for (int t = 0; t < kSteps; ++t)
          singly.relaxation.descend(Order::Synchronous, kEta, 0, false);
        const int before = at::get_num_threads();
        at::set_num_threads(1);
        EXPECT_TRUE(alone.relaxation.descend_chain(kSteps, kEta));
        at::set_num_threads(2);
        EXPECT_TRUE(shared.relaxation.descend_chain(kSteps, kEta));
        at::set_num_threads(before);
        const std::string which = std::string(function) + " " + loss;
        EXPECT_LT(far(alone.relaxation.values(), singly.relaxation.values()), 3e-6) << which;
        EXPECT_EQ(far(alone.relaxation.values(), shared.relaxation.values()), 0) << which;
        singly.relaxation.refresh();
        alone.relaxation.refresh();
        EXPECT_LT(far({alone.relaxation.credits().begin() + 1, alone.relaxation.credits().end()},
                      {singly.relaxation.credits().begin() + 1, singly.relaxation.credits().end()}),
                  1e-5)
            << which;
        EXPECT_GT(far(alone.relaxation.values(), moving().relaxation.values()), 0.01)
            << "nothing moves in " << which;
      }
}

TEST(ValueChain, StandsAsideWhereItDoesNotFit) {
  const auto takes = [](Graph net, at::ScalarType type = at::kFloat) {
    net.to(test::test_device(), type);
    MovingValues m(std::move(net), "cross-entropy", {}, type);
    const Field before = {m.relaxation.values()[1].clone()};
    const bool taken = m.relaxation.descend_chain(3, kEta);
    if (!taken) {
      EXPECT_EQ(far(before, {m.relaxation.values()[1]}), 0);
    }
    return taken;
  };
  EXPECT_EQ(takes(mlp(kSizes, "relu", 1, at::kFloat)), chain_fits());
  EXPECT_FALSE(takes(mlp(kSizes, "relu", 1, at::kDouble), at::kDouble));
  EXPECT_FALSE(takes(mlp(kSizes, "tanh", 1, at::kFloat))) << "not one of its functions";
  EXPECT_FALSE(takes(mlp({6, 5}, "relu", 1, at::kFloat))) << "nothing is hidden";
  Graph skip;
  const int x = skip.input({{6}});
  const int h1 = skip.add(relu(), {skip.add(linear(5), {x})}),
            h2 = skip.add(relu(), {skip.add(linear(5), {h1})});
  skip.output(skip.add(linear(5), {skip.add(add(2), {h1, h2})}));
  EXPECT_FALSE(takes(std::move(skip))) << "no chain";
  const WholeBatches whole;
  EXPECT_FALSE(takes(mlp(kSizes, "relu", 1, at::kFloat))) << "single products are wanted";
}

// A number that is none must reach the caller, who says so.
TEST(ValueChain, KeepsWhatIsNoNumber) {
  if (!chain_fits()) GTEST_SKIP() << "no AVX-512";
  Graph net = mlp(kSizes, "relu", 1, at::kFloat);
  net.params().back()->value[0] = NAN;
  MovingValues m(std::move(net), "squared-error", {});
  EXPECT_TRUE(m.relaxation.descend_chain(2 * kSteps, kEta));
  EXPECT_TRUE(m.relaxation.values()[1].isnan().any().item<bool>());
}

}  // namespace
}  // namespace altprop::testing
