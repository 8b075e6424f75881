// The neural dynamics of CorInfoMax: membranes u and rates s = clamp(u) of all layers settle under
// basal drive from below, apical drive from above and lateral drive from B. Bozkurt, Pehlevan,
// Erdogan, NeurIPS 2023, arXiv 2306.04810, equations 14-18, with the leaks and step rules of the
// authors' code. For rates as rows, layer k, weights W_ff, W_fb, lateral B, gamma = (1-l)/l:
//
//   hidden: du = -g u + g s + (s_below W_ff^T - u)/eps + (s_above W_fb^T - u)/eps + 2 gamma s B
//   output: du = -g u + g s + (s_below W_ff^T - u)/eps + gamma s B - beta (s - y) - u
//   u <- u + eta du;  s <- u clamped to [0, 1], or to [0, inf) in a sparse layer, where du loses a
//   multiplier mu per sample: m <- m + eta_mu (sum s - 1 + mu - m), mu = max(m, 0)
//
// Everything but the drive by the input, which is constant and computed once, is one matrix product
// per layer and iteration: the rates of the layer below, of the layer and of the layer above lie
// side by side, and so do the weights that they meet.
#pragma once

#include "altprop/rules/corinfomax/chain.h"
#include "altprop/tensor/packed_matrix.h"
#include "altprop/tensor/recorded_steps.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop {

struct DynamicsSettings {
  double epsilon = 0.15;               ///< weight of the prediction errors
  double leak = 0.5;                   ///< g
  double eta = 0.05;                   ///< first step size
  std::string step_rule = "constant";  ///< constant | slow | loop
  std::string order = "gauss-seidel";  ///< gauss-seidel | synchronous | red-black
  double multiplier_hidden = 1e-6, multiplier_output = 0.01;  ///< eta_mu of sparse layers

  double eta_at(int64_t iteration) const;
};

/// The tensors that the dynamics meets; per layer, from the inputs up.
struct DynamicsWeights {
  std::vector<Tensor> forward;   ///< W_ff [n, n_below]
  std::vector<Tensor> backward;  ///< W_fb [n_below, n]; the first, which predicts inputs, undefined
  std::vector<Tensor> lateral;   ///< B [n, n] symmetric; undefined: no lateral drive
  double gamma = 0;              ///< factor of the lateral drive
};

/// Rates and what goes with them, for a number of samples; reused from batch to batch.
struct RateState {
  Tensor rates;                   ///< [rows, sum of sizes], layers side by side
  std::vector<Tensor> layer;      ///< views of them, [rows, n]
  std::vector<Tensor> membrane;   ///< u [rows, n]
  std::vector<Tensor> slack, mu;  ///< [rows, 1] in sparse layers
  Tensor drive;                   ///< s_0 W_ff^T / eps of the first layer

  int64_t rows() const { return rates.defined() ? rates.size(0) : 0; }
  /// Views of some rows.
  RateState of(const RowBlock& block) const;
};

/// What pulls the outputs: strength per sample [rows, 1] and targets [rows, n_out].
struct OutputPull {
  Tensor beta, target;
};

class Dynamics {
 public:
  Dynamics() = default;
  Dynamics(std::vector<int64_t> sizes, std::vector<RateDomain> domains, DynamicsSettings settings);

  /// Lays the weights out for the loop. To be called whenever they have changed.
  void load(const DynamicsWeights& weights);
  /// All rates and multipliers zero. @param inputs [rows, n_0]
  void start(RateState& state, const Tensor& inputs) const;
  /// `to` becomes `copies` copies of `from`, one below the other.
  void copy(const RateState& from, RateState& to, int64_t copies = 1) const;
  /// One phase of this many iterations; membranes begin at the rates. @param nudge null: free
  void settle(RateState& state, int64_t iterations, const OutputPull* nudge) const;

  size_t layers() const { return sizes_.size(); }
  const DynamicsSettings& settings() const { return settings_; }
  /// The drive that a unit's own membrane takes off: g + 2/eps, at the output g + 1/eps + 1.
  double decay_of(size_t layer) const;
  /// Spectral radius, estimated, of the loaded drives (lateral ones included) relative to
  /// g + 2/eps: explicit steps are stable for eta (g + 2/eps) (1 + it) < 2.
  double coupling() const;

 private:
  /// A product: rates [from, from + weight.rows()) meet `weight` [., n].
  struct Piece {
    int64_t from;
    PackedMatrix weight;
  };
  void settle_rows(RateState& state, int64_t iterations, const OutputPull* nudge) const;
  void allocate(RateState& state, int64_t rows, const at::TensorOptions& options) const;
  /// @param seen per layer and piece, the rates that the piece meets
  /// @param pull scratch of the nudge
  void charge(RateState& state, const std::vector<std::vector<Tensor>>& seen, size_t layer,
              double eta, const OutputPull* nudge, Tensor& pull) const;
  void fire(RateState& state, size_t layer) const;
  bool is_output(size_t layer) const { return layer + 1 == sizes_.size(); }

  std::vector<int64_t> sizes_, offsets_;
  std::vector<RateDomain> domains_;
  DynamicsSettings settings_;
  Tensor basal_;                             ///< W_ff^T / eps of the first layer, a view
  std::vector<std::vector<Piece>> pieces_;   ///< per layer
  std::vector<char> lateral_;                ///< the leak g s is in the piece of the layer
  std::vector<std::vector<size_t>> groups_;  ///< layers that move at the same time
  mutable RecordedSteps recorded_;
};

}  // namespace altprop
