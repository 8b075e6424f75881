// Events: where a number changes its sign, and the derivative of when and where that is.
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/gradients.h"
#include "altprop/ode/dense.h"
#include "altprop/ode/solution_parts.h"

namespace altprop::ode {

struct ArrivalParts {
  static Solution& solved(Arrival& a) { return a.solved_; }
  static Event& event(Arrival& a) { return a.event_; }
  static Tensor& rates(Arrival& a) { return a.rates_; }
  static const Solution& solved(const Arrival& a) { return a.solved_; }
  static const Event& event(const Arrival& a) { return a.event_; }
  static const Tensor& rates(const Arrival& a) { return a.rates_; }
};

namespace {

void expect_event(const Graph& f, const Event& event) {
  if (!event.g) throw UsageError("ode: the event has no g, whose sign changes");
  const std::vector<int>& inputs = event.g->input_nodes();
  if (inputs.size() != 2 || event.g->node(inputs[0]).spec != f.node(f.input_nodes()[0]).spec ||
      event.g->node(inputs[1]).spec != sample_time_spec())
    throw Refusal("ode", "the event's g is of the state z and of a time for each sample",
                  "declare the time by g.input(ode::sample_time_spec())");
  const Spec& out = event.g->node(event.g->output_node()).spec;
  if (out.numel() != 1)
    throw Refusal("ode", text::cat("the event's g makes values of shape ", shape_text(out.shape),
                                   ", but its sign is that of one number for each sample"));
}

/// [rows, 1] from float64 [rows].
Tensor time_column(const Tensor& times, const Tensor& like) {
  return times.to(like.options()).unsqueeze(1);
}

/// One number for each sample, of values of shape [samples, ...].
Tensor dots(const Tensor& a, const Tensor& b) { return (a * b).reshape({a.size(0), -1}).sum(1); }

/// g at the events, and what it depends on there.
struct AtEvent {
  Activity activity;
  Tensor of_x, of_t;  ///< [B, ...], [B]
};

void differentiate(const Graph& g, const Tensor& x, const Tensor& times, AtEvent& out) {
  const std::vector<Tensor> inputs = {x, time_column(times, x)};
  const Tensor value = g.run(inputs, out.activity, {Mode::Eval});
  Feedback exact;
  Sweep sweep{exact};
  const std::vector<char> both = {1, 1};
  const Credits found =
      g.sweep(out.activity, {{g.output_node(), at::ones_like(value)}}, sweep, both);
  out.of_x = found[0].defined() ? found[0] : at::zeros_like(x);
  out.of_t = found[1].defined() ? found[1].reshape({-1}) : at::zeros({x.size(0)}, x.options());
}

}  // namespace

Arrival odeint_until(const std::shared_ptr<Graph>& f, const Tensor& x0, const Tensor& t0,
                     const Event& event, OdeintOptions options) {
  expect_event(*f, event);
  if (t0.dim() != 1 || x0.dim() < 1 || t0.size(0) != x0.size(0))
    throw UsageError(
        text::cat("ode: times of the begin are one for each sample, [samples], but have "
                  "the shape ",
                  shape_text(t0.sizes())));
  if (!options.sizes.is_adaptive() || options.interpolate)
    throw UsageError(
        "ode: until an event steps are adaptive, and its state is all that is read; leave "
        "steps, step and interpolate out");
  options.sizes.per_sample = true;
  options.of_times = false;
  const Tensor begin = t0.to(at::kCPU, at::kDouble).contiguous();
  std::vector<Span> spans;
  for (int64_t b = 0; b < x0.size(0); ++b) {
    const double from = begin[b].item<double>();
    if (!std::isfinite(from) || from == event.latest)
      throw UsageError(text::cat("ode: sample ", b, " begins at time ", text::from_number(from),
                                 ", from which it does not come to ",
                                 text::from_number(event.latest)));
    spans.push_back({from, {{event.latest, 1}}, {}});
  }
  Arrival out;
  out.x = x0;
  ArrivalParts::event(out) = event;
  Solution& solved = ArrivalParts::solved(out) = begun(f, x0, std::move(spans), options);
  Record& record = *SolutionParts::record(solved);
  const Graph& g = *event.g;
  const EventSearch search{.value =
                               [&g](const Moment& at, const Tensor& x) {
                                 Activity scratch;
                                 const std::vector<Tensor> inputs = {x, time_column(at.each, x)};
                                 const Tensor value =
                                     g.run(inputs, scratch, {Mode::Eval}, {.forget = true})
                                         .reshape({-1})
                                         .to(at::kCPU, at::kDouble)
                                         .contiguous();
                                 const double* const from = value.const_data_ptr<double>();
                                 return std::vector<double>(from, from + value.numel());
                               },
                           .direction = event.direction};
  const Scheme& method = *SolutionParts::scheme(solved);
  if (method.between(0.5).empty())
    throw UsageError(
        "ode: solver '" + method.name() +
        "' knows no states between the ends of steps, where events happen; use dopri5");
  record.event = &search;
  record.dense = true;
  out.x = record_forward(method, *f, x0, options.sizes, record).at(1);
  record.event = nullptr;
  out.times = at::full({x0.size(0)}, event.latest, at::kDouble);
  out.found = at::zeros({x0.size(0)}, at::kBool);
  for (const auto& [sample, time] : record.event_times) {
    out.times[sample] = time;
    out.found[sample] = true;
  }
  ArrivalParts::rates(out) = record.event_rates;
  return out;
}

Pulled ode_vjp(const Arrival& arrival, const Tensor& of_x, const Tensor& of_times, Store* store) {
  const Solution& solved = ArrivalParts::solved(arrival);
  const Tensor &x = arrival.x, &rate = ArrivalParts::rates(arrival);
  if (of_x.defined() && of_x.sizes() != x.sizes())
    throw UsageError(text::cat("ode: the states at the event have the shape ",
                               shape_text(x.sizes()), ", but their credit has ",
                               shape_text(of_x.sizes())));
  if (of_times.defined() && of_times.sizes() != arrival.times.sizes())
    throw UsageError(text::cat("ode: the times of the event have the shape ",
                               shape_text(arrival.times.sizes()), ", but their credit has ",
                               shape_text(of_times.sizes())));
  const Graph& g = *ArrivalParts::event(arrival).g;
  AtEvent at_event;
  differentiate(g, x, arrival.times, at_event);
  const Tensor found = arrival.found.to(x.device());
  const Tensor of_rate = at_event.of_t + dots(at_event.of_x, rate);
  for (int64_t b = 0; b < x.size(0); ++b)
    if (arrival.found[b].item<bool>() && !(std::abs(of_rate[b].item<double>()) > 0))
      throw Diverged(
          text::cat("ode: sample ", b, " of the batch: at its event, time ",
                    text::from_number(arrival.times[b].item<double>()),
                    ", g only touches 0, so that the time has no derivative; let g change "
                    "its sign there"));
  Tensor of_time = at::zeros({x.size(0)}, x.options());
  if (of_times.defined()) of_time = of_time + of_times.to(x.options());
  if (of_x.defined()) of_time = of_time + dots(of_x, rate);
  // dt = -dg / (dg/dt along the solution); samples without an event end at a time that stands.
  const Tensor weight = at::where(found, -of_time / of_rate, at::zeros_like(of_time));
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  Tensor cot = at_event.of_x * weight.view(shape);
  if (of_x.defined()) cot = cot + of_x;
  Feedback exact;
  std::optional<IntoStore> sink;
  if (store) {
    sink.emplace(*store);
    Sweep of_event{exact, &*sink};
    g.sweep(at_event.activity,
            {{g.output_node(), weight.reshape({-1, 1}).expand({x.size(0), 1}).clone()}}, of_event,
            {});
  }
  Record& record = SolutionParts::record(solved);
  Sweep sweep{exact, store ? &*sink : nullptr};
  sweep.release = true;
  Pulled out;
  out.of_x0 = record_back(SolutionParts::scheme(solved), SolutionParts::f(solved),
                          SolutionParts::sizes(solved), record, {at::zeros_like(x), cot}, sweep);
  out.of_constants = record.of_constants;
  record.begin = Tensor();  // what the record has kept is gone
  return out;
}

}  // namespace altprop::ode
