// Experiments of equilibrium propagation with convolutions. A. Laborieux et al. 2021, arXiv
// 2006.03824; B. Scellier, M. Ernoult, J. Kendall, S. Kumar 2023, arXiv 2312.15103 (comparative
// study), with the settings of the authors' code.
#include "altprop/train/presets.h"

namespace altprop::presets_of::equilibrium_propagation_conv {

namespace {

const std::string kLaborieux = "Laborieux et al. 2021, arXiv 2006.03824 (code)";

/// 120 epochs, of which the rates fall along a cosine to 1e-5 over the first 100.
const std::string kTail =
    "the cosine ends at 0 after 100 epochs; published with 20 more at a rate of 1e-5";

/// CIFAR-10 with four convolutions, a cross-entropy with softmax readout or squared distances.
/// @param net_options of the network under the cross-entropy
std::string laborieux(bool cross_entropy, const std::string& options,
                      const std::string& net_options = "") {
  std::string net = "vgg:128-M-256-M-512-M-512v-M:half-hard-sigmoid" + net_options;
  if (!cross_entropy)
    net =
        "chain: conv 128 k=3 p=1, half-hard-sigmoid, maxpool 2, conv 256 k=3 p=1, "
        "half-hard-sigmoid, maxpool 2, conv 512 k=3 p=1, half-hard-sigmoid, maxpool 2, conv 512 "
        "k=3, half-hard-sigmoid, maxpool 2, flatten, linear 10, half-hard-sigmoid";
  return R"(
rule = "equilibrium-propagation"
data = "cifar-10"
data-options.normalise = "standard"
data-options.deviations = 3
init = "kaiming"
optimizer = "momentum"
lr = 0.25
lr-of = "conv2=0.6,conv3=0.4,conv4=0.32,fc=0.2"
weight-decay = 3e-4
schedule = "cosine"
batch = 128
epochs = 100
crop = 4
crop-fill = "edge"
flip = true
)" + ("net = \"" + net + "\"\nloss = \"" + (cross_entropy ? "cross-entropy" : "squared-error")) +
         "\"\n[rule-options]\nep.dynamics = \"synchronous\"\nep.free-steps = 250\n" + options;
}

const std::string kSquared = "ep.beta = 0.5\nep.nudged-steps = 30\n";
const std::string kEntropy = "ep.beta = 1\nep.nudged-steps = 25\n";
const std::string kDropout = ":dropout=0.1";
const std::string kDropped =
    kTail + "; the mask is on what the readout reads; the authors' script for it is not at hand";
const std::string kSeparate = "ep.beta = 1\nep.nudged-steps = 30\n";

const RegisterPresets deep({
    {.name = "ep-cifar10-one-sided",
     .summary = "four convolutions on CIFAR-10, squared error, one-sided estimator",
     .source = kLaborieux,
     .settings = laborieux(false, kSquared + "ep.estimator = \"one-sided\"\n"),
     .published = "14 %",
     .differs = kTail},
    {.name = "ep-cifar10-random-sign",
     .summary = "four convolutions on CIFAR-10, squared error, sign of beta drawn per batch",
     .source = kLaborieux,
     .settings = laborieux(false, kSquared + "ep.estimator = \"random-sign\"\n"),
     .published = "about 78 % (one of five runs diverged)",
     .differs = kTail},
    {.name = "ep-cifar10-squared",
     .summary = "four convolutions on CIFAR-10, squared error, symmetric estimator",
     .source = kLaborieux,
     .settings = laborieux(false, kSquared),
     .published = "about 87.5 %",
     .differs = kTail},
    {.name = "ep-cifar10-squared-bptt",
     .summary = "four convolutions on CIFAR-10, squared error, backpropagation through 30 steps",
     .source = kLaborieux,
     .settings = laborieux(false, kSquared + "ep.estimator = \"bptt\"\n"),
     .published = "about 88.9 %",
     .differs = kTail},
    {.name = "ep-cifar10",
     .summary = "four convolutions on CIFAR-10, softmax readout, symmetric estimator",
     .source = kLaborieux,
     .settings = laborieux(true, kEntropy),
     .published = "88.3 %",
     .differs = kTail},
    {.name = "ep-cifar10-bptt",
     .summary = "four convolutions on CIFAR-10, softmax readout, backpropagation through 25 steps",
     .source = kLaborieux,
     .settings = laborieux(true, kEntropy + "ep.estimator = \"bptt\"\n"),
     .published = "about 88.9 %",
     .differs = kTail},
    {.name = "ep-cifar10-dropout",
     .summary = "four convolutions on CIFAR-10, a tenth of the readout's input dropped",
     .source = kLaborieux,
     .settings = laborieux(true, kEntropy, kDropout),
     .published = "about 88.1 %",
     .differs = kDropped},
    {.name = "ep-cifar10-dropout-bptt",
     .summary = "four convolutions on CIFAR-10 with dropout, backpropagation through 25 steps",
     .source = kLaborieux,
     .settings = laborieux(true, kEntropy + "ep.estimator = \"bptt\"\n", kDropout),
     .published = "about 89.3 %",
     .differs = kDropped},
    {.name = "ep-cifar10-separate",
     .summary = "four convolutions on CIFAR-10, own weights for the way back with own updates",
     .source = kLaborieux,
     .settings = laborieux(true, kSeparate + "ep.weights = \"separate\"\n"),
     .published = "about 25 %",
     .differs = kTail + "; backward weights have the spread of the forward weights"},
    {.name = "ep-cifar10-same-update",
     .summary = "four convolutions on CIFAR-10, own weights for the way back with the same updates",
     .source = kLaborieux,
     .settings = laborieux(true, kSeparate + "ep.weights = \"same-update\"\n"),
     .published = "86.8 %",
     .differs = kTail + "; backward weights have the spread of the forward weights"},
    {.name = "ep-mnist-adam",
     .summary = "784-512-10 on MNIST, Adam",
     .source = kLaborieux,
     .settings = R"(
rule = "equilibrium-propagation"
data = "mnist"
data-options.normalise = "unit"
net = "mlp:784-512-10:shifted-sigmoid:out=shifted-sigmoid"
loss = "squared-error"
init = "kaiming"
optimizer = "adam"
lr = 5e-4
batch = 50
epochs = 10
[rule-options]
ep.dynamics = "synchronous"
ep.beta = 0.1
ep.free-steps = 30
ep.nudged-steps = 10
)",
     .published = "no figure, the code's example",
     .measured = "98.18 % (seed 1)",
     .differs =
         "the number of epochs is not known here, 10 is ours; so is the symmetric estimator"},
});

/// Squared distances to a linear output state, ±beta, alternating layers of clamped states.
std::string comparative(const std::string& data, int classes, const std::string& rates,
                        const std::string& gains, const std::string& options) {
  return "data = \"" + data + "\"\n" + R"(
rule = "equilibrium-propagation"
data-options.normalise = "standard"
loss = "squared-error"
init = "kaiming"
optimizer = "momentum"
schedule = "cosine"
batch = 128
epochs = 100
crop = 4
flip = true
)" +
         "net = \"chain: conv 128 k=3 p=1, hard-sigmoid, maxpool 2, conv 256 k=3 p=1, "
         "hard-sigmoid, "
         "maxpool 2, conv 512 k=3 p=1, hard-sigmoid, maxpool 2, conv 512 k=3 p=1, hard-sigmoid, "
         "maxpool 2, flatten, linear " +
         std::to_string(classes) + "\"\n" + rates + "init-of = \"" + gains +
         "\"\n[rule-options]\nep.dynamics = \"alternating\"\nep.free-steps = 60\n" + options;
}

const std::string kStudy = "Scellier, Ernoult, Kendall, Kumar 2023, arXiv 2312.15103 (code)";
const std::string kStudyDiffers =
    "the published figure, the inputs' normalisation and the augmentation are not known here, the "
    "last two are those of Laborieux et al. with one deviation and black borders; the cosine ends "
    "at 0";
const std::string kHalf = "conv=0.5,fc=0.5";
const std::string kStudyRates =
    "lr = 0.0625\nlr-of = \"conv2=0.6,conv3=0.4,conv4=0.32,fc=0.2\"\nweight-decay = 3e-4\n";

const RegisterPresets comparison({
    {.name = "ep-cifar10-study",
     .summary = "four convolutions with a linear output state on CIFAR-10, comparative study",
     .source = kStudy,
     .settings = comparative("cifar-10", 10, kStudyRates, kHalf,
                             "ep.beta = 0.25\nep.nudged-steps = 15\n"),
     .published = "centred nudging above negative, negative above positive; no figure",
     .differs = kStudyDiffers},
    {.name = "ep-cifar10-study-positive",
     .summary = "the comparative study's network with a positive nudge alone",
     .source = kStudy,
     .settings =
         comparative("cifar-10", 10, kStudyRates, kHalf,
                     "ep.beta = 0.25\nep.nudged-steps = 15\nep.estimator = \"one-sided\"\n"),
     .published = "centred nudging above negative, negative above positive; no figure",
     .differs = kStudyDiffers},
    {.name = "ep-cifar10-study-negative",
     .summary = "the comparative study's network with a negative nudge alone",
     .source = kStudy,
     .settings =
         comparative("cifar-10", 10, kStudyRates, kHalf,
                     "ep.beta = -0.25\nep.nudged-steps = 15\nep.estimator = \"one-sided\"\n"),
     .published = "centred nudging above negative, negative above positive; no figure",
     .differs = kStudyDiffers},
    {.name = "ep-cifar10-best",
     .summary = "four convolutions with a linear output state on CIFAR-10, the authors' best",
     .source = kStudy,
     .settings = comparative(
         "cifar-10", 10, "lr = 0.03\nweight-decay = 2.5e-4\n",
         "conv1.weight=0.4,conv2.weight=0.7,conv3.weight=0.6,conv4.weight=0.3,fc1.weight=0.4,"
         "bias=0.5",
         "ep.beta = 0.1\nep.nudged-steps = 20\n"),
     .differs = kStudyDiffers + "; published with 100 and with 300 epochs"},
    {.name = "ep-cifar100-best",
     .summary = "four convolutions with a linear output state on CIFAR-100, the authors' best",
     .source = kStudy,
     .settings = comparative(
         "cifar-100", 100,
         "lr = 0.03\nlr-of = \"conv2=1.3333333,conv3=1.3333333,conv4=1.3333333,fc=0.8333333\"\n"
         "weight-decay = 3.5e-4\n",
         "conv1.weight=0.5,conv2.weight=0.4,conv3.weight=0.5,conv4.weight=0.8,fc1.weight=0.5,"
         "bias=0.5",
         "ep.beta = 0.25\nep.nudged-steps = 15\n"),
     .differs = kStudyDiffers},
});

}  // namespace

}  // namespace altprop::presets_of::equilibrium_propagation_conv
