// Initialisers, for forward weights and for feedback tensors alike.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// How a weight tensor is drawn. fan_in = size(1) * receptive field, fan_out = size(0) * receptive
/// field (PyTorch's convention); a weight of one dimension acts elementwise and has fans of 1.
///
///   xavier           U(+-sqrt(6 / (fan_in + fan_out)))          Glorot & Bengio 2010
///   xavier-normal    N(0, 2 / (fan_in + fan_out))
///   kaiming          U(+-1 / sqrt(fan_in)), the default of torch.nn; biases are drawn likewise
///   he               N(0, 2 / fan_in)                            He et al. 2015, arXiv 1502.01852
///   lecun            N(0, 1 / fan_in)
///   akrout           N(0, 1 / (fan_in + fan_out)), biases too   Akrout et al., arXiv 1904.05391
///   orthogonal       rows or columns orthonormal
///   zero             all zero                                   Nokland 2016, arXiv 1609.01596
///   uniform:x        U(+-x)
///   normal:x         N(0, x^2)
///   normal:x:m       N(m, x^2)
///
/// Biases are zero unless said otherwise.
class Initialiser {
 public:
  /// @throws UsageError naming the schemes
  explicit Initialiser(const std::string& scheme);
  static std::string grammar();

  Tensor draw(IntArrayRef shape, const Stream& stream, at::TensorOptions options) const;
  /// Refills `out` with the absolute values of a draw, without allocating for the common schemes on
  /// a float32 CPU tensor. The numbers are not those of `draw`.
  void draw_magnitudes_into(Tensor& out, const Stream& stream) const;
  /// @param weight_shape of the weight the bias belongs to
  Tensor draw_bias(IntArrayRef shape, IntArrayRef weight_shape, const Stream& stream,
                   at::TensorOptions options) const;
  /// Standard deviation of the entries that `draw` makes for this shape.
  double deviation(IntArrayRef shape) const;
  const std::string& scheme() const { return scheme_; }

 private:
  std::string scheme_, kind_;
  double value_ = 0, mean_ = 0;
};

struct Fans {
  double in, out;
};
Fans fans_of(IntArrayRef weight_shape);

/// Param::init of a matrix whose rows and columns are exchanged (a table of what one-hot inputs
/// select): the network's scheme, with the fans of the transposed matrix.
inline constexpr const char* kNetworkInitTransposed = "network, transposed";

/// Param::init of probabilities: U[0, 1), whatever the network's scheme.
inline constexpr const char* kUnitInterval = "unit interval";

/// Draws every weight and bias of the graph, each from the sub-stream of its own name, so that
/// adding a layer elsewhere changes nothing. A parameter with a scheme of its own (Param::init,
/// e.g. an embedding's table) takes that; those of norms and of wrapped modules (Op::weight() null)
/// keep the values they were built with.
void initialise(Graph& graph, const Initialiser& scheme, const Stream& stream);

/// A random matrix with orthonormal rows or columns, whichever are fewer (QR of a Gaussian with the
/// signs of R's diagonal).
Tensor draw_orthogonal(int64_t rows, int64_t columns, const Stream& stream,
                       at::TensorOptions options);

}  // namespace altprop
