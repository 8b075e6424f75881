// Networks of first spike times. M. Zhang et al. 2020, arXiv 2003.11837; the windows are those of
// W. Wei et al. 2023, ICCV, with the settings of their code (github.com/Wenjie-Wei/DTA-TTFS) where
// they are known.
#include "altprop/train/presets.h"

namespace altprop::presets_of::relpsp {

namespace {

const std::string kUnread =
    "the publication's figure and settings could not be read; loss, rate and initial weights are "
    "ours";

const RegisterPresets registered({
    {.name = "relpsp-mnist",
     .summary = "784-800-10 units that fire once, at a fixed threshold, on MNIST",
     .source = "Zhang et al. 2020, arXiv 2003.11837",
     .settings = R"(
data = "mnist"
net = "relpsp:784-800-10"
loss = "spike-cross-entropy"
optimizer = "adam"
lr = 1e-3
schedule = "cosine"
batch = 64
epochs = 20
data-options.normalise = "unit"
)",
     .differs = kUnread},
    {.name = "relpsp-mnist-conv",
     .summary = "16C5-P2-32C5-P2-800-128-10, each layer in a window of its own, on MNIST",
     .source = "Zhang et al. 2020, arXiv 2003.11837 (network); Wei et al. 2023, ICCV (windows)",
     .settings = R"(
data = "mnist"
net = "chain: latency, relpsp-window-conv 16 k=5 p=1, earliest-pool 2, relpsp-window-conv 32 k=5 p=1, earliest-pool 2, relpsp-window 128, membrane *"
optimizer = "adamw"
lr = 1e-3
schedule = "cosine"
batch = 64
epochs = 20
data-options.normalise = "unit"
)",
     .differs = kUnread + "; the published network is read as 5x5 kernels with padding 1"},
});

}  // namespace

}  // namespace altprop::presets_of::relpsp
