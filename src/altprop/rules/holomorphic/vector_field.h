// The network as the vector field that settles: which layers drive which, through which weights.
//
//   F_l(u) = sum over couplings into l of their drive of r = sigma(u)  -  u
//
// A coupling drives forth, a_to += map(r_from), and back, a_from += J_map(r_from)^T r_to. Tied
// weights do both, which is the energy < r_to, map(r_from) > (Laborieux & Zenke 2022, arXiv
// 2209.00530); separate ones one each, and single edges from any state to any earlier one have no
// partner (Laborieux & Zenke 2023, arXiv 2309.02214).
#pragma once

#include <deque>

#include "altprop/rules/equilibrium/backward_weights.h"
#include "altprop/rules/holomorphic/planar_map.h"
#include "altprop/rules/relaxation/relax.h"

namespace altprop {

struct Coupling {
  PlanarMap map;
  std::vector<int> from;  ///< states; those that do not settle are inputs
  int to;
  bool forth, back;
  ParamPtr weight, bias;  ///< of a coupling that is a matrix between two settling states, else null

  bool dense() const { return weight != nullptr; }
};

/// A matrix from a state to one that is not behind it, without bias: [units of to, units of from].
struct FeedbackEdge {
  int from = -1, to = -1;
  ParamPtr weight;
  Graph map;
};

class VectorField {
 public:
  /// @param back null: tied weights, or edges. @param edges if not empty, the only feedback. All
  /// must outlive this
  VectorField(const ConvergentNetwork& net, const BackwardWeights* back,
              const std::deque<FeedbackEdge>& edges);

  const ConvergentNetwork& net() const { return net_; }
  const std::vector<Coupling>& couplings() const { return couplings_; }
  /// Edges driven by inputs alone.
  const std::vector<Coupling>& drives() const { return drives_; }
  /// The edge into the readout; null if the output is a state.
  const Coupling* readout() const { return readout_.empty() ? nullptr : &readout_[0]; }
  /// Units that settle, per sample.
  int64_t units() const { return units_; }
  /// Numbers that every step reads.
  int64_t weights() const;
  bool moves(int state) const { return net_.moves(state); }
  /// True if no energy exists: some coupling drives one way only.
  bool directed() const { return directed_; }
  /// Per state the steps until a nudge has reached it. @throws Refusal if it never reaches one
  std::vector<int> nudged_after() const;
  /// Per state: the layer with parameters that drives it, for reports.
  std::string layer(int state) const;

 private:
  const ConvergentNetwork& net_;
  std::vector<Coupling> couplings_, drives_, readout_;
  int64_t units_ = 0;
  bool directed_ = false;
};

/// Edges written as "from>to, from>to" with the names of states (of their nodes, or of the layers
/// that drive them), drawn uniformly with variance 1 / units of from.
/// @throws UsageError for names that are no settling states
std::deque<FeedbackEdge> feedback_edges(const std::string& text, const ConvergentNetwork& net,
                                        const Stream& stream, const at::TensorOptions& options);

/// r = sigma(u) per state; inputs as they are given.
Field rates_of(const ConvergentNetwork& net, const Field& membrane, const Tensor& inputs);

/// The first use of something that is not complex-differentiable, as a Refusal naming it; for more
/// than two points on the circle. @throws Refusal
void require_analytic(const VectorField& field);

/// The function of a state's activation as kernels know it; none for clamps.
std::optional<Analytic> analytic_of(const Activation* sigma);

}  // namespace altprop
