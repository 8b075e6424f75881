#include "altprop/optim/step_facts.h"

namespace altprop {

void AlignmentLaw::advance(const StepFacts& facts) {
  if (facts.decays_apart) {
    advance_decoupled(facts);
    return;
  }
  if (!facts.linear) {
    lose();
    return;
  }
  const double gradient = facts.weight_decay * c_;
  m_ = facts.momentum * m_ + gradient;
  c_ -= facts.lr * (facts.looks_ahead ? gradient + facts.momentum * m_ : m_);
}

}  // namespace altprop
