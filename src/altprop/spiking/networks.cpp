// Fully connected networks of spike times, by their sizes.
//
//   relpsp:784-800-10
//   relpsp:784-800-10:window:head=times
#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/window.h"

namespace altprop::spiking {

namespace {

struct RelPsp : Architecture {
  std::string sizes, variant = "event", head = "default",
                     remedy = remedy_names()[static_cast<size_t>(EventSettings().remedy)];
  bool zero_is_silent = true;
  double span = 1, clamp = WindowSettings().clamp, active = 0.125;
  EventSettings event;

  void declare(Options& o) override {
    o.checked_text("sizes", sizes, "in-hidden-...-out",
                   [](const std::string& s) { parse_layer_sizes(s, 2); },
                   {"number of inputs, of units in each hidden layer, of outputs"});
    o.choice(
        "variant", variant, {"event", "window"},
        {"event: fixed thresholds and overlapping layers; window: each layer in a window of its "
         "own, with a falling threshold",
         "", "Zhang et al. 2020, arXiv 2003.11837 (event); Wei et al. 2023, ICCV (window)"});
    o.choice("head", head, {"default", "times", "membrane"},
             {"outputs: spike times (default of event), or the potentials that spikes leave behind "
              "(default of window, and of it alone)"});
    o.number("T", span, {.min = 0, .max = 1e9, .min_excluded = true},
             {"time of an intensity just above 0, and length of the windows", "time"});
    o.flag("zero-is-silent", zero_is_silent, {"inputs that are 0 never fire"});
    o.number("clamp", clamp, {.min = 0},
             {"window: bound on the derivatives of a spike time; 0: none"});
    o.number(
        "active", active, {.min = 0, .max = 1, .min_excluded = true},
        {"event, initial weights: expected share of inputs that fire in the first layer; one half "
         "in the others"});
    o.number("threshold", event.threshold, {.min = 0, .max = 1e9, .min_excluded = true},
             {"event: potential at which a unit fires"});
    o.flag("learn-threshold", event.learn_threshold, {"event: a learnt threshold for each unit"});
    o.flag("delays", event.delays, {"event: a learnt delay of each weight"});
    o.number("max-inv-slope", event.max_inv_slope, {.min = 0},
             {"event: bound on 1 / slope in derivatives; 0: 1000 in float32, none in float64",
              "time/potential"});
    o.choice("remedy", remedy, remedy_names(), {"event: what is done for units that never fire"});
    o.number("strength", event.strength, {.min = 0}, {"event: of the remedy"});
  }

  Graph make(const InputInfo& info) const override {
    if (sizes.empty())
      throw UsageError(
          "network 'relpsp': the sizes are missing, write for example relpsp:784-800-10");
    if (variant == "event" && head == "membrane")
      throw UsageError(
          "network 'relpsp': potentials are read at the end of a window, and the event variant has "
          "none; use variant=window, or head=times");
    const std::vector<Size> list = parse_layer_sizes(sizes, 2);
    Builder net(input_shape_of("relpsp", list.front().value, info), info.limits);
    net.then(latency(span, zero_is_silent), "latency");
    if (net.shape().size() > 1) net.flatten();
    for (size_t i = 1; i < list.size(); ++i) {
      const bool last = i + 1 == list.size();
      const int64_t out = last ? outputs_of("relpsp", list.back().value, info) : list[i].value;
      const double weights = linear_weights(out, net.shape());
      const std::string name = "layer" + std::to_string(i);
      net.from(
          net.add(layer(out, i == 1, last), {net.here()}, name, weights * (event.delays ? 2 : 1)));
    }
    return net.finish();
  }

 private:
  OpPtr layer(int64_t out, bool first, bool last) const {
    if (variant == "window") {
      if (last && head != "times") return membrane(out, span);
      const WindowSettings window{.out = out, .window = span, .clamp = clamp};
      return std::make_shared<Window>(window.unbounded_at_zero());
    }
    EventSettings s = event;
    s.out = out;
    s.active = first ? active : 0.5;
    s.fire_after = span;
    for (size_t i = 0; i < remedy_names().size(); ++i)
      if (remedy_names()[i] == remedy) s.remedy = static_cast<Remedy>(i);
    return std::make_shared<Event>(s);
  }
};

const RegisterArchitecture registered_relpsp{
    {.name = "relpsp",
     .summary =
         "fully connected units that fire once, and whose activity is the time of their spike",
     .grammar = "relpsp:in-hidden-...-out[:variant][:option=value,...]",
     .example = "relpsp:784-800-10",
     .source = "Zhang et al. 2020, arXiv 2003.11837",
     .positional = {"sizes", "variant"},
     .make = [] { return std::make_unique<RelPsp>(); },
     .order = 70}};

}  // namespace

}  // namespace altprop::spiking
