// A layer of cores with probabilistic synapses. S. Esser, R. Appuswamy, P. Merolla, J. Arthur, D.
// Modha, "Backpropagation for Energy-Efficient Neuromorphic Computing", NIPS 2015.
//
// Every number x_i in [0, 1] is the probability of a spike, every c_ij in [0, 1] that of a synapse,
// s_ij is the synapse's fixed strength. A neuron fires where its sum is above 0, and the sum of
// independent draws is taken as Gaussian:
//
//   mu  = b + x (c.s)           var = x (c.s.s) - (x.x) (c.c.s.s)        (. elementwise)
//   n   = P(N(mu, var) > 0) = Phi(mu / sqrt(var)),   var at least 1e-4 (float32) or 1e-8
//
// and with z = mu / sqrt(var), phi the density, delta = dL/dn:
//
//   G1 = delta phi(z) / sqrt(var),   G2 = -delta phi(z) mu / (2 var^(3/2))
//   dL/db = sum G1,   dL/dx = G1 (c.s)^T + G2 (c.s.s)^T - 2 x.(G2 (c.c.s.s)^T)
//   dL/dc = s.(x^T G1) + s.s.(x^T G2) - 2 c.s.s.((x.x)^T G2)
//
// Where nothing is left to chance (var = 0) n is the deployed neuron's output, 0 or 1.
//
// As an alternative, A. Yepes, J. Tang, B. Mashford, "Improving classification accuracy of
// feedforward neural networks for spiking neuromorphic chips", IJCAI 2017, arXiv 1705.07755: the
// deployed network with rounded inputs, synapses and leaks, a sigmoid for the neuron in training,
// and gradients straight through the rounding.
#pragma once

#include "altprop/cores/core_kernels.h"
#include "altprop/cores/layout.h"
#include "altprop/cores/strengths.h"
#include "altprop/network/op.h"

namespace altprop::cores {

enum class Synapse { Probability, Deterministic };
/// None: as published. Half: a sum of integers above 0 is at least 1, so that the Gaussian is asked
/// at 1/2 (at -1/2 where neurons fire at 0, too).
enum class Continuity { None, Half };

struct CoreSettings {
  Synapse synapse = Synapse::Probability;
  bool exact_variance = true;  ///< false: gradients as if the variance were constant (G2 = 0)
  Continuity continuity = Continuity::None;
  bool fire_on_zero = false;  ///< neurons fire at a sum of 0, too
  StrengthKind strengths = StrengthKind::Permuted;
  int64_t layout_seed = 0;  ///< of types and strengths, which no run's seed changes
  int64_t layer = 0;        ///< which layer of the network: layers draw independently
  /// Adds penalty * sum c (1 - c) to the loss of a step, so that draws differ less (Wen et al.
  /// 2016, arXiv 1604.00697).
  double penalty = 0;
};

/// [B, ...] of probabilities, layout.inputs of them -> [B, N] probabilities that the N neurons of
/// all cores fire. Parameters: connections c [N, axons] in [0, 1], leaks b [N] in [-255, 255].
/// Buffers: types [cores, axons], strengths [N, axons].
/// Saved.t = {[x | x.x] by axon, [B, cores, 2 axons]; phi / sqrt(var); -phi z / (2 var)}, the last
/// two [B, N]; of deterministic synapses {rounded x; sigmoid'}.
///
/// A substitute stands for c in c.s: strengths are known on both ways. Credit then crosses the mean
/// alone, G1 (c'.s)^T; what the variance adds would take c itself across, or squares of feedback
/// that says nothing of a variance.
class CoreLayer final : public Op {
 public:
  /// @throws Refusal if the layout is none
  CoreLayer(CoreLayout layout, CoreSettings settings);
  /// Shares these parameters; types and strengths are those of its own settings.
  CoreLayer(CoreLayout layout, CoreSettings settings, ParamPtr connections, ParamPtr leaks)
      : CoreLayer(std::move(layout), settings) {
    connections_ = std::move(connections);
    leaks_ = std::move(leaks);
  }

  std::string type() const override { return "cores"; }
  std::string settings() const override;
  Takes takes(int input) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  void penalise(double share, Sink& sink) const override;
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return connections_; }
  std::vector<std::pair<std::string, Tensor*>> buffers() override;
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  Traits traits() const override { return {.penalises = settings_.penalty > 0}; }

  const CoreLayout& layout() const { return layout_; }
  const CoreSettings& core_settings() const { return settings_; }
  const ParamPtr& leaks() const { return leaks_; }
  const Tensor& axon_types() const { return types_; }
  const Tensor& strengths() const { return strengths_; }

 private:
  /// Those of the connections, or the mean's alone of what stands for them; the variance's
  /// undefined where nothing of it was saved, too.
  CoreFactors factors(const Saved& saved, const Tensor* substitute) const;
  /// c.s of deterministic synapses.
  Tensor rounded_mean() const;
  /// [rows, inputs] -> [rows, cores, axons], what every axon sees.
  Tensor gathered(const Tensor& inputs) const;
  /// The other way round: sums what the axons of an input have.
  Tensor scattered(const Tensor& axons) const;
  /// [rows, cores, depth] by [N, depth] -> [rows, N], each core by itself.
  Tensor by_core(const Tensor& operands, const Tensor& factors) const;
  /// [rows, N] by [N, depth] -> [rows, cores, depth].
  Tensor back_by_core(const Tensor& credits, const Tensor& factors) const;
  /// [rows, N] and [rows, cores, depth] -> [N, depth].
  Tensor outer_by_core(const Tensor& credits, const Tensor& operands) const;
  Tensor forward_rounded(const Tensor& inputs, Saved& saved, Mode mode) const;
  bool deterministic() const { return settings_.synapse == Synapse::Deterministic; }

  CoreLayout layout_;
  CoreSettings settings_;
  std::vector<int64_t> first_;  ///< by core: its first neuron
  bool in_order_ = false;       ///< one core, whose axons are the inputs in order
  /// By axon of all cores, and by input: where each reads, and who reads it. An input that nobody
  /// reads has the number of axons; undefined if one is read twice.
  Tensor sources_, readers_;
  Tensor axon_inputs_;  ///< as sources_, -1 for axons that read nothing
  Tensor silent_;       ///< bool [cores * axons]: axons that read nothing; undefined: none
  ParamPtr connections_, leaks_;
  Tensor types_, strengths_;
};

inline OpPtr core_layer(CoreLayout layout, CoreSettings settings = {}) {
  return std::make_shared<CoreLayer>(std::move(layout), settings);
}

}  // namespace altprop::cores
