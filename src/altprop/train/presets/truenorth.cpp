// Networks with probabilistic synapses for TrueNorth. S. Esser, R. Appuswamy, P. Merolla, J.
// Arthur, D. Modha, "Backpropagation for Energy-Efficient Neuromorphic Computing", NIPS 2015, pp.
// 1117-1125. The abstract gives two figures and no settings: 92.7 % at 0.408 uJ an image with one
// network, 99.42 % at 121 uJ with an ensemble of 64. Divided by the power of a core they belong to
// networks of 5 and of 30 cores.
#include "altprop/base/text.h"
#include "altprop/train/presets.h"

namespace altprop::presets_of::truenorth {

namespace {

/// @param rate of the connections: with 0.02 a class of the deep network may die in the first
/// epoch, its neurons far from where they would learn
Preset of_cores(int cores, const char* rate, const char* published) {
  return {.name = text::cat("truenorth-mnist-", cores),
          .summary = text::cat(cores, " cores with probabilistic synapses on MNIST"),
          .source = "Esser et al. 2015, NIPS, pp. 1117-1125",
          .settings = text::cat("data = \"mnist\"\nnet = \"truenorth:", cores, R"("
optimizer = "adam"
)",
                                "lr = ", rate, R"(
lr-of = ["leaks=5"]
schedule = "cosine"
batch = 100
epochs = 20
[data-options]
normalise = "unit"
)"),
          .published = published,
          .differs =
              "the published figures are those of deployed networks (altprop deploy), and which "
              "network they belong to is concluded from the energies; optimizer, rates, batch, "
              "epochs, loss and augmentation of the publication are not known here"};
}

const RegisterPresets truenorth({
    of_cores(5, "0.02", "92.7 % by one drawn network"),
    of_cores(30, "0.01", "99.42 % by 64 drawn networks"),
});

}  // namespace

}  // namespace altprop::presets_of::truenorth
