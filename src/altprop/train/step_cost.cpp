#include "altprop/train/step_cost.h"

#include "altprop/base/timing.h"

namespace altprop {

void StepCost::seconds(const std::string& pass, double seconds, bool last) {
  seconds_[pass].push_back(static_cast<float>(seconds));
  rounds_ += last;
}

double StepCost::seconds() const {
  double sum = 0;
  for (const auto& [pass, times] : seconds_) {
    sum += static_cast<double>(median(times)) * static_cast<double>(times.size());
  }
  return rounds_ ? sum / static_cast<double>(rounds_) : earlier_seconds_;
}

std::optional<double> StepCost::flops() const {
  double sum = 0;
  for (const auto& [pass, times] : seconds_) {
    const auto counted = flops_.find(pass);
    if (counted == flops_.end()) return std::nullopt;
    sum += counted->second * static_cast<double>(times.size());
  }
  return rounds_ ? sum / static_cast<double>(rounds_) : earlier_flops_;
}

void StepCost::state(StateIO io) {
  double typical = seconds();
  io.number("step_seconds", typical);
  if (io.is_loading()) earlier_seconds_ = typical;
  if (io.is_loading() ? io.has("step_flops") : flops().has_value()) {
    double counted = flops().value_or(0);
    io.number("step_flops", counted);
    if (io.is_loading()) earlier_flops_ = counted;
  }
}

}  // namespace altprop
