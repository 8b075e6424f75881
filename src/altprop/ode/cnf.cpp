// Continuous normalising flows from one line of text.
//
//   cnf:2:64x3:tanh:T=0.5
//   cnf:*:860x2:softplus:trace=hutchinson,blocks=2
//
// W. Grathwohl, R. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD: free-form continuous
// dynamics for scalable reversible generative models", 2019, arXiv 1810.01367.
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/ode/flow.h"
#include "altprop/ode/time_gate.h"
#include "altprop/ode/with_time.h"

namespace altprop::ode {

namespace {

template <class T>
T chosen(const std::string& name, const std::vector<std::string>& names) {
  return static_cast<T>(std::find(names.begin(), names.end(), name) - names.begin());
}

const std::vector<std::string> kLearntTimes = {"no", "plain", "sqrt"};

struct Cnf : Architecture {
  std::string size = "*", hidden, activation = "tanh", layer = "concatsquash", trace = "exact",
              in_evaluation = "exact", learnt = "sqrt";
  int64_t blocks = 1;
  Problem problem{.sizes = {.rtol = 1e-5, .atol = 1e-5}};

  void declare(Options& o) override {
    StepSizes& s = problem.sizes;
    o.checked_text(
        "size", size, "a number, or *",
        [](const std::string& written) {
          const auto number = text::to_integer(written);
          if (written != "*" && !(number && *number >= 1 && *number <= kLargestWidth))
            throw UsageError("the number of values of a sample, or * for that of the data");
        },
        {"number of values of a sample"});
    o.checked_text("hidden", hidden, "widths",
                   [](const std::string& written) { parse_sizes(written, {}); },
                   {"widths of the hidden layers, as 64x3 or 64-64-64"});
    o.checked_text("activation", activation, "", check_activation,
                   {"smooth function of the hidden layers"});
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
    o.number("atol", s.atol, {.min = 0, .max = 1e9},
             {"tolerance of a step's error", "of the state"});
    o.integer("max-steps", s.max_steps, {.min = 1, .max = 1e9},
              {"steps tried before the run ends with an error", "steps"});
  }

  std::shared_ptr<Graph> velocity(int64_t width, const SizeLimits& limits) const {
    Builder net = Builder::without_input(limits);
    const int z = net.input({width}, "z"), t = net.graph().input(time_spec(), "t");
    net.from(z);
    const auto add_layer = [&](int64_t out) {
      if (layer == "concat") net.join(with_time(-1), {net.here(), t});
      net.linear(out);
      if (layer == "concatsquash") net.join(time_gate(-1), {net.here(), t});
    };
    for (const Size& one : parse_sizes(hidden, {})) {
      add_layer(one.value);
      net.activation(activation);
    }
    add_layer(width);
    return std::make_shared<Graph>(net.finish());
  }

  Graph make(const InputInfo& info) const override {
    if (hidden.empty())
      throw UsageError(
          "network 'cnf': the widths of the hidden layers are missing, write for example "
          "cnf:2:64x3:tanh");
    const StepSizes usual = Cnf().problem.sizes, &s = problem.sizes;
    if (s.steps > 0 &&
        (s.rtol != usual.rtol || s.atol != usual.atol || s.max_steps != usual.max_steps))
      throw UsageError(
          "network 'cnf': with steps= all steps are equal, so that rtol, atol and "
          "max-steps have no effect; leave them or steps out");
    if (trace == "exact" && in_evaluation == "same")
      throw UsageError(
          "network 'cnf': eval-trace=same has no effect with trace=exact; leave it out");
    if (info.vocabulary > 0)
      throw UsageError(
          "network 'cnf': the data are sequences of token numbers, which have no density");
    const int64_t stated = size == "*" ? 0 : text::to_integer(size).value();
    Builder net(input_shape_of("cnf", stated, info), info.limits);
    if (net.shape().size() > 1) net.flatten();
    const int64_t width = net.shape()[0];
    net.then(zero_channels(1), "log_density");
    Problem full = problem;
    full.learnt_time = chosen<LearntTime>(learnt, kLearntTimes);
    for (int64_t k = 0; k < blocks; ++k) {
      auto f = std::make_shared<Graph>();
      const int state = f->input({{width + 1}}, "z"), t = f->input(time_spec(), "t");
      const std::shared_ptr<Graph> g = velocity(width, info.limits);
      double weights = 0;
      for (const ParamPtr& param : g->params())
        weights += static_cast<double>(param->value.numel());
      f->output(f->add(flow_field(g, {.trace = chosen<Trace>(trace, trace_names()),
                                      .exact_in_evaluation = in_evaluation == "exact"}),
                       {state, t}, "flow"));
      net.from(net.add(block(f, full), {net.here()}, text::cat("ode", k + 1), weights));
    }
    return net.finish();
  }
};

const RegisterArchitecture registered_cnf{
    {.name = "cnf",
     .summary =
         "continuous normalising flow: values to normal ones, with the change of log density",
     .grammar = "cnf:values:hidden[:activation][:option=value,...]",
     .example = "cnf:2:64x3:tanh:T=0.5",
     .source = "Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud 2019, arXiv 1810.01367",
     .positional = {"size", "hidden", "activation"},
     .density = true,
     .make = [] { return std::make_unique<Cnf>(); },
     .order = 60}};

}  // namespace

}  // namespace altprop::ode
