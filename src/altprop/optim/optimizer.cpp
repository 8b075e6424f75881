#include "altprop/optim/optimizer.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/factors.h"
#include "altprop/base/text.h"

namespace altprop {

std::vector<std::pair<std::string, std::string>> optimizer_listing() {
  return {
      {"sgd", "w <- w - lr g"},
      {"momentum", "m <- momentum m + g; w <- w - lr m (Polyak 1964)"},
      {"nesterov", "m <- momentum m + g; w <- w - lr (g + momentum m) (Sutskever et al. 2013)"},
      {"adam", "averages of g and g^2, corrected for their start (Kingma & Ba, arXiv 1412.6980)"},
      {"adamw", "adam with decay apart from the gradient (Loshchilov & Hutter, arXiv 1711.05101)"},
      {"rmsprop", "g over the root of an average of g^2 (Tieleman & Hinton 2012)"}};
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> out;
  for (const auto& [name, help] : optimizer_listing()) out.push_back(name);
  return out;
}

void OptimizerSettings::declare(Options& o) {
  o.choice("optimizer", kind, optimizer_names(), {"how gradients become steps"});
  o.number("lr", lr, {.min = 0}, {"learning rate", "1"});
  o.number("momentum", momentum, {.min = 0, .max = 1},
           {"momentum coefficient of momentum and nesterov", "1"});
  o.number("weight-decay", weight_decay, {.min = 0},
           {"weight decay: coupled (added to the gradient), for adamw decoupled", "1"});
  o.flag("decay-all", decay_all, {"decay biases and norm parameters too"});
  o.number("beta1", beta1, {.min = 0, .max = 1}, {"adam, adamw: averaging of gradients", "1"});
  o.number("beta2", beta2, {.min = 0, .max = 1},
           {"adam, adamw: averaging of squared gradients", "1"});
  o.number("eps", eps, {.min = 0},
           {"adam, adamw, rmsprop: added to the root of the squared gradient", "1"});
  o.number("rms-decay", rms_decay, {.min = 0, .max = 1},
           {"rmsprop: averaging of squared gradients", "1"});
  o.number("clip-norm", clip_norm, {.min = 0},
           {"largest global norm of the gradient; 0 is off", "1"});
  o.number("clip-tensor-norm", clip_tensor_norm, {.min = 0},
           {"largest norm of each parameter's gradient; 0 is off", "1"});
  o.number("clip-value", clip_value, {.min = 0},
           {"largest absolute value of a gradient's entries; 0 is off", "1"});
  o.flag("sign-gradient", sign_gradient,
         {"step along the signs of the gradient (Batch Manhattan)", "",
          "Liao, Leibo, Poggio 2016, arXiv 1510.05067"});
  o.flag("keep-signs", keep_signs,
         {"an update that would flip a weight's sign sets it to 1e-10 of its old sign", "",
          "Liao, Leibo, Poggio 2016, arXiv 1510.05067"});
  o.list("lr-of", lr_of, {"learning-rate factors by parameter, pattern=factor: fc1=0.1,conv=2"});
}

bool OptimizerSettings::linear() const {
  return (kind == "sgd" || kind == "momentum" || kind == "nesterov") && clip_value == 0 &&
         clip_tensor_norm == 0 && !sign_gradient && !keep_signs;
}

double OptimizerSettings::lr_factor(const std::string& parameter) const {
  return factor_of("lr-of", lr_of, parameter);
}

void Schedule::declare(Options& o) {
  o.choice("schedule", kind, {"constant", "step", "cosine", "exponential"},
           {"learning rate over the epochs"});
  o.list("milestones", milestones,
         {"step schedule: epochs after which the rate is multiplied by gamma", "epochs"});
  o.number("gamma", gamma, {.min = 0},
           {"step schedule: factor at each milestone; exponential: factor of every epoch", "1"});
  o.integer(
      "late-from", late_from, {.min = 0},
      {"exponential schedule: epoch (from 0) from which late-gamma to the power of the epoch is "
       "the factor; 0: never",
       "epochs"});
  o.number("late-gamma", late_gamma, {.min = 0},
           {"exponential schedule: what takes the place of gamma from late-from on", "1",
            "code of arXiv 2306.04810"});
  o.integer("warmup-steps", warmup_steps, {.min = 0},
            {"steps over which the rate grows linearly from 0", "steps"});
}

double Schedule::factor(int64_t epoch, double fraction, int64_t epochs, int64_t step) const {
  double factor = 1;
  if (kind == "step") {
    for (const std::string& item : milestones) {
      const auto at = text::to_integer(item);
      if (!at || *at < 0)
        throw UsageError("option 'milestones' takes whole numbers of epochs, but has '" + item +
                         "'");
      if (epoch >= *at) factor *= gamma;
    }
  } else if (kind == "exponential") {
    const bool late = late_from > 0 && epoch >= late_from;
    factor = std::pow(late ? late_gamma : gamma, static_cast<double>(epoch));
  } else if (kind == "cosine") {
    const double progress = std::min(1.0, (static_cast<double>(epoch) + fraction) /
                                              static_cast<double>(std::max<int64_t>(1, epochs)));
    factor = 0.5 * (1 + std::cos(M_PI * progress));
  }
  if (step < warmup_steps)
    factor *= static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  return factor;
}

void AlignmentLaw::advance(const StepFacts& facts) {
  if (facts.kind == "adamw") {
    advance_decoupled(facts);
    return;
  }
  if (!facts.linear) {
    lose();
    return;
  }
  const double gradient = facts.weight_decay * c_;
  m_ = facts.momentum * m_ + gradient;
  c_ -= facts.lr * (facts.kind == "nesterov" ? gradient + facts.momentum * m_ : m_);
}

}  // namespace altprop
