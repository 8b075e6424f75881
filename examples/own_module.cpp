// A torch::nn::Module as an operation of a network: its gradients come from autograd, its
// parameters train with the others. Feedback rules pass exact credit through it if asked to.
#include <altprop/altprop.h>
#include <altprop/network/ops/module.h>
#include <torch/torch.h>

#include <cstdio>

/// A gated layer: tanh(U x) * sigmoid(V x).
struct GatedImpl : torch::nn::Module {
  torch::nn::Linear u{nullptr}, v{nullptr};
  GatedImpl(int64_t in, int64_t out) {
    u = register_module("u", torch::nn::Linear(in, out));
    v = register_module("v", torch::nn::Linear(in, out));
  }
  torch::Tensor forward(const torch::Tensor& x) { return torch::tanh(u(x)) * torch::sigmoid(v(x)); }
};
TORCH_MODULE(Gated);

int main() try {
  using namespace altprop;
  const data::Splits glyphs = data::load("glyphs", {{"glyphs.train", "5000"}});
  for (const char* name : {"backprop", "feedback-alignment"}) {
    torch::manual_seed(1);  // the module draws its own initial weights
    Graph net;
    int at = net.add(flatten(), {net.input({glyphs.train.sample_shape()})});
    at = net.add(module(Gated(784, 64), Samples::Apart), {at}, "gated");
    at = net.add(relu(), {net.add(linear(64), {at}, "hidden")});
    net.output(net.add(linear(10), {at}, "out"));
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    const auto rule = make_rule(name, std::string(name) == "backprop"
                                          ? OptionValues{}
                                          : OptionValues{{"feedback.allow-exact", "true"}});
    const TrainResult result =
        train(net, *rule, glyphs, {.epochs = 3, .lr = 0.05, .progress = false});
    std::printf("%-20s test accuracy %.2f %%\n", name, *result.test.accuracy() * 100);
  }
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
