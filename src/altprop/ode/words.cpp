// ODE blocks in network texts.
//
//   chain: linear 16, ode{linear 32, tanh, linear 16} solver=dopri5 rtol=1e-3 time=concat, linear *
//   dag: y = ode(x, solver=rk4, steps=8){ h = tanh(linear(with-time(z), 64)); output linear(h, 2) }
//
// In the braces stands f(t, z): z is the state, t the time, which `with-time` appends.
#include "altprop/network/build/words.h"
#include "altprop/base/error.h"
#include "altprop/ode/block.h"
#include "altprop/ode/with_time.h"

namespace altprop::ode {

namespace {

/// The input of a graph in braces that is its time, or -1.
int time_of(const Graph& graph) {
  for (int input : graph.input_nodes())
    if (graph.node(input).name == "t" && graph.node(input).spec == time_spec()) return input;
  return -1;
}

struct OdeWord : Word {
  Problem problem;
  std::string time = "none";

  void declare(Options& o) override {
    StepSizes& s = problem.sizes;
    o.choice("solver", problem.solver, tableau_names(), {"explicit Runge-Kutta method"});
    o.number("T", problem.end_time, {.min = 0, .max = 1e9, .min_excluded = true},
             {"end of the integration, which begins at 0", "time"});
    o.integer("steps", s.steps, {.min = 0, .max = 1e6},
              {"equal steps; 0: as many as the tolerances ask for", "steps"});
    o.number("rtol", s.rtol, {.min = 0, .max = 1},
             {"tolerance of a step's error relative to the state", "1", "SciPy's solve_ivp"});
    o.number("atol", s.atol, {.min = 0, .max = 1e9},
             {"tolerance of a step's error", "of the state", "SciPy's solve_ivp"});
    o.number("first-step", s.first_step, {.min = 0, .max = 1e9},
             {"first step size; 0: estimated", "time", "Hairer, Norsett, Wanner 1993, II.4"});
    o.integer("max-steps", s.max_steps, {.min = 1, .max = 1e9},
              {"steps tried before the run ends with an error", "steps"});
    o.choice("time", time, {"none", "concat"},
             {"in chain: concat appends the time to the input of every linear map and convolution "
              "in the braces"});
  }

  Body body(const Spec& input) const override {
    Body out{{{"z", input}, {"t", time_spec()}}};
    if (time == "concat") out.before_affine = "with-time";
    return out;
  }

  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const StepSizes usual, &s = problem.sizes;
    if (s.steps > 0 && (s.rtol != usual.rtol || s.atol != usual.atol ||
                        s.first_step != usual.first_step || s.max_steps != usual.max_steps))
      throw UsageError(
          "with steps= all steps are equal, so that rtol, atol, first-step and max-steps have no "
          "effect; leave them or steps out");
    double weights = 0;
    for (const ParamPtr& param : inside->params())
      weights += static_cast<double>(param->value.numel());
    return net.add(block(inside, problem), in, name, weights);
  }
};

struct WithTimeWord : Word {
  int64_t dim = 1;
  void declare(Options& o) override {
    o.integer("dim", dim, {.min = -1, .max = 8},
              {"dimension that grows by one: 1 the first of a sample, -1 the last"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const int t = time_of(net.graph());
    if (t < 0) throw UsageError("there is no time here; with-time stands in the braces of an ode");
    return net.add(with_time(dim), {in[0], t}, name);
  }
};

const RegisterWord registered_ode_word{{.name = "ode",
                                        .aliases = {},
                                        .summary = "the solution of dz/dt = f(t, z) at the time T",
                                        .positional = {},
                                        .make = [] { return std::make_unique<OdeWord>(); },
                                        .braces = true}};
const RegisterWord registered_with_time_word{
    {.name = "with-time",
     .aliases = {},
     .summary = "the time as one more channel, inside of an ode",
     .positional = {},
     .make = [] { return std::make_unique<WithTimeWord>(); }}};

}  // namespace

}  // namespace altprop::ode
