// Networks whose weights flow, in network texts.
//
//   chain: linear 64, ode-to-ode relu flow=gated gates=10, linear *
//   ode-to-ode:*-64-*:relu:flow=iso,retraction=exp
#include "altprop/network/build/words.h"
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/weight_flow/ode_to_ode.h"

namespace altprop::weight_flow {

namespace {

constexpr const char* kSource = "Choromanski et al. 2020, arXiv 2006.11421";

/// Parameters of the operation on vectors of length d, to be refused before they are allocated.
double parameters_of(const Settings& s, int64_t d) {
  const double square = static_cast<double>(d) * static_cast<double>(d);
  const double hidden = static_cast<double>(s.gates) * static_cast<double>(s.width);
  if (s.flow == "iso") return 4 * square;
  if (s.flow == "constant") return square;
  if (s.flow == "basis") return static_cast<double>(s.terms) * square;
  return (2 + 2 * hidden) * square;
}

int add_to(Builder& net, const Settings& settings, int place, const std::string& name) {
  const std::vector<int64_t>& shape = net.graph().node(place).spec.shape;
  const double weights = shape.size() == 1 ? parameters_of(settings, shape[0]) : 0;
  return net.add(ode_to_ode(settings), {place}, name, weights);
}

struct OdeToOdeWord : Word {
  Settings settings;
  const Options* options = nullptr;
  void declare(Options& o) override {
    settings.declare(o);
    options = &o;
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    settings.check(*options);
    return add_to(net, settings, in[0], name);
  }
};

/// A linear map into the width of the flow, and one out of it.
struct OdeToOdeNet : Architecture {
  std::string sizes;
  Settings settings;
  const Options* options = nullptr;

  void declare(Options& o) override {
    o.checked_text("sizes", sizes, "in-width-out", [](const std::string& s) { parts(s); },
                   {"number of inputs, of values that flow, of outputs"});
    settings.declare(o);
    options = &o;
  }

  static std::vector<Size> parts(const std::string& written) {
    std::vector<Size> out = parse_layer_sizes(written, 3);
    if (out.size() != 3)
      throw UsageError("three sizes, as *-64-*: inputs, values that flow, outputs");
    return out;
  }

  Graph make(const InputInfo& info) const override {
    settings.check(*options);
    if (sizes.empty())
      throw UsageError(
          "network 'ode-to-ode': the sizes are missing, write for example "
          "ode-to-ode:*-64-*");
    const std::vector<Size> list = parts(sizes);
    const int64_t outputs = outputs_of("ode-to-ode", list[2].value, info);
    Builder net(input_shape_of("ode-to-ode", list[0].value, info), info.limits);
    if (net.shape().size() > 1) net.flatten();
    net.linear(list[1].value);
    net.from(add_to(net, settings, net.here(), ""));
    net.linear(outputs);
    return net.finish();
  }
};

const RegisterWord registered_ode_to_ode_word{
    {.name = "ode-to-ode",
     .aliases = {},
     .summary = "x(T) of x' = f(W(t) x), whose weights flow too",
     .positional = {"activation"},
     .make = [] { return std::make_unique<OdeToOdeWord>(); }}};

const RegisterArchitecture registered_ode_to_ode{
    {.name = "ode-to-ode",
     .summary = "a continuous network whose weights flow, on the orthogonal group or freely",
     .grammar = "ode-to-ode:in-width-out[:activation][:option=value,...]",
     .example = "ode-to-ode:784-64-10:relu:flow=iso",
     .source = kSource,
     .positional = {"sizes", "activation"},
     .make = [] { return std::make_unique<OdeToOdeNet>(); },
     .order = 70}};

}  // namespace

}  // namespace altprop::weight_flow
