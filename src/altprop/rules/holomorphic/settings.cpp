#include "altprop/rules/holomorphic/settings.h"

#include "altprop/base/error.h"

namespace altprop {

void HolomorphicSettings::declare(Options& o) {
  const std::string first = "arXiv 2209.00530", second = "arXiv 2309.02214";
  o.integer("hep.points", points, {.min = 0, .max = 64},
            {"nudges on the circle: 1 one-sided, 2 symmetric, more for smaller errors at the same "
             "radius; 0: the exact derivative by the nudge",
             "", first + ", " + second});
  o.number(
      "hep.radius", radius, {.min = -1e6, .max = 1e6},
      {"size of the nudges, not 0; negative starts the circle away from the target", "1", first});
  o.choice("hep.estimator", estimator, {"nudged", "implicit"},
           {"what nudges give, or, to compare with, the exact gradient"});
  o.choice("hep.form", form, {"auto", "energy", "vector-field"},
           {"products of nudged states, which need tied weights, or free states times the "
            "derivative by the nudge; auto: energy for tied weights",
            "", first + ", " + second});
  o.choice("hep.readout", readout, {"auto", "softmax", "state"},
           {"a linear output under a cross-entropy reads the states and does not settle; state "
            "makes it settle with them"});
  o.choice("hep.weights", weights, {"tied", "separate"},
           {"the way back uses the forward weights, or own weights that learn on their own", "",
            second});
  o.number("hep.feedback-angle", angle, {.min = 0, .max = 90},
           {"where separate weights start: 0 at the forward weights, 90 at independent ones, W_b "
            "<- sin W_b + cos W_f",
            "degrees", second});
  o.text("hep.feedback-edges", edges,
         {"the only feedback: matrices written from>to, joined by commas, with names of layers, as "
          "fc3>fc1",
          "", second});
  o.integer("hep.free-steps", free_steps, {.min = 1},
            {"steps of the free phase, and of inference, at most", "steps"});
  o.integer("hep.nudged-steps", nudged_steps, {.min = 1},
            {"steps of the nudged phase, or of each point of an oscillation, at most", "steps"});
  o.number("hep.tolerance", tolerance, {.min = 0},
           {"end a phase when no unit of the batch moves by this much in a step; 0: never before "
            "its steps are done",
            "1"});
  o.integer("hep.check-every", check_every, {.min = 1},
            {"steps between two looks at what hep.tolerance bounds", "steps", "",
             "batches that settle before the last step"});
  o.number("hep.damping", damping, {.min = 0, .max = 1, .min_excluded = true},
           {"part of the way that a step goes; below 1 the same equilibria, reached by networks "
            "that swing",
            "1"});
  o.number("hep.noise", noise, {.min = 0},
           {"standard deviation of noise on the argument of every activation in every step", "1",
            first});
  o.flag(
      "hep.oscillating", oscillating,
      {"no free phase: the nudge goes around the circle and states are carried along", "", first});
  o.integer("hep.periods", periods, {.min = 1}, {"circles of an oscillation", "", first});
  o.number("hep.homeostasis", homeostasis, {.min = 0},
           {"strength of the pull towards a symmetric Jacobian", "1", second});
  o.integer("hep.homeostasis-draws", draws, {.min = 1},
            {"draws per sample and step where the asymmetry has no closed form", "", second});
  o.flag("hep.correction", correction,
         {"add (J^T - J)(r - r_*) while nudged: exact gradients without symmetric weights", "",
          "Scurria et al. 2026, arXiv 2602.03670"});
  o.number("hep.drop-above", drop_above, {.min = 0},
           {"leave samples out whose free states two more steps move by more than this, as a norm "
            "over the sample's states; 0: never",
            "1", first + ", code", "samples that do not settle"});
  o.number("hep.fallback-above", fallback_above, {.min = 0},
           {"use the two points +radius and -radius for samples whose complex points two more "
            "steps move by more than this, as a geometric mean over these points; 0: never",
            "1", first + ", code", "samples that do not settle"});
}

std::vector<Unread> HolomorphicSettings::unread() const {
  std::vector<Unread> out;
  for (const char* option : {"hep.points", "hep.radius", "hep.nudged-steps", "hep.form"})
    unless(estimator == "nudged", out, option, "hep.estimator=implicit");
  for (const char* option : {"hep.radius", "hep.form"})  // the derivative by the nudge itself
    unless(points > 0 || estimator != "nudged", out, option, "hep.points=0");
  unless(weights == "separate", out, "hep.feedback-angle", "hep.weights=tied");
  unless(tolerance > 0, out, "hep.check-every", "hep.tolerance=0");
  unless(weights != "separate", out, "hep.form", "hep.weights=separate, which has no energy");
  unless(oscillating, out, "hep.periods", "hep.oscillating=false");
  unless(homeostasis > 0, out, "hep.homeostasis-draws", "hep.homeostasis=0");
  return out;
}

void HolomorphicSettings::check() const {
  const std::string rule = "holomorphic-ep";
  if (radius == 0) throw UsageError("hep.radius must not be 0; use for example 0.4");
  if (form == "energy" && !tied())
    throw Refusal(rule, "hep.form=energy is defined for tied weights, and these are not",
                  "use hep.form=vector-field");
  if (!edges.empty() && weights == "separate")
    throw Refusal(rule,
                  "hep.feedback-edges replace the weights of the way back, so there are none "
                  "to be separate",
                  "leave hep.weights out");
  if (correction && tied())
    throw Refusal(rule, "hep.correction makes up for asymmetric weights, and tied ones have none",
                  "leave it out, or use hep.weights=separate");
  if (homeostasis > 0 && tied())
    throw Refusal(rule, "hep.homeostasis pulls separate weights together, and these are tied",
                  "leave it out, or use hep.weights=separate");
  if (fallback_above > 0 && (points < 3 || oscillating))
    throw Refusal(rule,
                  "hep.fallback-above uses two points where more do not settle, and there are no "
                  "more points that settle side by side",
                  oscillating ? "leave it out" : "leave it out, or use hep.points=4 or more");
  if (!oscillating) return;
  if (drop_above > 0)
    throw Refusal(
        rule, "hep.drop-above looks at the free equilibrium, which hep.oscillating never visits",
        "use one of the two");
  if (points < 2)
    throw Refusal(rule, "hep.oscillating=true needs points to go around",
                  "use hep.points=4 or more");
  if (correction)
    throw Refusal(rule,
                  "hep.correction needs the free equilibrium, which hep.oscillating never "
                  "visits",
                  "use one of the two");
  if (estimator == "implicit")
    throw Refusal(rule, "hep.estimator=implicit has no nudges to oscillate",
                  "leave hep.oscillating out");
}

StopWhen HolomorphicSettings::stop_nudged() const {
  StopWhen out = stop(nudged_steps);
  if (points == 0) out.tolerance = 0;
  return out;
}

}  // namespace altprop
