// What an update did, and the law that follows from it: exact alignment laws and probes need both.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

namespace altprop {

/// What an update really did.
struct StepFacts {
  std::string kind;  ///< the optimizer's name; of a foreign one, a name that none here has
  double lr = 0, momentum = 0, weight_decay = 0;
  double clip_factor = 1;     ///< scalar that global-norm clipping multiplied all gradients by
  bool linear = false;        ///< see OptimizerSettings::linear
  bool looks_ahead = false;   ///< the step is gradient + momentum * average (nesterov)
  bool decays_apart = false;  ///< decay is taken off the values and is no part of the gradient
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
