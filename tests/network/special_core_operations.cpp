// Those of cores with probabilistic synapses.
#include "altprop/cores/class_sums.h"
#include "altprop/cores/core_layer.h"
#include "altprop/cores/normal.h"
#include "altprop/cores/probabilities.h"
#include "network/special_operations.h"

namespace altprop::test {

namespace {

const cores::CoreLayout& two_cores() {
  static const cores::CoreLayout layout{.inputs = 7,
                                        .axons = {{0, 1, 2, 3}, {3, 4, 5, 6}},
                                        .neurons = {3, 2},
                                        .groups = {1, 1},
                                        .columns = 2};
  return layout;
}

/// Of sums that are infinite nothing is left to chance, so that they are cut off.
Tensor layer_of_cores(Values v) {
  const auto [types, strengths] =
      cores::draw_strengths(two_cores(), cores::StrengthKind::Permuted, Stream(0).at("cores").at(0));
  std::vector<Tensor> out;
  for (int64_t core = 0; core < 2; ++core) {
    const int64_t from = two_cores().first_output(core), n = two_cores().neurons[core];
    const Tensor x = v[0].narrow(1, 3 * core, 4), c = v[1].narrow(0, from, n),
                 s = strengths.narrow(0, from, n).to(x.scalar_type());
    const Tensor cs = c * s, mu = at::mm(x, cs.t()) + v[2].narrow(0, from, n);
    const Tensor raw = at::mm(x, (cs * s).t()) - at::mm(x * x, (cs * cs).t());
    const double least = cores::least_variance(x.scalar_type());
    const Tensor var = at::where(raw.lt(least), at::full_like(raw.detach(), least), raw);
    const Tensor cut =
        at::where(mu.isinf().logical_and(var.isfinite()), mu.sign().detach() * 1e6, mu);
    out.push_back(0.5 * (1 + at::erf(cut / at::sqrt(2 * var))));
  }
  return at::cat(out, 1);
}

}  // namespace

std::vector<Special> core_operations() {
  std::vector<Special> out;
  out.push_back({.name = "cores",
                 .words = {"cores"},
                 .make = [] { return cores::core_layer(two_cores()); },
                 .shapes = {{3, 7}},
                 .library = layer_of_cores,
                 .in_terms = true,
                 .flat_far_out = true});
  out.push_back({.name = "probabilities",
                 .words = {"probabilities"},
                 .make = [] { return cores::probabilities(); },
                 .shapes = {{3, 5}},
                 .library = [](Values v) { return v[0] * 1; },
                 .unit_interval = true});
  out.push_back({.name = "class_sums",
                 .words = {"class-sums"},
                 .make = [] { return cores::class_sums(3); },
                 .shapes = {{3, 6}},
                 .library = [](Values v) { return v[0].view({3, 2, 3}).sum(1); }});
  return out;
}

}  // namespace altprop::test
