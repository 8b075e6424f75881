// What tests of rules inside of blocks share.
#pragma once

#include <ATen/core/grad_mode.h>

#include <map>
#include <set>
#include <utility>

#include "altprop/base/error.h"
#include "altprop/network/sites.h"
#include "rules/pathways.h"

namespace altprop::nested {

using pathways::distance;
using pathways::expect_same;
using pathways::random;
using pathways::RuleInside;
using testing::gradients;
using testing::TestRun;

/// Relative, where there is something to relate to: biases that do not learn stay zero.
inline double apart(const Tensor& a, const Tensor& b) {
  const double size = b.norm().item<double>();
  return (a - b).norm().item<double>() / (size > 0 ? size : 1);
}

/// The tangent that begins at a place arrives as the credit that comes to it: <cot, J u> = <J^T cot,
/// u>, at every leaf, in every use, through blocks in blocks.
inline void expect_tangents_from_everywhere(Graph& net, size_t places) {
  at::NoGradGuard no_grad;
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  const Tensor cot = random({3, 5}, 4);
  struct Credits : Sink {
    std::map<std::pair<int, int>, Tensor> at;
    void take(const LocalSignal& signal) override {
      at[{signal.site->number, signal.site->use}] = signal.cot;
    }
    void take(const ParamSignal&) override {}
  } credits;
  Feedback exact;
  net.sweep(activity, {{net.output_node(), cot}}, exact, &credits);
  const Sites sites(net);
  std::set<std::pair<int, int>> seen;
  net.visit(activity, {.leaf = [&](const Site& site, const Saved& saved) {
              EXPECT_EQ(site.name(), sites[site.number].name);
              const auto found = credits.at.find({site.number, site.use});
              ASSERT_EQ(found != credits.at.end(), !site.node.op->params().empty());
              if (found == credits.at.end()) return;
              seen.insert({site.number, site.use});
              const Tensor u = random(found->second.sizes(), 7 + seen.size());
              const Tensor pushed =
                  net.push(activity, Push{.sites = {{site.number, site.use, u}}});
              const double arrives = (cot * pushed).sum().item<double>(),
                           expected = (found->second * u).sum().item<double>();
              EXPECT_NEAR(arrives, expected, 1e-11) << site.name() << " use " << site.use;
              // What it saw is what its parameters learn from.
              EXPECT_EQ(saved.t[0].size(0), 3);
            }});
  EXPECT_EQ(seen.size(), places) << "each use of each once";
  EXPECT_EQ(seen.size(), credits.at.size());
  EXPECT_THROW(
      net.push(activity, Push{.sites = {{static_cast<int>(sites.size()), 0, cot}}}), UsageError);
}

}  // namespace altprop::nested
