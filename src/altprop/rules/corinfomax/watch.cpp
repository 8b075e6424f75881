// How CorInfoMax's nudge spreads: the credit -(s_nudged - s_free)/beta that a layer's rates hold
// after so many iterations, against that of the network with tied weights (tied_network.h).
#include "altprop/rules/relaxation/watch.h"

#include "altprop/rules/corinfomax/corinfomax.h"
#include "altprop/rules/corinfomax/tied_network.h"

namespace altprop {

std::optional<Settling> CorInfoMax::watch(const Step& step) {
  require_bound(step);
  load();
  RateState free, nudged;
  const Tensor inputs = step.inputs.flatten(1);
  dynamics_.start(free, inputs);
  dynamics_.settle(free, free_steps_, nullptr);
  const Tensor targets = Loss::as_rows(step.targets, free.layer.back());
  const double beta = signed_beta(step);
  const OutputPull pull{at::full({targets.size(0), 1}, beta, targets.options()), targets};
  TiedNetwork tied(layers_, dynamics_settings_.epsilon);
  tied.settle(inputs);
  tied.solve(objective(step).gradient(tied.rates().back()));
  std::vector<Settling::State> states;
  for (size_t k = 0; k < layers_.size(); ++k) {
    const std::string& name = layers_[k].node->name;
    states.push_back(
        {.name = name, .layer = name, .hops = static_cast<int64_t>(layers_.size() - k)});
  }
  SettlingRecorder recorder(std::move(states), tied.adjoint(),
                            "exact credit of the network with tied weights");
  // From the free rates every time: a phase begins with membranes at its rates.
  for (int64_t t = 1; t <= nudged_steps_; ++t) {
    if (!worth_a_look(t, nudged_steps_)) continue;
    dynamics_.copy(free, nudged);
    dynamics_.settle(nudged, t, &pull);
    Field credit;
    for (size_t k = 0; k < layers_.size(); ++k)
      credit.push_back((free.layer[k] - nudged.layer[k]).div_(beta));
    recorder.take(t, credit, {}, nudged.layer, false);
  }
  return recorder.finish();
}

}  // namespace altprop
