#include "altprop/rules/feedback/alignment.h"

#include <algorithm>

namespace altprop {

void AlignmentDecay::declare(Options& o, const std::string& prefix) {
  o.number(prefix + ".align-decay", decay, {.min = 0},
           {"weight decay during the first epochs, where the optimizer's is smaller", "1",
            "strong first epoch: Li & Benna 2024, arXiv 2405.20594"});
  o.integer(prefix + ".align-epochs", epochs, {.min = 0},
            {"number of first epochs with the alignment decay", "epochs",
             "Li & Benna 2024, arXiv 2405.20594"});
  o.number(prefix + ".min-decay", min_decay, {.min = 0},
           {"weight decay of the later epochs, where the optimizer's is smaller", "1"});
}

void AlignmentDecay::unread(std::vector<Unread>& out, const std::string& prefix) const {
  unless(epochs > 0, out, prefix + ".align-decay", prefix + ".align-epochs=0");
}

double AlignmentDecay::in_epoch(int64_t epoch,
                                const std::optional<OptimizerSettings>& settings) const {
  const double wanted = epoch < epochs ? decay : min_decay;
  const double own = settings ? settings->weight_decay : 0;
  // Not knowing the optimizer, later epochs are left to it.
  if (!settings && epoch >= epochs) return -1;
  return own >= wanted ? -1 : wanted;
}

bool AlignmentDecay::fits_in_place(const std::optional<OptimizerSettings>& s) {
  const Optimizer* optimizer = s ? s->known() : nullptr;
  return optimizer && optimizer->takes_signals(*s) == Target::Average;
}

bool steps_linearly(const OptimizerSettings& s) {
  return s.linear_kind() && !s.keep_signs;
}

StepFacts facts_of(const Param& weight, const StepFacts& facts, const OptimizerSettings& settings) {
  StepFacts own = facts;
  own.lr *= settings.lr_factor(weight.name);
  if (!settings.decay_all && !weight.decay) own.weight_decay = 0;
  own.linear = steps_linearly(settings);
  return own;
}

}  // namespace altprop
