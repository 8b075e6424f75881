// What a training step costs, measured as the steps of a run go by.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "altprop/tensor/state_io.h"

namespace altprop {

/// An epoch may have several kinds of passes; a step here is one batch of the last of them with its
/// share of the others.
class StepCost {
 public:
  /// A step of a pass was made. @param last whether the epoch has no pass after it
  void seconds(const std::string& pass, double seconds, bool last);
  /// FLOPs of a step of a pass on a full batch.
  void flops(const std::string& pass, double flops) { flops_[pass] = flops; }
  bool has_flops(const std::string& pass) const { return flops_.count(pass) != 0; }

  /// Typical seconds of a step since this process took the run up. The median of each kind of pass,
  /// so that other load on the machine disturbs it little. What the checkpoint says if no epoch's
  /// last pass has begun.
  double seconds() const;
  /// FLOPs of the same in matrix products and convolutions (probes/kernels.h); nothing before the
  /// first full batch.
  std::optional<double> flops() const;

  void state(StateIO io);

 private:
  std::map<std::string, std::vector<float>> seconds_;  ///< by kind of pass
  std::map<std::string, double> flops_;                ///< likewise, of one step
  int64_t rounds_ = 0;                                 ///< steps of last passes
  double earlier_seconds_ = 0;
  std::optional<double> earlier_flops_;
};

}  // namespace altprop
