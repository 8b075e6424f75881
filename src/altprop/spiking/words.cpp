// Layers of spike times in network texts.
//
//   chain: latency, flatten, relpsp-event 800 active=0.125, relpsp-event *
//   chain: latency, relpsp-window-conv 16 k=5 p=1, earliest-pool 2, relpsp-window 128, membrane *
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/build/words.h"
#include "altprop/network/ops/shape.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/window.h"

namespace altprop::spiking {

namespace {

constexpr OptionRange kOutputs{.min = 1, .max = 1e7};
constexpr OptionRange kPixels{.min = 1, .max = 1024};
constexpr OptionRange kNoneOrPixels{.min = 0, .max = 1024};
constexpr OptionRange kTime{.min = 0, .max = 1e9, .min_excluded = true};
constexpr const char* kReLPsp = "Zhang et al. 2020, arXiv 2003.11837";

void declare_kernel(Options& o, Kernel& kernel) {
  o.integer("kernel", kernel.height, kPixels, {"height of the kernel, and its width"});
  o.integer("kernel_w", kernel.width, kNoneOrPixels, {"width of the kernel; 0: as high as wide"});
  o.integer("stride", kernel.stride, kPixels, {"step between positions"});
  o.integer("padding", kernel.padding, kNoneOrPixels,
            {"border around the input, which never fires"});
}

/// Dense layers take the values of a sample in a row.
int flat(Builder& net, int input, const std::string& name) {
  if (net.graph().node(input).spec.shape.size() < 2) return input;
  return net.add(flatten(), {input}, name.empty() ? "" : name + "_flat");
}

double weights_of(int64_t out, const Kernel& kernel, const std::vector<int64_t>& in) {
  ConvSettings conv{.out = out, .kernel = kernel.height, .kernel_w = kernel.width};
  return kernel.height > 0 ? conv_weights(conv, in) : linear_weights(out, in);
}

template <bool image>
struct EventWord : Word {
  EventSettings s;
  std::string remedy = remedy_names()[static_cast<size_t>(EventSettings().remedy)];
  EventWord() {
    if (image) s.kernel.height = 3;
  }
  void declare(Options& o) override {
    o.integer("out", s.out, kOutputs, {image ? "number of output channels" : "number of outputs"});
    if (image) declare_kernel(o, s.kernel);
    o.number("threshold", s.threshold, kTime, {"potential at which a unit fires", "", kReLPsp});
    o.flag("learn-threshold", s.learn_threshold,
           {"one learnt threshold for each output (channel)"});
    o.flag("delays", s.delays,
           {"one learnt delay of each weight, from 0 on; without the fast kernel"});
    o.number("max-inv-slope", s.max_inv_slope, {.min = 0},
             {"bound on 1 / slope in derivatives; 0: 1000 in float32, none in float64",
              "time/potential"});
    o.choice(
        "remedy", remedy, remedy_names(),
        {"for units that never fire: a penalty strength * mean max(0, threshold - sum of "
         "weights), or for outputs that should fire a push of the weights to the inputs that did",
         "", "Mostafa 2017, arXiv 1606.08165 (penalty)"});
    o.number("strength", s.strength, {.min = 0}, {"of the remedy"});
    o.number("active", s.active, {.min = 0, .max = 1, .min_excluded = true},
             {"initial weights: expected share of inputs that fire"});
    o.number("fire-after", s.fire_after, kTime,
             {"initial weights: how long after its inputs a unit of mean weights fires", "time"});
    o.number("spread", s.spread, {.min = 0, .max = 1000},
             {"initial weights: their deviation over their mean"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    EventSettings full = s;
    for (size_t i = 0; i < remedy_names().size(); ++i)
      if (remedy_names()[i] == remedy) full.remedy = static_cast<Remedy>(i);
    const int input = image ? in[0] : flat(net, in[0], name);
    const std::vector<int64_t>& shape = net.graph().node(input).spec.shape;
    return net.add(std::make_shared<Event>(full), {input}, name,
                   weights_of(s.out, s.kernel, shape) * (s.delays ? 2 : 1));
  }
};

template <bool image>
struct WindowWord : Word {
  WindowSettings s;
  double input_window = 0;
  std::string slope = "ramp";
  bool bias = true;
  Options* given = nullptr;
  WindowWord() {
    if (image) s.kernel.height = 3;
  }
  void declare(Options& o) override {
    given = &o;
    o.integer("out", s.out, kOutputs, {image ? "number of output channels" : "number of outputs"});
    if (image) declare_kernel(o, s.kernel);
    o.number("T", s.window, kTime, {"length of the layer's window", "time"});
    o.choice(
        "slope", slope, {"ramp", "constant"},
        {"of the potential: inputs ramp under a falling threshold, or a constant slope that "
         "makes units ReLUs",
         "", "Wei et al. 2023, ICCV (ramp); Stanojevic et al. 2023, arXiv 2306.08744 (constant)"});
    o.number("clamp", s.clamp, {.min = 0},
             {"slope=ramp: bound on the derivatives of a spike time; 0: none"});
    o.number("T-in", input_window, {.min = 0, .max = 1e9},
             {"slope=constant: length of the window of the layer in front; 0: T", "time"});
    o.flag("bias", bias, {"slope=constant: a learnt bias, which the threshold holds"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const bool constant = slope == "constant";
    for (const char* option : {"clamp", "T-in", "bias"})
      if (given->given(option) && constant == (std::string(option) == "clamp"))
        throw UsageError(std::string(option) + " has no effect with slope=" + slope +
                         "; leave it out");
    const int input = image ? in[0] : flat(net, in[0], name);
    OpPtr op;
    if (constant)
      op = std::make_shared<ConstantSlope>(ConstantSlopeSettings{
          s.out, s.kernel, s.window, input_window > 0 ? input_window : s.window, bias});
    else
      op = std::make_shared<Window>(s.unbounded_at_zero());
    return net.add(op, {input}, name,
                   weights_of(s.out, s.kernel, net.graph().node(input).spec.shape));
  }
};

struct MembraneWord : Word {
  int64_t out = 1;
  double window = 1;
  void declare(Options& o) override {
    o.integer("out", out, kOutputs, {"number of outputs"});
    o.number("T", window, kTime, {"length of the window of its inputs", "time"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const int input = flat(net, in[0], name);
    return net.add(membrane(out, window), {input}, name,
                   linear_weights(out, net.graph().node(input).spec.shape));
  }
};

struct LatencyWord : Word {
  double span = 1;
  bool zero_is_silent = true;
  void declare(Options& o) override {
    o.number("T", span, kTime, {"time of an intensity just above 0; one of 1 fires at 0", "time"});
    o.flag("zero-is-silent", zero_is_silent, {"what is 0 never fires"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(latency(span, zero_is_silent), in, name);
  }
};

struct DirectCodeWord : Word {
  double span = 1;
  void declare(Options& o) override {
    o.number("T", span, kTime,
             {"time of a value just above 0; one of 1 or more fires at 0", "time"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(direct_code(span), in, name);
  }
};

struct EarliestPoolWord : Word {
  int64_t kernel = 2, stride = 0, padding = 0;
  void declare(Options& o) override {
    o.integer("kernel", kernel, kPixels, {"height and width of the window"});
    o.integer("stride", stride, kNoneOrPixels, {"step between windows; 0: the kernel"});
    o.integer("padding", padding, kNoneOrPixels, {"border around the input, which never fires"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(earliest_pool2d(kernel, stride, padding), in, name);
  }
};

template <class W>
WordEntry spike_word(std::string name, std::string summary,
                     std::vector<std::string> positional = {}, size_t required = 0) {
  return {.name = std::move(name),
          .aliases = {},
          .summary = std::move(summary),
          .positional = std::move(positional),
          .required = required,
          .make = [] { return std::make_unique<W>(); }};
}

const RegisterWord registered_latency{
    spike_word<LatencyWord>("latency", "intensities from 0 to 1 as spike times", {"T"})};
const RegisterWord registered_direct_code{
    spike_word<DirectCodeWord>("direct-code", "real values as spike times", {"T"})};
const RegisterWord registered_event{spike_word<EventWord<false>>(
    "relpsp-event", "units that fire once, at the first crossing of a threshold", {"out"}, 1)};
const RegisterWord registered_event_conv{spike_word<EventWord<true>>(
    "relpsp-event-conv", "such units with a kernel that slides over an image", {"out", "kernel"},
    1)};
const RegisterWord registered_window{spike_word<WindowWord<false>>(
    "relpsp-window", "units that fire once, in their layer's window", {"out"}, 1)};
const RegisterWord registered_window_conv{spike_word<WindowWord<true>>(
    "relpsp-window-conv", "such units with a kernel that slides over an image", {"out", "kernel"},
    1)};
const RegisterWord registered_earliest_pool{spike_word<EarliestPoolWord>(
    "earliest-pool", "first spike of a window", {"kernel", "stride", "padding"})};
const RegisterWord registered_membrane{spike_word<MembraneWord>(
    "membrane", "potentials that spikes leave behind, as real values", {"out"}, 1)};

}  // namespace

}  // namespace altprop::spiking
