// Flows on the orthogonal group: W(0) orthogonal, W' = W Omega(t, W), stepped by a retraction.
#pragma once

#include "altprop/weight_flow/generator.h"
#include "altprop/weight_flow/retraction.h"
#include "altprop/weight_flow/weight_flow.h"

namespace altprop::weight_flow {

class GroupFlow : public WeightFlow {
 public:
  GroupFlow(const Settings& settings, std::unique_ptr<Generator> generator)
      : settings_(settings), generator_(std::move(generator)) {}
  bool orthogonal() const override { return true; }
  void build(int64_t d, const Grid& grid) override;
  std::vector<ParamPtr> params() const override;
  Trajectory run(const Grid& grid) const override;
  std::vector<Tensor> pull(const Trajectory& trajectory, const Grid& grid,
                           std::span<const Tensor> read) const override;
  std::vector<Tensor> push(const Trajectory& trajectory, const Grid& grid,
                           const ParamTangents& of) const override;
  int64_t multiply_adds(const Grid& grid) const override;

  std::string notice(const Trajectory& trajectory) const override;

  /// An upper bound on the angle by which a step of a pass turns the weights, in rad. From 1 on
  /// steps are coarse, from pi on they mean nothing.
  static double largest_turn(const Trajectory& trajectory);

 private:
  Settings settings_;
  std::unique_ptr<Generator> generator_;
  ParamPtr fixed_;  ///< orthogonal, never learnt
  ParamPtr turn_;   ///< S of W(0) = fixed * cayley(S - S^T); null if W(0) is not learnt
};

}  // namespace altprop::weight_flow
