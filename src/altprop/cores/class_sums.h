// The vote of the output neurons: neuron j is one of class j mod K.
#pragma once

#include "altprop/network/op.h"

namespace altprop::cores {

/// What is made of the outputs n_j of a class's N / K neurons.
enum class ClassScore {
  Sums,      ///< sum of n_j: how many spikes to expect, 0 to N / K
  Means,     ///< their mean, 0 to 1
  Majority,  ///< probability that the mean is above 1/2, the sum taken as Gaussian
};

/// [B, N] -> [B, K] real scores; K has to divide N. Saved.t = {input} for Majority, else nothing.
/// @throws Refusal if it does not
class ClassSums final : public Op {
 public:
  explicit ClassSums(int64_t classes, ClassScore score = ClassScore::Sums)
      : classes_(classes), score_(score) {}
  std::string type() const override { return "class-sums"; }
  std::string settings() const override;
  Takes takes(int) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override;
  int64_t classes() const { return classes_; }

 private:
  /// d score / d n_j, [B, N / K, K].
  Tensor slope(const Tensor& votes) const;

  int64_t classes_;
  ClassScore score_;
};

inline OpPtr class_sums(int64_t classes, ClassScore score = ClassScore::Sums) {
  return std::make_shared<ClassSums>(classes, score);
}

}  // namespace altprop::cores
