#include "altprop/rules/rule.h"

#include "altprop/base/error.h"

namespace altprop {

void sweep_step(Step& step, Feedback& feedback, Sink& sink) {
  step.output = step.net.run(step.inputs, step.activity,
                             {.mode = Mode::Train, .draws = step.draws, .ids = step.ids});
  step.net.sweep(
      step.activity, {{step.net.output_node(), step.loss.gradient(step.output, step.targets)}},
      feedback, &sink, {.scale = 1.0 / static_cast<double>(step.batch()), .release = true});
}

void Rule::reference(Step& step, Sink& sink) {
  Feedback exact;
  sweep_step(step, exact, sink);
}

void Rule::step(Step& step) {
  assign(step, *step.updater);
  step.updater->apply();
  step.net.project();
  after_update(step.net, step.updater->facts(), step);
}

}  // namespace altprop
