#include "altprop/rules/equilibrium/settings.h"

#include "altprop/base/error.h"

namespace altprop {

void EquilibriumSettings::declare(Options& o) {
  o.choice(
      "ep.estimator", estimator, {"symmetric", "one-sided", "random-sign", "implicit", "bptt"},
      {"nudge by beta and by -beta; by beta alone; by beta with a sign drawn per batch; or, to "
       "compare with, the exact gradient that they estimate, or backpropagation through the last "
       "ep.nudged-steps of the free phase",
       "", "Laborieux et al. 2021, arXiv 2006.03824"});
  o.number("ep.beta", beta, {.min = -1e6, .max = 1e6},
           {"strength of the nudge, not 0; negative pushes away from the target", "1"});
  o.choice("ep.dynamics", dynamics, {"alternating", "synchronous", "gradient-flow"},
           {"every second layer in turn, all at once, or all a part of the way (clamped states "
            "only)",
            "", "arXiv 2312.15103, arXiv 1905.13633, arXiv 1602.05179"});
  o.number("ep.epsilon", epsilon, {.min = 0, .max = 1, .min_excluded = true},
           {"step size of gradient-flow; with 1 it is synchronous", "1", "arXiv 1602.05179"});
  o.integer("ep.free-steps", free_steps, {.min = 1},
            {"steps of the free phase, and of inference, at most", "steps"});
  o.integer("ep.nudged-steps", nudged_steps, {.min = 1},
            {"steps of a nudged phase at most", "steps"});
  o.number("ep.tolerance", tolerance, {.min = 0},
           {"end a phase when no unit of the batch moves by this much in a step; 0: never before "
            "its steps are done",
            "1"});
  o.integer("ep.check-every", check_every, {.min = 1},
            {"steps between two looks at what ep.tolerance bounds", "steps"});
  o.choice(
      "ep.start", start, {"zero", "forward", "persistent"},
      {"where the free phase starts: at zero; where one sweep up without feedback leads; or, for "
       "training examples, where it ended the last time, which is kept for each of them",
       "", "arXiv 1602.05179"});
  o.choice("ep.readout", readout, {"auto", "softmax", "state"},
           {"a linear output under a cross-entropy reads the states and does not settle; state "
            "makes it settle with them",
            "", "arXiv 2006.03824"});
  o.choice("ep.weights", weights, {"tied", "separate", "same-update"},
           {"the way back uses the forward weights, own weights with updates of their own, or own "
            "weights that take the forward weights' steps",
            "", "arXiv 1808.04873, arXiv 2006.03824"});
  o.flag("ep.continual", continual,
         {"update after every nudged step instead of once per batch", "", "arXiv 2005.04168"});
}

std::vector<Unread> EquilibriumSettings::unread() const {
  std::vector<Unread> out;
  unless(nudges(), out, "ep.beta", "ep.estimator=" + estimator);
  unless(estimator != "implicit", out, "ep.nudged-steps", "ep.estimator=implicit");
  unless(dynamics == "gradient-flow", out, "ep.epsilon", "ep.dynamics=" + dynamics);
  unless(tolerance > 0, out, "ep.check-every", "ep.tolerance=0");
  return out;
}

void EquilibriumSettings::check() const {
  if (beta == 0) throw UsageError("ep.beta must not be 0; use for example 0.5");
  if (continual && weights != "tied")
    throw Refusal("equilibrium-propagation", "ep.continual=true is defined for tied weights",
                  "use ep.weights=tied");
  if (continual && !nudges())
    throw Refusal("equilibrium-propagation", "ep.continual=true needs a nudged phase",
                  "use ep.estimator=symmetric");
}

Timing EquilibriumSettings::timing() const {
  return dynamics == "alternating"   ? Timing::Alternating
         : dynamics == "synchronous" ? Timing::Synchronous
                                     : Timing::GradientFlow;
}

}  // namespace altprop
