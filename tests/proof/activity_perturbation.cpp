// Activity perturbation: noise in a layer's units, weighted by what it does to the loss, estimates
// their credit without bias, and nothing travels backwards.
//
//   credit of layer l and sample b = u (u . dLoss_b / dz_l),   u ~ N(0, I)
//
// M. Ren, S. Kornblith, R. Liao, G. Hinton, "Scaling forward gradient with local losses", 2022,
// arXiv 2210.03310, section 3.1, after A. Baydin, B. Pearlmutter, D. Syme, F. Wood, P. Torr,
// "Gradients without backpropagation", 2022, arXiv 2202.08587.
#include "altprop/base/error.h"
#include "altprop/network/sites.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

struct ActivityPerturbation : Rule {
  int64_t draws = 4;

  void declare(Options& o) override {
    o.integer("ap.draws", draws, {.min = 1, .max = 10'000},
              {"perturbations of each layer per batch, whose estimates are averaged", "draws"});
  }

  void admit(const Graph& net, const Loss&) const override {
    require_parameters(net);
    const Sites sites(net);
    for (const SiteInfo& site : sites.all())
      if (site.op() && site.op()->parts() && site.op()->parts() != site.op())
        throw Refusal(site.name, "the block's layers see many values, which are not kept",
                      "describe the network without it, or use backprop");
  }

  bool is_stochastic() const override { return true; }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const Look& look = trace.look;
    const Tensor slope = objective.gradient(trace.output);
    const auto perturb = [&](const Site& site, const Saved& saved) {
      const Op& op = *site.node.op;
      if (op.params().empty()) return;
      std::vector<int64_t> shape = site.node.spec.shape;
      shape.insert(shape.begin(), look.rows());
      std::vector<int64_t> column(shape.size(), 1);
      column[0] = look.rows();
      for (int64_t k = 0; k < draws; ++k) {
        const Tensor u = look.draws.at("ap").at(site.name()).at(k).normal_rows(
            look.row_ids(), shape, trace.output.options());
        const Tensor moved = net().push(trace.activity, Push{.sites = {{site.number, 0, u}}});
        const Tensor gain = (moved * slope).flatten(1).sum(1);  // one number per sample
        sink.take(LocalSignal{&op, &site, &saved, u * gain.view(column),
                              objective.scale() / static_cast<double>(draws)});
      }
    };
    net().visit(trace.activity, {.leaf = perturb});
    return {};
  }
};

const RegisterRule registered_activity_perturbation{
    {.name = "activity-perturbation",
     .aliases = {"ap"},
     .summary = "credit as the correlation of noise in the units with what it does to the loss",
     .assumes = "noise in every unit, and the change of the loss told to all of them",
     .source = "Ren, Kornblith, Liao, Hinton 2022, arXiv 2210.03310",
     .example_net = "mlp:784-100-10:relu",
     .make = [] { return std::make_unique<ActivityPerturbation>(); },
     .order = 95,
     .reaches = 0.35}};

}  // namespace

}  // namespace altprop
