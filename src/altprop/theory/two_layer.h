// The two-layer network of G. Song, R. Xu, J. Lafferty, "Convergence and alignment of gradient
// descent with random backpropagation weights", 2021, arXiv 2106.06044:
//
//   f = psi(X W) beta / sqrt(p),   e = f - y,   loss |e|^2 / 2
//   W    <- W    - (eta / sqrt p) X^T [ psi'(XW) . (e b^T) ]      backprop: beta in place of b
//   beta <- beta - (eta / sqrt p) psi(XW)^T e - eta lambda beta
//
// X: n x d, W: d x p, beta and the fixed feedback b: p; "." is the elementwise product. No biases;
// only beta decays. eta and lambda here belong to the summed loss; Study converts from those of the
// mean loss, in which published figures are given.
#pragma once

#include <functional>
#include <optional>

#include "altprop/tensor/random.h"

namespace altprop::theory {

enum class Psi { Linear, Relu, Tanh, Sigmoid };
/// @throws UsageError for a name that is none of linear, relu, tanh, sigmoid
Psi psi_of(const std::string& name);
Tensor value(Psi psi, const Tensor& z);
/// psi'(z); that of relu is 0 at 0.
Tensor slope(Psi psi, const Tensor& z);

/// E_w psi(Xw) psi(Xw)^T over w ~ N(0, I): the limit of G(0) = psi(XW) psi(XW)^T / p for a wide
/// network. x: [n, d]. Nothing for tanh and sigmoid, which have no closed form.
std::optional<Tensor> expected_gram(Psi psi, const Tensor& x);

struct Spectrum {
  double smallest = 0, largest = 0;
};
/// Smallest and largest eigenvalue of a Gram matrix [n, n], in float64. Nothing for one that holds
/// a number that is not finite, as that of a diverged trajectory does: LAPACK ends with an error of
/// its own there, on some processors and not on others.
std::optional<Spectrum> spectrum(const Tensor& gram);

/// One repetition: data and the starting point.
struct Draw {
  Tensor x;     ///< [n, d], standard normal
  Tensor y;     ///< [n]
  Tensor w;     ///< [d, p], standard normal
  Tensor beta;  ///< [p], standard normal
  Tensor b;     ///< [p], standard normal
};

struct Size {
  int64_t samples = 50, inputs = 150, width = 200;
};

/// @param teacher "lr": y = X g with g ~ N(0, I); "nn": y is what another random network of the
/// same width and psi gives
/// @param stream of this repetition; every tensor has a sub-stream of its own
Draw draw(Psi psi, const std::string& teacher, const Size& size, const Stream& stream,
          at::ScalarType dtype);

/// Several repetitions that step together.
class Dynamics {
 public:
  virtual ~Dynamics() = default;
  /// f - y at the current parameters, [repetitions, n].
  virtual const Tensor& error() const = 0;
  /// One update, with eta and lambda of the summed loss.
  virtual void step(double eta, double lambda) = 0;
  /// Cosine of the angle between b and beta, [repetitions].
  virtual Tensor alignment() const = 0;
  /// G = psi(XW) psi(XW)^T / p, [repetitions, n, n].
  virtual Tensor gram() const = 0;
  /// Goes on with these repetitions only. @param index int64, [fewer]
  virtual void keep(const Tensor& index) = 0;
};

/// How a trajectory is computed; all forms follow the same one.
enum class Form {
  Full,     ///< W itself: n d p operations a step
  Hidden,   ///< Z = XW, which moves by -(eta / sqrt p) XX^T [psi'(Z) . (e b^T)]: n n p operations
  Reduced,  ///< linear psi with random feedback: n + 2 and n numbers, n n operations, whatever p is
};

using Draws = std::function<Draw(int64_t repetition)>;

/// @param exact backprop's credit instead of the random feedback's
/// @throws Refusal for the reduced form of what has none
std::unique_ptr<Dynamics> make_dynamics(Form form, Psi psi, bool exact, int64_t repetitions,
                                        const Draws& draws);

}  // namespace altprop::theory
