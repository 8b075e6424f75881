// Continuous normalising flows from one line of text.
//
//   cnf:2:64x3:tanh:T=0.5
//   cnf:*:860x2:softplus:trace=hutchinson,blocks=2
//
// W. Grathwohl, R. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD: free-form continuous
// dynamics for scalable reversible generative models", 2019, arXiv 1810.01367.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/build/sizes.h"
#include "altprop/ode/flow_network.h"
#include "altprop/ode/time_gate.h"

namespace altprop::ode {

namespace {

struct Cnf : FlowNetwork {
  std::string size = "*";

  void declare(Options& o) override {
    o.checked_text(
        "size", size, "a number, or *",
        [](const std::string& written) {
          const auto number = text::to_integer(written);
          if (written != "*" && !(number && *number >= 1 && *number <= kLargestWidth))
            throw UsageError("the number of values of a sample, or * for that of the data");
        },
        {"number of values of a sample"});
    declare_hidden(o, "widths");
    declare_flow(o);
  }

  std::shared_ptr<Graph> velocity(int64_t width, const SizeLimits& limits) const {
    Builder g = Builder::without_input(limits);
    const int z = g.input({width}, "z"), t = g.graph().input(time_spec(), "t");
    g.from(z);
    const AddLayer add = timed(t, -1, [](Builder& net, int64_t out) { net.linear(out); });
    for (const int64_t units : hidden_sizes()) {
      add(g, units);
      g.activation(activation);
    }
    add(g, width);
    return std::make_shared<Graph>(g.finish());
  }

  Graph make(const InputInfo& info) const override {
    expect_usable("cnf", info);
    const int64_t stated = size == "*" ? 0 : text::to_integer(size).value();
    Builder net(input_shape_of("cnf", stated, info), info.limits);
    if (net.shape().size() > 1) net.flatten();
    const int64_t width = net.shape()[0];
    net.then(zero_channels(1), "log_density");
    for (int64_t k = 0; k < blocks; ++k)
      add_flow(net, velocity(width, info.limits), text::cat("ode", k + 1));
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
