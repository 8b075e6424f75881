// One hop of credit against the arrows of a StateGraph, at a frozen forward pass: from a state to
// the states it is predicted from.
#pragma once

#include <map>

#include "altprop/rules/relaxation/relax.h"
#include "altprop/tensor/packed_matrix.h"

namespace altprop {

/// How credit crosses the operations inside an edge. Substitutes stand for weights as in the
/// feedback rules; without derivatives, credit crosses activations as if they were the identity.
struct HopFeedback : Feedback {
  bool derivatives = true;
  std::map<const Op*, Tensor> substitutes;
  /// Largest magnitude of what an edge passes back; 0: no bound.
  double clamp = 0;

  const Tensor* substitute(const Op* op) const;
  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override;
  /// Credit through the activation of an edge.
  Tensor cross(const Op& activation, const Saved& saved, const Tensor& cot) const {
    return derivatives ? activation.vjp(saved, cot) : cot;
  }
};

/// The frozen Jacobians of all edges. Edges that are one linear operation and an activation are
/// kept as a matrix and an elementwise derivative, so that a hop is one product into the receiver.
class PullBack {
 public:
  /// @param graph must outlive this
  explicit PullBack(const StateGraph& graph);

  /// Takes the forward pass in `activity` (one per edge; must stay until the next freeze) as it is.
  void freeze(std::vector<Activity>& activity, HopFeedback& feedback);

  /// Lays the matrices out as products with few rows read them fastest: for many hops until the
  /// next freeze.
  void prepare_for_many_steps();

  /// receiver of parent i (position in edge.from) <- beta * receiver + alpha * factor * J_i^T
  /// credit, where `receivers[i]` may be null: nothing is computed for that parent. A receiver that
  /// is undefined is allocated (and beta ignored).
  struct Receiver {
    Tensor* to = nullptr;
    double beta = 1;
    double factor = 1;
  };
  void pull(int edge, const Tensor& credit, double alpha, std::span<const Receiver> receivers);

  /// The same through another forward pass of the edge, for Jacobians that move with the states.
  void pull_through(int edge, Activity& activity, const Tensor& credit, double alpha,
                    std::span<const Receiver> receivers);

  /// The nodes of an edge that is a linear operation and an activation; -1 where there is none.
  std::pair<int, int> dense(int edge) const {
    const Fast& f = fast_[static_cast<size_t>(edge)];
    return {f.linear, f.activation};
  }

 private:
  /// receiver <- beta * receiver + alpha * factor * credit matrix
  /// @param packed the matrix once more, or undefined
  static void multiply(const Tensor& credit, const Tensor& matrix, const PackedMatrix& packed,
                       double alpha, const Receiver& receiver);

  struct Fast {                        // linear, with an activation behind it or not
    int linear = -1, activation = -1;  ///< nodes of the edge's map
    Tensor matrix, slope, scratch;     ///< slope undefined: one everywhere
    PackedMatrix packed;               ///< the matrix, once prepared
  };

  const StateGraph& graph_;
  std::vector<Activity>* activity_ = nullptr;
  HopFeedback* feedback_ = nullptr;
  std::vector<Fast> fast_;  ///< per edge; linear < 0: the general way
  std::vector<Tensor> credits_;
  std::vector<char> wanted_;
};

}  // namespace altprop
