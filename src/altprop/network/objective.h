// What the output of a network is judged by: a loss at given targets, or a cotangent that somebody
// outside has computed (the rest of a larger model, a loss of another framework).
#pragma once

#include "altprop/network/loss.h"

namespace altprop {

class Objective {
 public:
  /// @param loss must outlive this
  /// @param samples of the whole batch, by which signals are divided, also if some of them are
  /// elsewhere
  Objective(const Loss& loss, Tensor targets, double samples)
      : loss_(&loss), targets_(std::move(targets)), samples_(samples) {}
  /// @param cot d(objective)/d(output), [B, ...], whatever the output is
  /// @param samples 1: of the sum over samples, or of a mean that `cot` contains already
  static Objective cotangent(Tensor cot, double samples = 1);

  bool has_loss() const { return loss_ != nullptr; }
  /// @throws Error where there is only a cotangent
  const Loss& loss() const;
  /// int64 [B] class numbers or [B, ...] values. @throws as loss()
  const Tensor& targets() const;
  /// Targets as rows of the output's type and width. @throws as loss(); UsageError if they do not
  /// fit
  Tensor target_rows(const Tensor& output) const { return Loss::as_rows(targets(), output); }

  /// Per sample, [B]. @throws as loss()
  Tensor value(const Tensor& output) const { return loss().value(output, targets()); }
  /// d/d(output) of the batch-summed objective, [B, ...].
  /// @throws UsageError if a cotangent has not the output's shape
  Tensor gradient(const Tensor& output) const;
  /// Its second derivative times a direction, per sample: zero for a cotangent.
  Tensor curvature(const Tensor& output, const Tensor& direction) const;

  double samples() const { return samples_; }
  /// What signals are multiplied by: the update is that of the mean.
  double scale() const { return 1.0 / samples_; }

  /// That of some of the samples.
  Objective rows(int64_t first, int64_t count) const;
  /// That of outputs of times * B rows, row k*B + b being sample b.
  Objective repeated(int64_t times) const;

 private:
  Objective() = default;

  const Loss* loss_ = nullptr;
  Tensor targets_;  ///< or the cotangent
  double samples_ = 1;
};

}  // namespace altprop
