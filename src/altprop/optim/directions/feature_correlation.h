// What recursive least squares keeps of weights that each belong to one feature (norms, diagonal
// maps): the same recursions as of an affine map (inverse_correlation.h), each feature by itself.
//
// A feature's row is its input, with a 1 behind it where a bias learns, so that its inverse
// autocorrelation P is 1 x 1 or 2 x 2.
#pragma once

#include <map>
#include <string>

#include "altprop/network/op.h"
#include "altprop/optim/directions/inverse_correlation.h"

namespace altprop {

class FeatureCorrelation {
 public:
  /// @param bias null: none that learns @param settings must outlive this
  FeatureCorrelation(ParamPtr weight, ParamPtr bias, const CorrelationSettings& settings);

  const ParamPtr& weight() const { return weight_; }
  const ParamPtr& bias() const { return bias_; }
  /// Of one signal; nothing of them is kept but sums.
  void take(const WeightRows& rows);
  bool has_rows() const { return rows_ > 0; }
  /// The gradients of the step become its direction, and P follows the rows that were taken.
  /// @param l1 factor on the signs of the values, which are added to the gradients
  void advance(Store& gradients, double l1);
  /// A number without dimensions, finite as long as P can be relied on.
  const Tensor& sound() const { return sound_; }

  /// @throws Error if the checkpoint's are of other features
  void state(StateIO io);

 private:
  int64_t size() const { return bias_ ? 2 : 1; }
  /// [features, size, size] of the sums of products of rows, over their number.
  Tensor mean_products() const;
  Tensor along_mean(const Tensor& g);
  Tensor along_all(const Tensor& g);
  /// Of symmetric positive definite matrices, or what is not finite.
  static Tensor inverse_of(const Tensor& matrices);
  Tensor times_p(const Tensor& g) const { return (g.unsqueeze(2) * p_).sum(1); }
  void hold_back();

  const CorrelationSettings& settings_;
  ParamPtr weight_, bias_;
  Tensor p_;              ///< [features, size, size]
  Tensor sigma_;          ///< exact-ema only
  int64_t age_ = 0;       ///< exact-ema: steps since the inverse was made
  Tensor sum_, squares_;  ///< [features], of the inputs since the last step
  int64_t rows_ = 0;
  Tensor sound_;
};

/// Those of all weights, by name.
class FeatureCorrelations {
 public:
  explicit FeatureCorrelations(const CorrelationSettings& settings) : settings_(settings) {}
  void clear();
  /// Made at its first signal, with what a checkpoint has of it. @param bias null: none that learns
  FeatureCorrelation& of(const ParamPtr& weight, const ParamPtr& bias);
  std::map<std::string, FeatureCorrelation>& all() { return all_; }
  /// Of one weight; nothing where it has none.
  void state(StateIO io, const std::string& weight);

 private:
  const CorrelationSettings& settings_;
  std::map<std::string, FeatureCorrelation> all_;
  std::map<std::string, TensorMap> loaded_;  ///< by weight, before its first signal
};

}  // namespace altprop
