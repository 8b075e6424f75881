// Backpropagation through time against PyTorch's own recurrent networks on the autograd tape, and
// against finite differences.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/rnn_tanh.h>

#include "altprop/network/step_loss.h"
#include "rules/sequence/nets.h"

namespace altprop::testing {
namespace {

/// NamedGradients of the batch-mean loss by parameter, with the rule backprop.
std::map<std::string, Tensor> own_gradients(Graph& net, const Loss& loss, const BatchOf& b) {
  at::NoGradGuard no_grad;
  const auto rule = bound("backprop", {}, net, loss);
  return gradients(*rule, net, loss, b.x, b.y);
}

/// The same network out of at::lstm or at::rnn_tanh, with the same weights as leaves.
struct Torch {
  std::map<std::string, Tensor> leaf;
  Tensor output;

  Torch(const Graph& net, const std::string& kind, const Tensor& tokens, int64_t vocabulary,
        int64_t layers, bool last) {
    for (const ParamPtr& p : net.params())
      leaf[p->name] = p->value.detach().clone().set_requires_grad(true);
    const int64_t steps = tokens.size(1), batch = tokens.size(0);
    const Tensor x = at::one_hot(tokens, vocabulary).to(at::kDouble);
    std::vector<Tensor> weights;
    for (int64_t l = 1; l <= layers; ++l) {
      const std::string layer = text::cat(kind, l);
      const Tensor input = leaf.at(layer + ".input.weight");
      weights.push_back(l == 1 ? input.t() : input);  // the first is a table
      weights.push_back(leaf.at(layer + ".recurrent.weight"));
      weights.push_back(leaf.at(layer + ".input.bias"));
      weights.push_back(at::zeros_like(leaf.at(layer + ".input.bias")));
    }
    const int64_t width = weights[1].size(1);
    const Tensor zero = at::zeros({layers, batch, width}, at::kDouble);
    const Tensor h =
        kind == "lstm"
            ? std::get<0>(at::lstm(x, std::vector<Tensor>{zero, zero}, weights, true, layers, 0,
                                   true, false, true))
            : std::get<0>(at::rnn_tanh(x, zero, weights, true, layers, 0, true, false, true));
    output = at::linear(last ? h.select(1, steps - 1) : h, leaf.at("output.weight"),
                        leaf.at("output.bias"));
  }
};

class AgainstAutograd
    : public ::testing::TestWithParam<std::tuple<const char*, bool, const char*>> {};

TEST_P(AgainstAutograd, GradientsAreTheTapes) {
  const auto& [text, last, loss_name] = GetParam();
  const std::string written = text;
  const int64_t steps = 6, layers = written.ends_with("-4-4-*") ? 2 : 1;
  Graph net = recurrent(text, steps, last);
  const BatchOf b = sequences(steps, last);
  const auto loss = make_loss(loss_name);
  const auto own = own_gradients(net, *loss, b);
  at::AutoGradMode on(true);
  Torch torch(net, written.substr(0, written.find(':')), b.x, 5, layers, last);
  const Tensor rows = torch.output.reshape({-1, 5}), target = b.y.reshape({-1});
  const Tensor value = std::string(loss_name) == "cross-entropy"
                           ? at::cross_entropy_loss(rows, target)
                           : (rows - at::one_hot(target, 5)).square().sum(1).mul(0.5).mean();
  value.backward();
  {
    at::NoGradGuard no_grad;
    EXPECT_NEAR(loss->value(net.predict(b.x), b.y).mean().item<double>(), value.item<double>(),
                1e-13);
  }
  for (const auto& [name, gradient] : own)
    EXPECT_LT(distance(gradient, torch.leaf.at(name).grad()), 1e-12) << name;
  EXPECT_EQ(own.size(), torch.leaf.size());
}

INSTANTIATE_TEST_SUITE_P(
    Sequences, AgainstAutograd,
    ::testing::Combine(::testing::Values("lstm:*-4-*", "lstm:*-4-4-*", "rnn:*-4-*", "rnn:*-4-4-*"),
                       ::testing::Bool(), ::testing::Values("cross-entropy", "squared-error")));

TEST(Sequences, GradientsAreFiniteDifferences) {
  for (const char* text : {"lstm:*-3-*:embedding=2", "rnn:*-3-3-*:relu:bias=false", "lstm:*-3-*"})
    for (bool last : {false, true}) {
      Graph net = recurrent(text, 4, last);
      const BatchOf b = sequences(4, last);
      const auto loss = make_loss("cross-entropy");
      const auto own = own_gradients(net, *loss, b);
      at::NoGradGuard no_grad;
      const double h = 1e-6;
      for (const ParamPtr& p : net.params())
        for (int64_t k = 0; k < p->value.numel(); k += 5) {
          const Tensor flat = p->value.view(-1);
          const double before = flat[k].item<double>();
          flat[k] = before + h;
          const double up = loss->value(net.predict(b.x), b.y).mean().item<double>();
          flat[k] = before - h;
          const double down = loss->value(net.predict(b.x), b.y).mean().item<double>();
          flat[k] = before;
          EXPECT_NEAR(own.at(p->name).view(-1)[k].item<double>(), (up - down) / (2 * h), 1e-8)
              << text << " " << p->name;
        }
    }
}

TEST(Sequences, VectorsAndTokensAgree) {
  // The same network on one-hot vectors: a product in place of the table's rows.
  Graph net = recurrent("lstm:*-4-*", 6);
  Graph dense = network("lstm:5-4-5:length=6");
  dense.to(at::kCPU, at::kDouble);
  for (const ParamPtr& p : dense.params()) {
    const Tensor value = value_of(net, p->name);
    p->value = (p->name == "lstm1.input.weight" ? value.t().contiguous() : value).clone();
  }
  BatchOf b = sequences(6);
  const auto loss = make_loss("cross-entropy");
  const auto tokens = own_gradients(net, *loss, b);
  b.x = at::one_hot(b.x, 5).to(at::kDouble);
  const auto vectors = own_gradients(dense, *loss, b);
  for (const auto& [name, gradient] : vectors)
    EXPECT_LT(distance(gradient, name == "lstm1.input.weight" ? tokens.at(name).t().contiguous()
                                                              : tokens.at(name)),
              1e-13)
        << name;
}

TEST(Sequences, DoublingTheBatchChangesNoGradient) {
  Graph net = recurrent("lstm:*-4-*", 6);
  const BatchOf b = sequences(6);
  const auto loss = make_loss("squared-error");
  const auto once = own_gradients(net, *loss, b);
  const auto twice = own_gradients(net, *loss, {at::cat({b.x, b.x}), at::cat({b.y, b.y})});
  for (const auto& [name, gradient] : once) EXPECT_LT(distance(twice.at(name), gradient), 1e-14);
}

}  // namespace
}  // namespace altprop::testing
