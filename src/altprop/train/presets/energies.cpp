// Physical systems by the gradient of an energy. T. Matsubara, Y. Miyatake, T. Yaguchi 2021, arXiv
// 2102.09750, with data and network (HNN++) of T. Matsubara, A. Ishikawa, T. Yaguchi 2020, arXiv
// 1905.08604 (code).
#include "altprop/base/text.h"
#include "altprop/train/presets.h"

namespace altprop::presets_of::energies {

namespace {

Preset of_system(const char* name, const char* data, const char* by, double dx, double dt) {
  return {.name = name,
          .summary = text::cat("energy network for ", data, ", from one snapshot to the next"),
          .source = "Matsubara, Miyatake, Yaguchi 2021, arXiv 2102.09750",
          .settings = text::cat(
              "data = \"", data,
              "\"\nnet = \"chain: ode{energy{circular-pad 1, conv1d 200 k=3, tanh, conv1d "
              "200 k=1, tanh, conv1d 1 k=1 bias=false} by=",
              by, " dx=", dx, "} solver=dopri8 T=", dt, " rtol=1e-7 atol=1e-9, flatten\"\n",
              R"(loss = "squared-error"
init = "orthogonal"
dtype = "float64"
optimizer = "adam"
lr = 1e-3
batch = 200
epochs = 45
max-steps = 10000
ode.gradient = "symplectic"
)"),
          .differs =
              "the published figures are not known here; tolerances are the defaults of the "
              "authors' code"};
}

const RegisterPresets energies({
    of_system("hnn-kdv", "kdv", "D", 0.2, 1e-3),
    of_system("hnn-cahn-hilliard", "cahn-hilliard", "D2", 0.02, 1e-4),
});

}  // namespace

}  // namespace altprop::presets_of::energies
