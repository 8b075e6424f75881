// Trains MNIST with product feedback alignment and prints the test accuracy: about 97.5 % after 3
// epochs.
//
//     ALTPROP_DATA=/path/to/data ./example_train_mnist
#include <altprop/altprop.h>

#include <cstdio>

int main() try {
  using namespace altprop;
  const data::Splits mnist = data::load("mnist");
  Graph net = network("mlp:784-256-256-10:relu", {.input_shape = mnist.train.sample_shape()});
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const auto rule = make_rule("product-feedback-alignment", {{"pfa.expand", "10"}});
  const TrainResult result =
      train(net, *rule, mnist, {.epochs = 3, .batch = 64, .lr = 0.01, .weight_decay = 1e-4});
  std::printf("test accuracy %.2f %%\n", *result.test.accuracy() * 100);
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
