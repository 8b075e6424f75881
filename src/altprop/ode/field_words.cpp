// Right-hand sides that hold a derivative, in network texts: the only operation in the braces of an
// ode.
//
//   chain: ode{flow{linear 64, tanh, linear 2} time=gate} solver=dopri5      a flow; see cnf for
//   all chain: ode{energy{circular-pad 1, conv1d 64 k=3, tanh, conv1d 1 k=1} by=D2 dx=0.2}
//   solver=dopri8
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/block.h"
#include "altprop/ode/energy_field.h"
#include "altprop/ode/flow_field.h"
#include "altprop/ode/words.h"

namespace altprop::ode {

namespace {

template <class Names>
size_t place_of(const std::string& name, const Names& names) {
  return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

/// State and time, as the graph around gives them.
std::vector<int> with_time_of(Builder& net, const std::vector<int>& in, const std::string& word) {
  const int t = time_of(net.graph());
  if (t < 0)
    throw UsageError("there is no time here; " + word +
                     " stands in the braces of an ode, as in ode{" + word +
                     "{linear 64, tanh, linear 2}}");
  return {in[0], t};
}

struct FlowWord : Word {
  std::string trace = "exact", in_evaluation = "exact", time = "none";

  void declare(Options& o) override {
    o.choice("trace", trace, trace_names(),
             {"trace of the Jacobian: exact, or one sample of noise e^T J e, normal or of signs",
              "", "Grathwohl et al. 2019, arXiv 1810.01367"});
    o.choice("eval-trace", in_evaluation, {"exact", "same"},
             {"trace outside of training: exact, or what trace says"});
    o.choice(
        "time", time, {"none", "concat", "gate"},
        {"in chain: how the time enters linear maps and convolutions in the braces, as of ode"});
  }
  Body body(const Spec& input) const override {
    Spec z = input;
    if (z.shape.size() != 1 || z.shape[0] < 2)
      throw Refusal(
          "flow",
          "it is for vectors, a sample's values and one more for its log density, but the "
          "input has shape " +
              shape_text(z.shape),
          "flatten in front, and write ode{...} augment=1 if there is no such value yet");
    --z.shape[0];
    Body out{{{"z", z}, {"t", time_spec()}}};
    time_around_affine(time, out);
    return out;
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(flow_field(inside, {.trace = static_cast<Trace>(place_of(trace, trace_names())),
                                       .exact_in_evaluation = in_evaluation == "exact"}),
                   with_time_of(net, in, "flow"), name, weights_in(*inside));
  }
};

struct EnergyWord : Word {
  std::string by = "identity", time = "none";
  double dx = 1;

  void declare(Options& o) override {
    o.choice(
        "by", by, structure_names(),
        {"what the gradient is multiplied by: canonical (q, p), or a difference along the last "
         "dimension, a periodic grid, D the first, D2 the second",
         "", "Matsubara et al. 2020, arXiv 1905.08604"});
    o.number("dx", dx, {.min = 0, .max = 1e9, .min_excluded = true},
             {"by=D and D2: spacing of the grid", "length"});
    o.choice(
        "time", time, {"none", "concat", "gate"},
        {"in chain: how the time enters linear maps and convolutions in the braces, as of ode"});
  }
  Body body(const Spec& input) const override {
    Body out{{{"z", input}, {"t", time_spec()}}};
    time_around_affine(time, out);
    return out;
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    if (dx != 1 && by != "D" && by != "D2")
      throw UsageError("dx has no effect with by=" + by + "; leave it out");
    return net.add(
        energy_field(inside, static_cast<Structure>(place_of(by, structure_names())), dx),
        with_time_of(net, in, "energy"), name, weights_in(*inside));
  }
};

const RegisterWord registered_flow_word{
    {.name = "flow",
     .aliases = {},
     .summary = "velocity of a normalising flow with the change of log density, inside of an ode",
     .positional = {},
     .make = [] { return std::make_unique<FlowWord>(); },
     .braces = true}};
const RegisterWord registered_energy_word{{.name = "energy",
                                           .aliases = {},
                                           .summary = "gradient of an energy, inside of an ode",
                                           .positional = {},
                                           .make = [] { return std::make_unique<EnergyWord>(); },
                                           .braces = true}};

}  // namespace

}  // namespace altprop::ode
