// What networks that are normalising flows have in common: how the time enters, the trace, and the
// solver, as options; and one flow behind another.
#pragma once

#include "altprop/network/architecture.h"
#include "altprop/ode/flow.h"

namespace altprop::ode {

struct FlowNetwork : Architecture {
  std::string hidden, activation = "tanh", layer = "concatsquash", trace = "exact",
              in_evaluation = "exact", learnt = "sqrt";
  int64_t blocks = 1;
  Problem problem{.sizes = {.rtol = 1e-5, .atol = 1e-5}};

 protected:
  void declare_hidden(Options& o, const std::string& what);
  /// All of the others.
  void declare_flow(Options& o);
  /// @throws UsageError if options contradict each other or the data have no density
  void expect_usable(const std::string& network, const InputInfo& info) const;
  std::vector<int64_t> hidden_sizes() const;

  /// g(z, t) in the making: `layers` is asked for each layer of so many outputs.
  using AddLayer = std::function<void(Builder& g, int64_t out)>;
  /// A layer with the time as `layer` says. @param dim of its channels, of the batched tensor
  AddLayer timed(int t, int64_t dim, const AddLayer& affine) const;
  /// ode{flow{g}} on the state that `net` stands at.
  void add_flow(Builder& net, std::shared_ptr<Graph> g, const std::string& name) const;
};

}  // namespace altprop::ode
