#include "altprop/probes/credit_growth.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "altprop/base/text.h"
#include "altprop/network/signal.h"
#include "altprop/network/sites.h"

namespace altprop {

namespace {

constexpr double kRoundingOfGrowth = 1e-3;

const weight_flow::OdeToOde* flow_in(const Node& node) {
  return dynamic_cast<const weight_flow::OdeToOde*>(node.op.get());
}

bool has_flows(const Graph& net) {
  const Sites sites(net);
  return std::any_of(sites.all().begin(), sites.all().end(),
                     [](const SiteInfo& site) { return flow_in(*site.node) != nullptr; });
}

/// Exact credit, of which it looks at what crosses a flow.
struct GrowthWatch : Feedback {
  std::vector<CreditGrowth> found;

  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override {
    const weight_flow::OdeToOde* flow = flow_in(site.node);
    if (!flow) return Feedback::pull(site, saved, cot, wanted, sweep);
    const char all = 1;
    Credits out = Feedback::pull(site, saved, cot, Wanted(&all, 1), sweep);
    const Tensor behind = cot.to(at::kDouble).norm(2, {1}),
                 before = out[0].to(at::kDouble).norm(2, {1});
    const Tensor ratios = (before / behind).masked_select(behind.gt(0));
    if (ratios.numel() > 0)
      add({site.name(), ratios.min().item<double>(), ratios.max().item<double>(), flow->bounds()});
    return out;
  }

 private:
  /// Of a flow that is crossed several times, as in an ODE block, all passes together.
  void add(const CreditGrowth& seen) {
    for (CreditGrowth& row : found)
      if (row.name == seen.name) {
        row.least = std::min(row.least, seen.least);
        row.most = std::max(row.most, seen.most);
        return;
      }
    found.insert(found.begin(), seen);  // credit comes from the end
  }
};

/// Parameters make credit be wanted, and nobody takes what they would learn.
struct NoSink : Sink {
  void take(const LocalSignal&) override {}
  void take(const ParamSignal&) override {}
};

}  // namespace

std::string CreditGrowth::problem() const {
  if (!bounds) return "";
  const bool low = least<bounds->least * (1 - kRoundingOfGrowth), high = most> bounds->most *
                   (1 + kRoundingOfGrowth);
  if (!low && !high) return "";
  return text::cat(
      name, ": credit becomes ", text::from_number(low ? least : most),
      " times as large on its way through, which orthogonal weights bound ",
      low ? "below by " : "above by ", text::from_number(low ? bounds->least : bounds->most),
      ": its weights are not orthogonal any more; lower the learning rate, or train in "
      "float64");
}

std::vector<CreditGrowth> credit_growth(const Graph& net, const Loss& loss, const Tensor& inputs,
                                        const Tensor& targets, const Pass& in) {
  if (!has_flows(net)) return {};
  at::NoGradGuard no_grad;
  Activity activity;
  const Tensor output = net.run(inputs, activity, in);
  GrowthWatch watch;
  NoSink sink;
  Sweep sweep{.feedback = watch, .sink = &sink};
  const char to_input = inputs.is_floating_point();
  net.sweep(activity, {{net.output_node(), loss.gradient(output, targets)}}, sweep,
            Wanted(&to_input, 1));
  return std::move(watch.found);
}

}  // namespace altprop
