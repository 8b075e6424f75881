#include "altprop/ode/solution_parts.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/gradients.h"

namespace altprop::ode {

namespace {

/// Numbers of a sample's times as the ends of steps, or with `interpolate` as what is read between.
Span span_of_times(std::span<const double> times, const OdeintOptions& options,
                   const std::string& whose) {
  const auto wrong = [&](const std::string& why) {
    throw UsageError(text::cat("ode: times", whose, " ", why,
                               "; give t_0, t_1, ... in ascending or descending order"));
  };
  if (times.empty() || !std::isfinite(times[0])) wrong("have no begin");
  Span out{times[0], {}, {}};
  double before = times[0];
  int direction = 0;
  for (size_t k = 1; k < times.size(); ++k) {
    const double time = times[k];
    if (std::isnan(time)) continue;
    const int now = time > before ? 1 : time < before ? -1 : 0;
    if (!std::isfinite(time) || now == 0 || (direction != 0 && now != direction))
      wrong(text::cat("are not in order at number ", k));
    direction = now;
    before = time;
    out.stops.push_back({time, static_cast<int>(k)});
  }
  if (options.interpolate && !out.stops.empty()) {
    out.reads.assign(out.stops.begin(), out.stops.end() - 1);
    out.stops.erase(out.stops.begin(), out.stops.end() - 1);
  }
  std::vector<double> jumps = options.jumps;
  std::sort(jumps.begin(), jumps.end(),
            [&](double a, double b) { return (a - b) * direction < 0; });
  for (const double jump : jumps) {
    const auto behind = [&](const Stop& stop) { return (stop.time - jump) * direction >= 0; };
    const auto at = std::find_if(out.stops.begin(), out.stops.end(), behind);
    if (at == out.stops.end() || (jump - out.begin) * direction <= 0) continue;  // outside
    if (at->time == jump) {
      at->jump = true;
    } else {
      out.stops.insert(at, {jump, -1, true});
    }
  }
  return out;
}

std::shared_ptr<const Scheme> expect_fitting(const Graph& f, const Tensor& x0,
                                             const OdeintOptions& options) {
  // A block knows what f, solver and options have to be.
  Problem problem{.solver = options.solver, .sizes = options.sizes};
  problem.eta = options.eta;
  problem.coupling = options.coupling;
  problem.interpolate = options.interpolate;
  const Block block(std::shared_ptr<Graph>(std::shared_ptr<void>(), const_cast<Graph*>(&f)),
                    problem);
  if (const std::string why = block.objection_to(options.gradient); !why.empty())
    throw UsageError("ode: " + why);
  if (block.constants() != options.constants.size())
    throw UsageError(text::cat("ode: f takes ", block.constants(), " constants, but is given ",
                               options.constants.size()));
  std::vector<Spec> specs = {f.node(f.input_nodes()[0]).spec};
  for (size_t i = 2; i < f.input_nodes().size(); ++i)
    specs.push_back(f.node(f.input_nodes()[i]).spec);
  block.infer(specs);
  if (x0.dim() < 1 || x0.sizes().slice(1) != IntArrayRef(specs[0].shape))
    throw UsageError(text::cat("ode: f is of states of shape ", shape_text(specs[0].shape),
                               ", but the begin has ",
                               shape_text(x0.dim() < 1 ? x0.sizes() : x0.sizes().slice(1))));
  if (takes_statistics(f))
    throw Refusal("ode", "an operation in f takes statistics of the batch",
                  "use layer-norm inside");
  return block.scheme();
}

}  // namespace

Solution begun(const std::shared_ptr<Graph>& f, const Tensor& x0, std::vector<Span> spans,
               const OdeintOptions& options) {
  Solution out;
  SolutionParts::scheme(out) = expect_fitting(*f, x0, options);
  SolutionParts::f(out) = f;
  SolutionParts::sizes(out) = options.sizes;
  auto record = std::make_shared<Record>();
  record->method = options.gradient;
  record->pass = options.pass;
  record->spans = std::move(spans);
  record->reads_begin = true;
  record->times = options.of_times;
  record->dense = std::any_of(record->spans.begin(), record->spans.end(),
                              [](const Span& span) { return !span.reads.empty(); });
  record->constants = options.constants;
  SolutionParts::record(out) = record;
  return out;
}

namespace {

/// cot of [B, times, ...] as that of every output.
std::vector<Tensor> by_output(const Tensor& cot) { return cot.unbind(1); }

}  // namespace

Solution odeint(const std::shared_ptr<Graph>& f, const Tensor& x0, const std::vector<double>& times,
                const OdeintOptions& options) {
  for (const double time : times)
    if (std::isnan(time)) throw UsageError("ode: a time is not a number; leave it out");
  Solution out = begun(f, x0, {span_of_times(times, options, "")}, options);
  Record& record = *SolutionParts::record(out);
  if (times.size() == 1) {
    out.outputs = x0.unsqueeze(1);
    record.begin = x0;
    return out;
  }
  out.outputs =
      at::stack(record_forward(*SolutionParts::scheme(out), *f, x0, options.sizes, record), 1);
  return out;
}

Solution odeint(const std::shared_ptr<Graph>& f, const Tensor& x0, const Tensor& times,
                OdeintOptions options) {
  if (times.dim() != 2 || x0.dim() < 1 || times.size(0) != x0.size(0) || times.size(1) < 1)
    throw UsageError(text::cat("ode: times of each sample are [samples, times], of ",
                               x0.dim() < 1 ? 0 : x0.size(0), " samples, but have the shape ",
                               shape_text(times.sizes())));
  const Tensor rows = times.to(at::kCPU, at::kDouble).contiguous();
  options.sizes.per_sample = options.sizes.is_adaptive();
  std::vector<Span> spans;
  for (int64_t b = 0; b < rows.size(0); ++b)
    spans.push_back(span_of_times(
        {rows.const_data_ptr<double>() + b * rows.size(1), static_cast<size_t>(rows.size(1))},
        options, text::cat(" of sample ", b)));
  Solution out = begun(f, x0, std::move(spans), options);
  SolutionParts::each(out) = true;
  std::vector<Tensor> outputs = record_forward(*SolutionParts::scheme(out), *f, x0, options.sizes,
                                               *SolutionParts::record(out));
  while (static_cast<int64_t>(outputs.size()) < times.size(1))
    outputs.push_back(at::zeros_like(x0));
  out.outputs = at::stack(outputs, 1);
  return out;
}

Pulled ode_vjp(const Solution& solved, const Tensor& cot, Store* store) {
  Record& record = SolutionParts::record(solved);
  if (cot.sizes() != solved.outputs.sizes())
    throw UsageError(text::cat("ode: the outputs have the shape ",
                               shape_text(solved.outputs.sizes()), ", but their credit has ",
                               shape_text(cot.sizes())));
  Pulled out;
  const auto count = solved.outputs.size(1);
  if (record.steps.empty() && record.begin.defined()) {  // the begin alone
    out.of_x0 = cot.select(1, 0);
    if (record.times)
      out.of_times = SolutionParts::each(solved) ? at::zeros({cot.size(0), count}, at::kDouble)
                                                 : at::zeros({count}, at::kDouble);
    return out;
  }
  Feedback exact;
  std::optional<IntoStore> sink;
  if (store) sink.emplace(*store);
  Sweep sweep{exact, store ? &*sink : nullptr};
  sweep.release = true;
  out.of_x0 = record_back(SolutionParts::scheme(solved), SolutionParts::f(solved),
                          SolutionParts::sizes(solved), record, by_output(cot), sweep);
  out.of_constants = record.of_constants;
  if (SolutionParts::each(solved) && record.times) {
    const Tensor found = credits_of_sample_times(record);
    out.of_times = at::zeros({cot.size(0), count}, at::kDouble);
    // Of a batch of one with equal steps the record is that of shared steps.
    out.of_times.narrow(1, 0, found.size(1)).copy_(found);
  } else if (record.times) {
    out.of_times = at::tensor(credits_of_output_times(record), at::kDouble);
  }
  record.begin = Tensor();  // what the record has kept is gone
  return out;
}

}  // namespace altprop::ode
