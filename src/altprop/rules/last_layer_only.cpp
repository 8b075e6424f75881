// Baseline for rules whose credit may be useless: the hidden layers keep their initial weights and
// only the output layer learns. A rule that does not beat it has not trained a single hidden layer.
#include "altprop/base/error.h"
#include "altprop/network/sites.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// The last operation with parameters on the way to the output.
SiteInfo last_layer(const Graph& net) {
  const Sites sites(net);
  const SiteInfo* last = nullptr;
  for (const SiteInfo& site : sites.all())
    if (site.is_leaf() && !site.op()->params().empty()) last = &site;
  if (!last) throw Refusal("network", "it has no parameters", "add a layer that can learn");
  return *last;
}

struct LastLayerOnly : Rule {
  void admit(const Graph& net, const Loss&) const override { last_layer(net); }
  std::vector<ParamPtr> trained() const override { return last_layer(net()).op()->params(); }
  bool allows_in_place() const override { return true; }

 protected:
  void set_up() override { last_ = last_layer(net()).number; }

  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    struct OnlyLast : Feedback {
      int last;
      explicit OnlyLast(int last) : last(last) {}
      Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                   Sweep& sweep) override {
        if (site.number > last || site.node.op->parts())
          return Feedback::pull(site, saved, cot, wanted, sweep);
        return Credits(wanted.size());
      }
    } feedback(last_);
    return sweep_back(trace, objective, wanted, feedback, sink);
  }

 private:
  int last_ = -1;  ///< its site
};

const RegisterRule registered_last_layer_only{
    {.name = "last-layer-only",
     .aliases = {"last"},
     .summary = "baseline: hidden layers frozen at their initial weights",
     .assumes = "nothing",
     .source = "",
     .example_net = "mlp:784-100-10:relu",
     .make = [] { return std::make_unique<LastLayerOnly>(); },
     .order = 900,
     .reaches = 0.45}};

}  // namespace

}  // namespace altprop
