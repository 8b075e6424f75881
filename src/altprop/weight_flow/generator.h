// What drives a flow on the orthogonal group: W' = W Omega(t, W) with Omega skew.
#pragma once

#include <any>
#include <memory>
#include <vector>

#include "altprop/network/op.h"
#include "altprop/weight_flow/settings.h"

namespace altprop::weight_flow {

/// A skew matrix that depends on the time, on an orthogonal matrix and on parameters.
class Generator {
 public:
  virtual ~Generator() = default;
  virtual void build(int64_t d) = 0;
  virtual std::vector<ParamPtr> params() const = 0;

  /// @param kept what the derivatives need
  virtual Tensor omega(double t, const Tensor& w, std::any& kept) const = 0;
  /// A reverse pass over the evaluations of one flow, which need not be in any order. Gradients of
  /// the parameters are made at its end, of all evaluations at once.
  class Pull {
   public:
    virtual ~Pull() = default;
    /// @param covector skew: of the gradient G by the entries of Omega, skew_part(G)
    /// @param w_gradient [d, d]: added to
    virtual void through(const Tensor& w, const std::any& kept, const Tensor& covector,
                         Tensor& w_gradient) = 0;
    /// In the order of params().
    virtual std::vector<Tensor> gradients() const = 0;
  };
  virtual std::unique_ptr<Pull> pull() const = 0;

  /// @param dw tangent of w @returns that of Omega
  virtual Tensor push(const Tensor& w, const std::any& kept, const Tensor& dw,
                      const ParamTangents& of) const = 0;
  virtual int64_t multiply_adds() const = 0;
};

/// Omega = [H, N] with H = W^T Q W, Q and N symmetric and learnt: Brockett's double bracket
/// (Choromanski et al. 2020, arXiv 2006.11421; Brockett 1991). H keeps its eigenvalues, and tr(H N)
/// grows.
std::unique_ptr<Generator> iso_generator();
/// Omega = sum_g a_g (U_g - U_g^T), U_g strictly upper triangular, its entries the outputs of a
/// perceptron with one hidden layer of tanh that sees W, t or both (Choromanski et al. 2020).
std::unique_ptr<Generator> gated_generator(const Settings& settings);

}  // namespace altprop::weight_flow
