#include "altprop/rules/corinfomax/tied_network.h"

#include <algorithm>

#include "altprop/base/larger.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

constexpr int kMostSweeps = 2000;

/// Sweeps over the layers until the largest change of a sweep is lost in rounding.
template <class Next>
void sweep_until_still(std::vector<Tensor>& values, Next next) {
  const bool wide = values[0].scalar_type() == at::kDouble;
  const double tolerance = wide ? 1e-15 : 1e-6;
  for (int i = 0; i < kMostSweeps; ++i) {
    double moved = 0, size = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      Tensor now = next(k);
      moved = larger(moved, (now - values[k]).abs().max().template item<double>());
      size = larger(size, now.abs().max().template item<double>());
      values[k] = std::move(now);
    }
    if (moved <= tolerance * size) return;
  }
}

}  // namespace

Tensor TiedNetwork::clamped(size_t k, const Tensor& u) const {
  return layers_[k].domain == RateDomain::AntiSparse ? u.clamp(0, 1) : u.clamp_min(0);
}

Tensor TiedNetwork::from_neighbours(const std::vector<Tensor>& values, size_t k) const {
  Tensor sum = at::zeros_like(values[k]);
  if (k > 0) gemm_into(sum, values[k - 1], layers_[k].weight().t(), 0, 1);
  if (k + 1 < values.size())
    gemm_into(sum, values[k + 1], layers_[k + 1].weight(), k > 0 ? 1 : 0, 1);
  return sum;
}

void TiedNetwork::settle(const Tensor& inputs) {
  const Tensor drive = linear_forward(inputs, layers_[0].weight(), {});
  rates_.clear();
  for (const DenseLayer& layer : layers_)
    rates_.push_back(at::zeros({inputs.size(0), layer.size()}, inputs.options()));
  sweep_until_still(rates_, [&](size_t k) {
    Tensor u = from_neighbours(rates_, k);
    if (k == 0) u.add_(drive);
    return clamped(k, u.mul_(k + 1 == rates_.size() ? 1 / (1 + epsilon_) : 0.5));
  });
}

void TiedNetwork::solve(const Tensor& gradient) {
  std::vector<Tensor> inside;
  adjoint_.clear();
  for (size_t k = 0; k < layers_.size(); ++k) {
    Tensor free = rates_[k].gt(0);
    if (layers_[k].domain == RateDomain::AntiSparse) free.logical_and_(rates_[k].lt(1));
    inside.push_back(free.to(gradient.scalar_type()));
    adjoint_.push_back(at::zeros_like(rates_[k]));
  }
  sweep_until_still(adjoint_, [&](size_t k) {
    Tensor a = from_neighbours(adjoint_, k);
    const bool output = k + 1 == layers_.size();
    if (output) a.add_(gradient, epsilon_);
    return a.mul_(output ? 1 / (1 + epsilon_) : 0.5).mul_(inside[k]);
  });
}

}  // namespace altprop
