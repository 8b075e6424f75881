// ODE blocks in network texts.
//
//   chain: linear 16, ode{linear 32, tanh, linear 16} solver=dopri5 rtol=1e-3 time=concat, linear *
//   dag: y = ode(x, solver=rk4, steps=8){ h = tanh(linear(with-time(z), 64)); output linear(h, 2) }
//
// In the braces stands f(t, z): z is the state, t the time, which `with-time` appends. In dag, nodes
// from outside are constants in it.
#include <algorithm>

#include "altprop/network/build/words.h"
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/block.h"
#include "altprop/ode/time_gate.h"
#include "altprop/ode/with_time.h"
#include "altprop/ode/words.h"

namespace altprop::ode {

double weights_in(const Graph& graph) {
  double out = 0;
  for (const ParamPtr& param : graph.params()) out += static_cast<double>(param->value.numel());
  return out;
}

int time_of(const Graph& graph) {
  for (int input : graph.input_nodes())
    if (graph.node(input).name == "t" && (graph.node(input).spec == time_spec() ||
                                          graph.node(input).spec == sample_time_spec()))
      return input;
  return -1;
}

void time_around_affine(const std::string& time, Body& body) {
  if (time == "concat") body.before_affine = "with-time";
  if (time == "gate") body.after_affine = "time-gate";
}

namespace {

constexpr int64_t kMostOutputs = 10'000;

/// "0.25/0.5/1" as ascending times; what they have to be else is the block's to say.
std::vector<double> times_in(const std::string& written) {
  std::vector<double> out;
  for (const std::string& part : text::split(written, '/')) {
    const auto time = text::to_number(text::trim(part));
    if (!time || !(*time >= 0) || !(*time < 1e9) ||
        static_cast<int64_t>(out.size()) == kMostOutputs || (!out.empty() && *time <= out.back()))
      throw UsageError("ascending times joined by /, as in 0.25/0.5/1");
    out.push_back(*time);
  }
  return out;
}

struct OdeWord : Word {
  Problem problem;
  std::string time = "none", controller = "i", on_max_steps = "stop", learnt = "no",
              steps_of = "batch";
  std::string times, jumps;
  int64_t outputs = 1, augment = 0;

  void declare(Options& o) override {
    StepSizes& s = problem.sizes;
    o.choice("solver", problem.solver, scheme_names(), {"explicit one-step method"});
    o.number("T", problem.end_time, {.min = 0, .max = 1e9, .min_excluded = true},
             {"end of the integration, which begins at 0", "time"});
    o.choice("learn-T", learnt, {"no", "plain", "sqrt"},
             {"T is a parameter: itself, or its square root, which keeps it positive"});
    o.integer("outputs", outputs, {.min = 1, .max = kMostOutputs},
              {"states at as many evenly spaced times up to T, stacked"});
    o.checked_text("times", times, "times joined by /", [](const std::string& s) { times_in(s); },
                   {"times at which states are read, stacked; the last one is T", "time"});
    o.checked_text("jumps", jumps, "times joined by /", [](const std::string& s) { times_in(s); },
                   {"times at which f jumps: steps end there", "time"});
    o.integer("steps", s.steps, {.min = 0, .max = 1e6},
              {"equal steps to each output and jump; 0: as many as the tolerances ask for",
               "steps"});
    o.number("step", s.step, {.min = 0, .max = 1e9},
             {"length of equal steps, the last one in front of an output or a jump shorter; 0: as "
              "steps says",
              "time"});
    o.number("rtol", s.rtol, {.min = 0, .max = 1},
             {"tolerance of a step's error relative to the state", "1", "SciPy's solve_ivp"});
    o.number("atol", s.atol, {.min = 0, .max = 1e9},
             {"tolerance of a step's error", "of the state", "SciPy's solve_ivp"});
    o.number("first-step", s.first_step, {.min = 0, .max = 1e9},
             {"first step size; 0: estimated", "time", "Hairer, Norsett, Wanner 1993, II.4"});
    o.integer("max-steps", s.max_steps, {.min = 1, .max = 1e9},
              {"steps tried before the run ends with an error", "steps"});
    o.choice("controller", controller, control_names(),
             {"how steps follow the errors: i by the last one, pi and pid smoother", "",
              "Hairer, Norsett, Wanner 1993; Soderlind 2003"});
    o.number("min-step", s.min_step, {.min = 0, .max = 1e9},
             {"shortest step, which is accepted whatever its error", "time"});
    o.number("max-step", s.max_step, {.min = 0, .max = 1e9}, {"longest step; 0: any", "time"});
    o.choice("on-max-steps", on_max_steps, {"stop", "return"},
             {"after max-steps: an error, or the state that was reached"});
    o.choice("steps-of", steps_of, {"batch", "sample"},
             {"adaptive: all samples of a batch share the steps, or each has its own, as if it were "
              "alone"});
    o.flag("reference-steps", s.reference_steps,
           {"adaptive: behind an output or a jump steps grow from the one that was cut there", "",
            "Matsubara et al. 2021, arXiv 2102.09750"});
    o.number("eta", problem.eta, {.min = 0.5, .max = 1, .min_excluded = true},
             {"damping of solver alf; 1: none", "1", "Zhuang et al. 2021, arXiv 2102.04668"});
    o.number("coupling", problem.coupling, {.min = 0, .max = 1},
             {"makes a Runge-Kutta method reversible, with two states that are coupled so; 0: as it is",
              "1", "McCallum, Foster 2024, arXiv 2410.11648"});
    o.flag("interpolate", problem.interpolate,
           {"outputs are read on the way of steps, which do not end there"});
    o.integer("augment", augment, {.min = 0, .max = 1e6},
              {"channels of zeros that the state has beside the input's", "channels",
               "Dupont, Doucet, Teh 2019, arXiv 1904.01681"});
    o.choice("time", time, {"none", "concat", "gate"},
             {"in chain: concat appends the time to the input of every linear map and convolution "
              "in the braces, gate lets it gate and shift their outputs"});
  }

  Body body(const Spec& input) const override {
    Spec state = input;
    if (!state.shape.empty()) state.shape[0] += augment;
    Body out{{{"z", state}, {"t", steps_of == "sample" ? sample_time_spec() : time_spec()}}};
    out.constants = true;
    time_around_affine(time, out);
    return out;
  }

  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const Problem full = problem_written();
    const StepSizes usual, &s = full.sizes;
    if (!s.is_adaptive() && (s.rtol != usual.rtol || s.atol != usual.atol ||
                        s.first_step != usual.first_step || s.max_steps != usual.max_steps ||
                        s.control != usual.control || s.min_step != 0 || s.max_step != 0 ||
                        s.return_early || s.per_sample || s.reference_steps))
      throw UsageError(text::cat(
          "with ", s.steps > 0 ? "steps" : "step",
          "= all steps are equal, so that rtol, atol, first-step, max-steps, controller, min-step, "
          "max-step, on-max-steps, steps-of and reference-steps have no effect; leave them or ",
          s.steps > 0 ? "steps" : "step", " out"));
    std::vector<int> inputs = in;
    if (augment > 0)
      inputs[0] = net.add(zero_channels(augment), {in[0]}, name.empty() ? "" : name + "_zeros");
    return net.add(block(inside, full), inputs, name, weights_in(*inside));
  }

 private:
  Problem problem_written() const {
    Problem out = problem;
    const auto index = [](const std::string& word, const std::vector<std::string>& words) {
      return std::find(words.begin(), words.end(), word) - words.begin();
    };
    out.sizes.control = static_cast<Control>(index(controller, control_names()));
    out.sizes.return_early = on_max_steps == "return";
    out.sizes.per_sample = steps_of == "sample";
    out.learnt_time = static_cast<LearntTime>(index(learnt, {"no", "plain", "sqrt"}));
    if (!jumps.empty()) out.jumps = times_in(jumps);
    if (!times.empty()) {
      if (outputs > 1)
        throw UsageError("outputs and times both say where states are read; leave one out");
      out.outputs = times_in(times);
      if (out.end_time == Problem().end_time) out.end_time = out.outputs.back();
    } else if (outputs > 1) {
      for (int64_t k = 1; k <= outputs; ++k)
        out.outputs.push_back(k == outputs ? out.end_time
                                           : out.end_time * static_cast<double>(k) /
                                                 static_cast<double>(outputs));
    }
    if (out.interpolate && out.outputs.size() < 2)
      throw UsageError(
          "interpolate reads outputs on the way of steps, but the state at T is all that is read; give "
          "outputs or times, or leave interpolate out");
    return out;
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

struct TimeGateWord : Word {
  int64_t dim = 1;
  void declare(Options& o) override {
    o.integer("dim", dim, {.min = -1, .max = 8},
              {"dimension of the channels: 1 the first of a sample, -1 the last"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const int t = time_of(net.graph());
    if (t < 0) throw UsageError("there is no time here; time-gate stands in the braces of an ode");
    return net.add(time_gate(dim), {in[0], t}, name);
  }
};

const RegisterWord registered_time_gate_word{
    {.name = "time-gate",
     .aliases = {},
     .summary = "values gated and shifted by the time, inside of an ode",
     .positional = {},
     .make = [] { return std::make_unique<TimeGateWord>(); }}};
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
