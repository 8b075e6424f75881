#include "altprop/rules/equilibrium/kept_states.h"

namespace altprop {

void KeptStates::make_room(const Tensor& ids, const Field& like) {
  const int64_t needed = ids.max().item<int64_t>() + 1;
  for (size_t s = 0; s < kept_.size(); ++s) {
    if (!net_.moves(static_cast<int>(s))) continue;
    if (kept_[s].defined() && kept_[s].device() != like[s].device())  // as a checkpoint left it
      kept_[s] = kept_[s].to(like[s].device());
    if (kept_[s].defined() && examples_ >= needed) continue;
    std::vector<int64_t> shape = like[s].sizes().vec();
    shape[0] = needed;
    const Tensor wider = at::zeros(shape, like[s].options());
    if (kept_[s].defined()) wider.narrow(0, 0, examples_).copy_(kept_[s]);
    kept_[s] = wider;
  }
  examples_ = std::max(examples_, needed);
}

void KeptStates::recall(const Tensor& ids, ConvergentDynamics& dynamics) const {
  if (examples_ == 0) return;
  Field found = dynamics.states();
  for (size_t s = 0; s < kept_.size(); ++s) {
    if (!kept_[s].defined()) continue;
    const Tensor rows = ids.to(kept_[s].device());
    std::vector<int64_t> one_each(static_cast<size_t>(kept_[s].dim()), 1);
    one_each[0] = rows.size(0);
    found[s] = kept_[s]
                   .index_select(0, rows.clamp_max(examples_ - 1))
                   .mul_(rows.lt(examples_).view(one_each))
                   .to(found[s].device());
  }
  dynamics.set_states(found);
}

void KeptStates::keep(const Tensor& ids, const Field& states) {
  make_room(ids, states);
  for (size_t s = 0; s < kept_.size(); ++s)
    if (kept_[s].defined()) kept_[s].index_copy_(0, ids.to(kept_[s].device()), states[s]);
}

double KeptStates::bytes() const {
  double sum = 0;
  for (const Tensor& t : kept_)
    if (t.defined()) sum += static_cast<double>(t.nbytes());
  return sum;
}

void KeptStates::state(StateIO io) {
  io.integer("examples", examples_);
  for (size_t s = 0; s < kept_.size(); ++s) {
    if (io.is_loading()) kept_[s] = Tensor();
    if (examples_ > 0 && net_.moves(static_cast<int>(s)))
      io.tensor(net_.name(static_cast<int>(s)), kept_[s]);
  }
}

}  // namespace altprop
