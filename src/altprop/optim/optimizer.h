// How gradients become steps: the optimizers' settings, declared once.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "altprop/base/options.h"

namespace altprop {

struct OptimizerSettings {
  std::string kind = "momentum";  ///< sgd | momentum | nesterov | adam | adamw | rmsprop
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

  void declare(Options& options);
  /// Effective momentum: 0 for the kinds that have none.
  double effective_momentum() const {
    return kind == "momentum" || kind == "nesterov" ? momentum : 0;
  }
  /// Steps are linear in the sequence of gradients with one rate for all entries: sgd, momentum,
  /// nesterov without per-entry or per-tensor changes.
  bool linear() const;
  /// Factor for a parameter of this name. @throws UsageError for a malformed entry of lr_of
  double lr_factor(const std::string& parameter) const;
};

std::vector<std::string> optimizer_names();
/// Name and update, g being the gradient with coupled decay.
std::vector<std::pair<std::string, std::string>> optimizer_listing();

/// Learning rate (and decay) over time.
struct Schedule {
  std::string kind = "constant";        ///< constant | step | cosine | exponential
  std::vector<std::string> milestones;  ///< step: epochs at which the rate is multiplied by gamma
  double gamma = 0.1;     ///< exponential: the rate is multiplied by gamma^epoch, and from epoch
  int64_t late_from = 0;  ///< late_from on, if above 0, by late_gamma^epoch instead: a jump
  double late_gamma = 0.9;
  int64_t warmup_steps = 0;

  void declare(Options& options);
  /// Factor on the learning rate at a step. @param epoch 0-based, @param fraction of the epoch
  /// done, @param step global step, 0-based
  double factor(int64_t epoch, double fraction, int64_t epochs, int64_t step) const;
};

/// What an update really did: exact alignment laws and probes need it.
struct StepFacts {
  std::string kind;
  double lr = 0, momentum = 0, weight_decay = 0;
  double clip_factor = 1;  ///< scalar that global-norm clipping multiplied all gradients by
  bool linear = false;     ///< see OptimizerSettings::linear
};

/// The scalar law of differences (Kolen & Pollack 1994; Akrout et al. 2019, arXiv 1904.05391): two
/// tensors that receive the same gradients differ by c(t) times their first difference, where c
/// obeys the optimizer's own recursion with the decay term as its gradient, whatever the data, the
/// depth, the loss:  m <- mu m + lambda c;  c <- c - eta m.
class AlignmentLaw {
 public:
  void advance(const StepFacts& facts);
  /// A step whose decay is taken off the tensors themselves: c <- (1 - eta lambda) c.
  void advance_decoupled(const StepFacts& facts) { c_ *= 1 - facts.lr * facts.weight_decay; }
  /// A step that the law does not cover was taken.
  void lose() { holds_ = 0; }
  double factor() const { return c_; }
  /// True once the difference is gone for good, to 1e-7 of the first one.
  bool settled() const { return holds() && std::abs(c_) < 1e-7 && std::abs(m_) < 1e-7; }
  /// False once a step was not linear (Adam): the law no longer predicts anything.
  bool holds() const { return holds_ != 0; }
  template <class IO>
  void state(IO io) {
    io.number("c", c_);
    io.number("m", m_);
    io.integer("holds", holds_);
  }

 private:
  double c_ = 1, m_ = 0;
  int64_t holds_ = 1;
};

}  // namespace altprop
