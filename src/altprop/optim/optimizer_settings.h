// The settings of all optimizers, declared once. Which of them an optimizer reads is its own
// business (optim/optimizers/).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/optim/step_facts.h"

namespace altprop {

class Optimizer;

struct OptimizerSettings {
  std::string kind = "momentum";  ///< a registered name (optim/optimizer.h)
  double lr = 0.01;
  double momentum = 0.9;    ///< momentum and nesterov only
  double weight_decay = 0;  ///< coupled (added to the gradient); adamw: decoupled
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double rms_decay = 0.99;      ///< rmsprop: averaging of squared gradients
  bool decay_all = true;        ///< false: no weight decay on biases and norm parameters
  double clip_norm = 0;         ///< global norm of all gradients of a group; 0: off
  double clip_tensor_norm = 0;  ///< norm of each parameter's gradient; 0: off
  double clip_value = 0;        ///< each entry; 0: off
  bool sign_gradient = false;   ///< replace gradients by their signs before momentum and decay
  bool keep_signs =
      false;  ///< an update that would flip a weight's sign sets it to +-1e-10 instead
  std::vector<std::string> lr_of;  ///< "pattern=factor": learning-rate factors of parameters whose
                                   ///< names contain the pattern
  std::map<std::string, double> own;  ///< numbers of one optimizer alone, see own_number

  void declare(Options& options);
  /// The registered optimizer of this name; null if there is none, as for a foreign one.
  const Optimizer* known() const;
  /// Effective momentum: 0 for the kinds that have none.
  double effective_momentum() const;
  /// "--momentum has no effect with --optimizer adam": settings that are not as they are by default,
  /// and that this kind does not look at.
  std::vector<std::string> without_effect() const;
  /// Steps of this kind are linear in the sequence of gradients that reach it.
  bool linear_kind() const;
  /// Decay is taken off the values and is no part of the gradient.
  bool decays_apart() const;
  /// Steps are linear in the sequence of gradients with one rate for all entries: a linear kind
  /// without per-entry or per-tensor changes.
  bool linear() const;
  /// Factor for a parameter of this name. @throws UsageError for a malformed entry of lr_of
  double lr_factor(const std::string& parameter) const;
  /// A number that the optimizer of this kind has registered for itself. @throws Error if it has
  /// not
  double own_number(const std::string& name) const;
  /// What a step with this rate and decay is, before anything was clipped.
  StepFacts facts(double rate, double decay) const;
};

}  // namespace altprop
