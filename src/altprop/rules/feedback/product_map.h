// The fixed random matrix B of product feedback alignment and the products it takes part in.
// Li Ji-An, M. K. Benna, "Deep Learning without Weight Symmetry", 2024, arXiv 2405.20594.
//
// B maps the N output channels of a weight to an extra feedback population of k N units. For
// grouped convolutions it is block-diagonal, one N/g x kN/g block per group, so that groups stay
// apart.
#pragma once

#include <string>

#include "altprop/network/graph.h"

namespace altprop {

/// Where an operation keeps its output channels.
/// @throws Refusal for operations whose weight has no leading output-channel axis
Channels channels_of(const Node& node);

/// How large the feedback population is and how B is drawn.
struct Expansion {
  enum class Kind { Random, Orthogonal, Identity } kind = Kind::Random;
  int64_t factor = 10;
  /// "10", "ortho" or "identity". @throws UsageError
  static Expansion parse(const std::string& text);
};

class ProductMap {
 public:
  /// Draws B with E[B B^T] = I for the entries that the density leaves.
  /// @param gain further factor on B
  ProductMap(const Channels& channels, const Expansion& expansion, double density, double gain,
             const Stream& stream, at::TensorOptions options);

  /// With this B, [groups, N/g, kN/g].
  ProductMap(const Channels& channels, const Tensor& b);

  int64_t units() const { return groups_ * width_; }
  /// -1, or a channel whose row of B is all zero.
  int64_t silent_channel() const;

  /// B^T t: from the shape of a weight (or its gradient) to that of R.
  Tensor expand(const Tensor& t) const;
  /// B t: from the shape of R to that of a weight.
  Tensor contract(const Tensor& t) const;
  /// credit B: the activity of the feedback population.
  Tensor spread(const Tensor& credit) const;
  /// S = B B^T as [groups, N/g, N/g]; undefined where it is the identity.
  Tensor gram() const;

  /// S t for a weight-shaped t; t itself where S is undefined.
  static Tensor mix(const Tensor& s, const Tensor& t);

 private:
  bool last_;                        ///< Channels::last
  int64_t groups_, height_, width_;  ///< of B's blocks
  bool orthogonal_;                  ///< B B^T = I exactly
  Tensor b_;                         ///< [groups, height, width]; undefined: the identity
};

}  // namespace altprop
