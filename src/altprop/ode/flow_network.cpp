#include "altprop/ode/flow_network.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/build/sizes.h"
#include "altprop/ode/time_gate.h"
#include "altprop/ode/with_time.h"
#include "altprop/ode/words.h"

namespace altprop::ode {

namespace {

template <class T>
T chosen(const std::string& name, const std::vector<std::string>& names) {
  return static_cast<T>(std::find(names.begin(), names.end(), name) - names.begin());
}

const std::vector<std::string> kLearntTimes = {"no", "plain", "sqrt"};

}  // namespace

void FlowNetwork::declare_hidden(Options& o, const std::string& what) {
  o.checked_text("hidden", hidden, "widths",
                 [](const std::string& written) { parse_sizes(written, {}); },
                 {what + " of the hidden layers, as 64x3 or 64-64-64"});
  o.checked_text("activation", activation, "", check_activation,
                 {"smooth function of the hidden layers"});
}

void FlowNetwork::declare_flow(Options& o) {
  StepSizes& s = problem.sizes;
  o.choice(
      "layer", layer, {"concatsquash", "concat", "plain"},
      {"how the time enters a layer: concatsquash (W x + b) sigmoid(g t + g_0) + h t, concat as "
       "one more input, plain not at all",
       "", "Grathwohl et al. 2019, arXiv 1810.01367"});
  o.choice("trace", trace, trace_names(),
           {"trace of the Jacobian: exact, or one sample of noise e^T J e, normal or of signs",
            "", "Grathwohl et al. 2019, arXiv 1810.01367"});
  o.choice("eval-trace", in_evaluation, {"exact", "same"},
           {"trace outside of training: exact, or what trace says"});
  o.integer("blocks", blocks, {.min = 1, .max = 1000},
            {"flows behind each other, each with a network and a T of its own", "blocks"});
  o.choice("solver", problem.solver, scheme_names(), {"explicit one-step method"});
  o.number("T", problem.end_time, {.min = 0, .max = 1e9, .min_excluded = true},
           {"end of the integration, which begins at 0", "time"});
  o.choice("learn-T", learnt, kLearntTimes,
           {"T is a parameter: itself, or its square root, which keeps it positive"});
  o.integer("steps", s.steps, {.min = 0, .max = 1e6},
            {"equal steps; 0: as many as the tolerances ask for", "steps"});
  o.number("rtol", s.rtol, {.min = 0, .max = 1},
           {"tolerance of a step's error relative to the state", "1"});
  o.number("atol", s.atol, {.min = 0, .max = 1e9}, {"tolerance of a step's error", "of the state"});
  o.integer("max-steps", s.max_steps, {.min = 1, .max = 1e9},
            {"steps tried before the run ends with an error", "steps"});
}

void FlowNetwork::expect_usable(const std::string& network, const InputInfo& info) const {
  const std::string where = "network '" + network + "': ";
  if (hidden.empty())
    throw UsageError(where + "the widths of the hidden layers are missing, write for example " +
                     network + (network == "cnf" ? ":2:64x3:tanh" : ":64x3"));
  const StepSizes usual{.rtol = 1e-5, .atol = 1e-5}, &s = problem.sizes;
  if (s.steps > 0 &&
      (s.rtol != usual.rtol || s.atol != usual.atol || s.max_steps != usual.max_steps))
    throw UsageError(where +
                     "with steps= all steps are equal, so that rtol, atol and max-steps have no "
                     "effect; leave them or steps out");
  if (trace == "exact" && in_evaluation == "same")
    throw UsageError(where + "eval-trace=same has no effect with trace=exact; leave it out");
  if (info.vocabulary > 0)
    throw UsageError(where + "the data are sequences of token numbers, which have no density");
}

std::vector<int64_t> FlowNetwork::hidden_sizes() const {
  std::vector<int64_t> out;
  for (const Size& one : parse_sizes(hidden, {})) out.push_back(one.value);
  return out;
}

FlowNetwork::AddLayer FlowNetwork::timed(int t, int64_t dim, const AddLayer& affine) const {
  return [this, t, dim, affine](Builder& g, int64_t out) {
    if (layer == "concat") g.join(with_time(dim), {g.here(), t});
    affine(g, out);
    if (layer == "concatsquash") g.join(time_gate(dim), {g.here(), t});
  };
}

void FlowNetwork::add_flow(Builder& net, std::shared_ptr<Graph> g, const std::string& name) const {
  Problem full = problem;
  full.learnt_time = chosen<LearntTime>(learnt, kLearntTimes);
  auto f = std::make_shared<Graph>();
  const int state = f->input({net.shape()}, "z"), t = f->input(time_spec(), "t");
  const double weights = weights_in(*g);
  f->output(f->add(flow_field(std::move(g), {.trace = chosen<Trace>(trace, trace_names()),
                                             .exact_in_evaluation = in_evaluation == "exact"}),
                   {state, t}, "flow"));
  net.from(net.add(block(std::move(f), full), {net.here()}, name, weights));
}

}  // namespace altprop::ode
