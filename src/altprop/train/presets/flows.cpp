// Continuous normalising flows on tables. T. Matsubara, Y. Miyatake, T. Yaguchi 2021, arXiv
// 2102.09750, with the networks and settings of W. Grathwohl, R. Chen, J. Bettencourt, I.
// Sutskever, D. Duvenaud 2019, arXiv 1810.01367 (code). The tables are those of G. Papamakarios, T.
// Pavlakou, I. Murray 2017, arXiv 1705.07057, which their users bring: arrays of NumPy, a tenth of
// the samples for the test.
#include "altprop/base/text.h"
#include "altprop/train/presets.h"

namespace altprop::presets_of::flows {

namespace {

struct FlowTable {
  const char* name;
  int values, width, layers, blocks;
  const char* activation;
};

Preset of_table(const FlowTable& t) {
  const std::string name = t.name;
  return {.name = "cnf-" + name,
          .summary = text::cat(t.blocks, t.blocks == 1 ? " flow" : " flows", " of ", t.values,
                               " values with ", t.layers, " hidden layers of ", t.width),
          .source = "Matsubara, Miyatake, Yaguchi 2021, arXiv 2102.09750",
          .settings = text::cat("data = \"npy\"\nnet = \"cnf:", t.values, ":", t.width, "x",
                                t.layers, ":", t.activation, ":trace=hutchinson,blocks=", t.blocks,
                                ",rtol=1e-6,atol=1e-8\"\n",
                                R"(loss = "likelihood"
init = "kaiming"
optimizer = "adam"
lr = 1e-3
weight-decay = 1e-6
batch = 1000
epochs = 500
early-stop = 30
ode.gradient = "symplectic"
[data-options]
npy.task = "unlabelled"
)",
                                "npy.train-x = \"", name, "/train.npy\"\nnpy.test-x = \"", name,
                                "/test.npy\"\nvalidation = 0.1\n"),
          .differs =
              "the published figures are not known here; widths and numbers of flows are taken to "
              "be those "
              "of the code of arXiv 1810.01367; the rate does not fall by ten at a third and two "
              "thirds of "
              "the patience; training samples alone set mean and deviation; epochs are ours"};
}

const Preset kMnist = {
    .name = "cnf-mnist",
    .summary = "ten flows in three scales with 3 x 64 channels on MNIST",
    .source = "Matsubara, Miyatake, Yaguchi 2021, arXiv 2102.09750",
    .settings = R"(data = "mnist"
net = "cnf-image:64x3:softplus"
loss = "likelihood"
init = "kaiming"
optimizer = "adam"
lr = 1e-3
batch = 200
epochs = 1000
ode.gradient = "symplectic"
[data-options]
normalise = "unit"
)",
    .differs =
        "the published figures are not known here; the network and its settings are those of the "
        "code of arXiv 1810.01367 (solver tolerances 1e-5, logit of 1e-6 and more), whose rate grows "
        "over the first 1000 iterations; hidden channels and flows of the publication may be others"};

const RegisterPresets flows({
    of_table({"power", 6, 60, 3, 5, "tanh"}),
    of_table({"gas", 8, 160, 3, 5, "tanh"}),
    of_table({"hepmass", 21, 210, 2, 10, "softplus"}),
    of_table({"miniboone", 43, 860, 2, 1, "softplus"}),
    of_table({"bsds300", 63, 1260, 3, 2, "softplus"}),
    kMnist,
});

}  // namespace

}  // namespace altprop::presets_of::flows
