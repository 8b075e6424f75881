// Experiments of G. Li, M. Benna, 2024, arXiv 2405.20594, with the settings of the authors' code.
#include "altprop/train/presets.h"

namespace altprop::presets_of::product_feedback_alignment {

namespace {

const std::string kSource = "Li, Benna 2024, arXiv 2405.20594 (code)";
const std::string kClaim = "comparable to backprop, above feedback alignment; no figure";
const std::string kBest =
    "the test set is the authors' validation set, whose best epoch they report";

const std::string kMnist = R"(
data = "mnist"
net = "mlp:784-512-512-10:relu"
optimizer = "momentum"
lr = 0.01
schedule = "step"
milestones = ["20", "30"]
gamma = 0.5
batch = 64
epochs = 40
drop-last = true
)";

const std::string kCifar = R"(
data = "cifar-10"
data-options.validation = 5000
net = "resnet-20"
optimizer = "momentum"
lr = 0.1
schedule = "step"
milestones = ["100", "150", "200"]
gamma = 0.1
batch = 128
epochs = 250
drop-last = true
crop = 4
flip = true
weight-decay = 1e-4
rule = "product-feedback-alignment"
rule-options.pfa.align-decay = 5e-3
)";

const std::string kPfaMnist = kMnist + R"(
rule = "product-feedback-alignment"
weight-decay = 9e-5
rule-options.pfa.align-decay = 0.03
)";

const std::string kDense = "rule-options.pfa.expand = \"10\"\n";
const std::string kOrthogonal = "rule-options.pfa.expand = \"ortho\"\n";

const RegisterPresets registered({
    {.name = "pfa-mnist",
     .summary = "product feedback alignment, tenfold expansion, on MNIST",
     .source = kSource,
     .settings = kPfaMnist + kDense,
     .published = kClaim,
     .measured = "98.32 % (seed 1)",
     .differs = kBest},
    {.name = "pfa-mnist-ortho",
     .summary = "product feedback alignment with orthogonal matrices on MNIST",
     .source = kSource,
     .settings = kPfaMnist + kOrthogonal,
     .published = kClaim,
     .differs = kBest},
    {.name = "pfa-mnist-bp",
     .summary = "backprop on MNIST, the baseline of product feedback alignment",
     .source = kSource,
     .settings = kMnist + "rule = \"backprop\"\nweight-decay = 1e-4\n",
     .published = "98.41 ± 0.04 % (best epoch, 5 seeds)",
     .measured = "98.36 % (seed 1)",
     .differs = kBest},
    {.name = "pfa-cifar10",
     .summary = "product feedback alignment, tenfold expansion, ResNet-20 on CIFAR-10",
     .source = kSource,
     .settings = kCifar + kDense,
     .published = kClaim},
    {.name = "pfa-cifar10-ortho",
     .summary = "product feedback alignment with orthogonal matrices, ResNet-20 on CIFAR-10",
     .source = kSource,
     .settings = kCifar + kOrthogonal,
     .published = kClaim},
});

}  // namespace

}  // namespace altprop::presets_of::product_feedback_alignment
