#include "altprop/optim/optimizer_settings.h"

#include "altprop/base/error.h"
#include "altprop/base/factors.h"
#include "altprop/optim/idle.h"
#include "altprop/optim/optimizer.h"

namespace altprop {

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
  for (const OptimizerEntry& entry : optimizer_entries())
    for (const OwnNumber& number : entry.own)
      o.number(number.name, own.try_emplace(number.name, number.value).first->second, number.range,
               number.doc);
}

const Optimizer* OptimizerSettings::known() const {
  for (const OptimizerEntry& entry : optimizer_entries())
    if (entry.name == kind) return entry.optimizer.get();
  return nullptr;
}

std::vector<std::string> OptimizerSettings::without_effect() const {
  OptimizerSettings mine = *this, usual;
  std::vector<std::string> shared = {"momentum", "beta1", "beta2", "eps", "rms-decay"};
  std::optional<std::vector<std::string>> uses;
  for (const OptimizerEntry& entry : optimizer_entries()) {
    if (entry.name == kind) uses = entry.uses;
    if (entry.name != kind)
      for (const OwnNumber& number : entry.own) shared.push_back(number.name);
  }
  return text_of_idle(mine, usual, shared, uses, "--optimizer " + kind);
}

double OptimizerSettings::effective_momentum() const {
  const Optimizer* optimizer = known();
  return optimizer ? optimizer->momentum(*this) : 0;
}

bool OptimizerSettings::linear_kind() const {
  const Optimizer* optimizer = known();
  return optimizer && optimizer->linear();
}

bool OptimizerSettings::decays_apart() const {
  const Optimizer* optimizer = known();
  return optimizer && optimizer->decays_apart();
}

bool OptimizerSettings::linear() const {
  return linear_kind() && clip_value == 0 && clip_tensor_norm == 0 && !sign_gradient && !keep_signs;
}

double OptimizerSettings::lr_factor(const std::string& parameter) const {
  return factor_of("lr-of", lr_of, parameter);
}

double OptimizerSettings::own_number(const std::string& name) const {
  if (const auto found = own.find(name); found != own.end()) return found->second;
  for (const OptimizerEntry& entry : optimizer_entries())
    for (const OwnNumber& number : entry.own)
      if (entry.name == kind && number.name == name) return number.value;
  throw Error("optimizer '" + kind + "' has registered no number '" + name + "'");
}

StepFacts OptimizerSettings::facts(double rate, double decay) const {
  const Optimizer* optimizer = known();
  return {.kind = kind,
          .lr = rate,
          .momentum = effective_momentum(),
          .weight_decay = decay,
          .linear = linear(),
          .looks_ahead = optimizer && optimizer->looks_ahead(),
          .decays_apart = decays_apart()};
}

}  // namespace altprop
