// Networks around one ODE block, by their sizes. They are short for texts of `chain`, and take the
// settings of its `ode` as options of their own.
//
//   ode-mlp:*-64-128-128-*:tanh:solver=rk4,steps=8
//   ode-image:channels=32,solver=dopri5,rtol=1e-2
#include <numeric>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/build/words.h"

namespace altprop::ode {

namespace {

/// The settings of `ode`, with defaults of this network's own.
class BlockSettings {
 public:
  explicit BlockSettings(const OptionValues& defaults) {
    Options own;
    word_->declare(own);
    own.set_all(defaults);
  }

  void declare(Options& o) {
    word_->declare(o);
    options_ = &o;
  }

  /// " solver=rk4 steps=8": what is not as `ode` has it by itself.
  std::string text() const {
    const std::unique_ptr<Word> usual = word_entry("ode").make();
    Options by_default;
    usual->declare(by_default);
    std::string out;
    for (const Options::Entry& entry : options_->entries())
      for (const Options::Entry& other : by_default.entries())
        if (entry.name == other.name && entry.text() != other.text() && takes_part(entry))
          out += text::cat(" ", entry.name, "=", entry.text());
    return out;
  }

 private:
  /// Equal steps have no tolerance, and a default is none that the user has to leave out.
  bool takes_part(const Options::Entry& entry) const {
    return entry.given || entry.name != "atol" ||
           (!options_->given("steps") && !options_->given("step"));
  }

  std::unique_ptr<Word> word_ = word_entry("ode").make();
  const Options* options_ = nullptr;
};

/// dz/dt = an MLP of the state and the time, between two linear maps.
struct OdeMlp : Architecture {
  std::string sizes, activation = "tanh";
  BlockSettings block{{{"time", "concat"}}};

  void declare(Options& o) override {
    o.checked_text("sizes", sizes, "in-state-hidden-...-out",
                   [](const std::string& s) { parts(s); },
                   {"number of inputs, of values of the state, of units in each hidden layer of f, "
                    "of outputs"});
    o.checked_text("activation", activation, "", check_activation,
                   {"function of the hidden layers of f"});
    block.declare(o);
  }

  static std::vector<Size> parts(const std::string& written) {
    std::vector<Size> out = parse_layer_sizes(written, 3);
    if (out.size() < 4)
      throw UsageError(
          "four sizes or more, as *-16-64-*: inputs, values of the state, units in the hidden "
          "layers of f, outputs");
    return out;
  }

  Graph make(const InputInfo& info) const override {
    if (sizes.empty())
      throw UsageError(
          "network 'ode-mlp': the sizes are missing, write for example ode-mlp:*-16-64-*");
    const std::vector<Size> list = parts(sizes);
    InputInfo own = info;
    own.input_shape = input_shape_of("ode-mlp", list.front().value, info);
    const int64_t state = list[1].value, outputs = outputs_of("ode-mlp", list.back().value, info);
    std::string f;
    for (size_t i = 2; i + 1 < list.size(); ++i)
      f += text::cat("linear ", list[i].value, ", ", activation, ", ");
    return network(text::cat("chain: linear ", state, ", ode{", f, "linear ", state, "}",
                             block.text(), ", linear ", outputs),
                   own);
  }
};

/// The classifier of images whose residual blocks are one ODE: two convolutions of stride 2 in
/// front, group norms between the convolutions.
struct OdeImage : Architecture {
  std::string activation = "relu";
  int64_t channels = 64;
  BlockSettings block{{{"time", "concat"}, {"atol", "1e-3"}}};

  void declare(Options& o) override {
    o.checked_text("activation", activation, "", check_activation, {"function of all layers"});
    o.integer("channels", channels, {.min = 1, .max = 65536}, {"channels of all convolutions"});
    block.declare(o);
  }

  Graph make(const InputInfo& info) const override {
    const std::string gn = text::cat("gn ", std::gcd(channels, int64_t{32})),
                      act = text::cat(gn, ", ", activation, ", ");
    const auto conv = [&](const char* settings) {
      return text::cat("conv ", channels, " ", settings, ", ");
    };
    const std::string down = conv("k=4 s=2 p=1"), same = conv("k=3 p=1");
    return network(
        text::cat("chain: ", conv("k=3"), act, down, act, down, "ode{", act, same, act, same, gn,
                  "}", block.text(), ", ", act, "gap, linear ", outputs_of("ode-image", 0, info)),
        info);
  }
};

constexpr const char* kNeuralOdes = "Chen, Rubanova, Bettencourt, Duvenaud 2018, arXiv 1806.07366";

const RegisterArchitecture registered_ode_mlp{
    {.name = "ode-mlp",
     .summary = "the solution of dz/dt = f(t, z), f a multi-layer perceptron, between linear maps",
     .grammar = "ode-mlp:in-state-hidden-...-out[:activation][:option=value,...]",
     .example = "ode-mlp:784-32-64-10:tanh:solver=rk4,steps=4",
     .source = kNeuralOdes,
     .positional = {"sizes", "activation"},
     .make = [] { return std::make_unique<OdeMlp>(); },
     .order = 60}};
const RegisterArchitecture registered_ode_image{
    {.name = "ode-image",
     .summary = "convolutions of stride 2, then an ODE with two convolutions for f",
     .grammar = "ode-image[:activation][:option=value,...]",
     .example = "ode-image:channels=16",
     .source = kNeuralOdes,
     .input_shape = {1, 28, 28},
     .classes = 10,
     .positional = {"activation"},
     .make = [] { return std::make_unique<OdeImage>(); },
     .order = 61}};

}  // namespace

}  // namespace altprop::ode
