// Experiments of activation relaxation and predictive coding. B. Millidge, A. Tschantz, A. Seth, C.
// Buckley 2020, arXiv 2009.05359; B. Millidge, A. Tschantz, C. Buckley 2020, arXiv 2006.04182; R.
// Rosenbaum 2022, arXiv 2106.13082; the example of the ngc-learn library. The first two publish
// curves and no figures. Their rate 5e-4 is that of the sum over a batch of 64 of squared distances
// without the factor 1/2: 0.064 for the mean of half squared distances.
#include "altprop/train/presets.h"

namespace altprop::presets_of::relaxation {

namespace {

const std::string kLastBatch = "an incomplete last batch is left out";

std::string activation_relaxation(const std::string& data) {
  return "data = \"" + data + "\"\n" + R"(
data-options.normalise = "unit"
rule = "activation-relaxation"
net = "mlp:784-300-300-100-10:relu"
loss = "squared-error"
init = "normal:0.05"
optimizer = "sgd"
lr = 0.064
batch = 64
epochs = 50
drop-last = true
[rule-options]
ar.eta = 0.1
ar.steps = 100
ar.init = "activation"
)";
}

const RegisterPresets relaxation({
    {.name = "activation-relaxation-mnist",
     .summary = "784-300-300-100-10 on MNIST",
     .source = "Millidge, Tschantz, Seth, Buckley 2020, arXiv 2009.05359 (code)",
     .settings = activation_relaxation("mnist"),
     .published = "curves only",
     .differs = kLastBatch},
    {.name = "activation-relaxation-fashion",
     .summary = "784-300-300-100-10 on Fashion-MNIST",
     .source = "Millidge, Tschantz, Seth, Buckley 2020, arXiv 2009.05359 (code)",
     .settings = activation_relaxation("fashion-mnist"),
     .published = "curves only",
     .differs = kLastBatch},
});

const std::string kRosenbaum = R"(
data = "mnist"
rule = "predictive-coding"
net = "chain: conv 10 k=3, relu, maxpool 2, conv 5 k=3, relu, flatten, linear 50, relu, linear 30, relu, linear 10"
loss = "cross-entropy"
init = "kaiming"
optimizer = "adam"
lr = 2e-3
batch = 300
epochs = 2
[rule-options]
pc.mode = "fixed"
)";

const RegisterPresets predictive_coding({
    {.name = "predictive-coding-cifar10",
     .summary = "a small convolutional network on CIFAR-10, predictions frozen",
     .source = "Millidge, Tschantz, Buckley 2020, arXiv 2006.04182 (code)",
     .settings = R"(
data = "cifar-10"
data-options.normalise = "symmetric"
rule = "predictive-coding"
net = "chain: conv 6 k=5 bias=false, relu, maxpool 2, conv 16 k=5 bias=false, relu, flatten, linear 200 bias=false, relu, linear 150 bias=false, relu, linear 10 bias=false"
loss = "squared-error"
init = "normal:0.05"
optimizer = "sgd"
lr = 0.064
batch = 64
epochs = 100
drop-last = true
[rule-options]
pc.mode = "fixed"
pc.eta = 0.2
pc.steps = 100
)",
     .published = "curves only",
     .differs = kLastBatch},
    {.name = "predictive-coding-mnist-fixed",
     .summary = "a small convolutional network on MNIST, predictions frozen, step size 0.1",
     .source = "Rosenbaum 2022, arXiv 2106.13082 (code)",
     .settings = kRosenbaum + "pc.eta = 0.1\npc.steps = 19\n",
     .published = "training loss 0.1335 at step 350 (backprop 0.1076)",
     .differs = "the code's 20 steps are 19 here: its first one moves nothing"},
    {.name = "predictive-coding-mnist-unit",
     .summary = "a small convolutional network on MNIST, predictions frozen, step size 1",
     .source = "Rosenbaum 2022, arXiv 2106.13082 (code)",
     .settings = kRosenbaum + "pc.eta = 1\npc.steps = 5\n",
     .published = "training loss 0.1133 at step 350 (backprop 0.1042)"},
    {.name = "predictive-coding-mnist-sigmoid",
     .summary = "784-512-512-10 sigmoid on MNIST, values in front of activations",
     .source = "ngc-learn library (documentation of its predictive-coding example)",
     .settings = R"(
data = "mnist"
data-options.normalise = "unit"
rule = "predictive-coding"
net = "mlp:784-512-512-10:sigmoid"
loss = "squared-error"
optimizer = "adam"
lr = 1e-3
batch = 250
epochs = 100
[rule-options]
pc.mode = "strict"
pc.values = "pre"
pc.eta = 0.05
pc.steps = 20
)",
     .published = "98.03 %",
     .differs =
         "batch, epochs, initialisation and normalisation are not known here, those are ours"},
});

}  // namespace

}  // namespace altprop::presets_of::relaxation
