// The dynamics of a convergent network: closed-form drives, all phases as rows of one batch.
//
//   a_i = op_i(parents) + sum over children c of J_c(s_i)^T s_c - beta dLoss/ds_i
//   s_i <- sigma(a_i)                                          synchronous, alternating
//   s_i <- clip(s_i + epsilon (a_i - sigma^-1(s_i)))           gradient flow, clamps only
//
// Ernoult et al. 2019, arXiv 1905.13633; Laborieux et al. 2021, arXiv 2006.03824; Scellier & Bengio
// 2017, arXiv 1602.05179 (gradient flow); Scellier et al. 2023, arXiv 2312.15103 (alternating).
#pragma once

#include <optional>

#include "altprop/rules/equilibrium/backward_weights.h"
#include "altprop/rules/equilibrium/edge_masks.h"
#include "altprop/rules/equilibrium/settle_loop.h"
#include "altprop/tensor/packed_matrix.h"
#include "altprop/tensor/recorded_steps.h"
#include "altprop/tensor/row_blocks.h"
#include "altprop/tensor/settle_pair.h"

namespace altprop {

enum class Timing {
  Synchronous,  ///< all states from the same old ones
  Alternating,  ///< states at odd distance from the nudge, then those at even distance
  GradientFlow  ///< all a part of the way
};

/// What pushes the output: rows of several phases differ in beta alone.
struct Nudge {
  const Loss& loss;
  Tensor targets;  ///< one per row
  Tensor beta;     ///< [rows, 1]
};

class ConvergentDynamics {
 public:
  /// @param back null: tied weights. Both must outlive this
  ConvergentDynamics(const ConvergentNetwork& net, const BackwardWeights* back, Timing timing,
                     double epsilon = 1);

  /// Takes a batch: computes what inputs alone drive. States are zero.
  /// @param draws of the step, for the masks that this batch keeps; null: nothing is dropped
  /// @param ids whose masks they are
  void begin(const Tensor& inputs, const Stream* draws = nullptr, const RowIds& ids = {});
  /// States as one sweep up the network leaves them, without feedback.
  void sweep_up();
  /// Every row `times` times, one block of rows behind the other.
  void stack(int64_t times);
  void set_states(const Field& states);
  /// Weights have changed: computes anew what inputs alone drive. States stay.
  void weights_changed();

  /// On several threads of a CPU by rows of the batch, where every row takes all steps.
  Settled settle(const StopWhen& stop, const Nudge* nudge = nullptr);
  /// One step; see StopWhen for who counts. @returns the largest |move| if `measure`, else 0
  double step(const Nudge* nudge, bool measure);

  /// States that a step updates together, in the order of their turns.
  const std::vector<std::vector<int>>& turns() const { return groups_; }
  /// One of the turns of a step.
  double take_turn(size_t turn, const Nudge* nudge, bool measure);
  /// A new state is sigma(share_of_drive() * drive + share_of_state(i) * old state).
  double share_of_drive() const { return timing_ == Timing::GradientFlow ? epsilon_ : 1; }
  double share_of_state(int state) const;

  /// Per state, [rows, ...]; inputs as they were given. A later step writes into these tensors.
  const Field& states() const { return s_; }
  /// States as they are now, to keep.
  Field copy() const;
  /// The network's output at the present states.
  Tensor output();
  /// The activity of an edge that inputs alone drive, at the rows of the batch.
  Activity& from_inputs(int edge) { return work_[static_cast<size_t>(edge)].activity; }
  int64_t rows() const { return rows_; }
  /// Of the batch as it was begun.
  const EdgeMasks& masks() const { return masks_; }

 private:
  struct Work {                          // of one edge
    ParamPtr weight, bias, back_weight;  ///< of a ConvergentNetwork::matrix, or null
    PackedMatrix up, down;               ///< the transpose of the weight and the way back, prepared
    Activity activity, back_activity;
    bool valid = false, back_valid = false;  ///< made with the present states
    Tensor value;                            ///< of `activity`, until it is taken
    void outdate() {
      valid = back_valid = false;
      value = Tensor();
    }
  };
  /// The same for some rows: states and drives are views, everything else is its own.
  ConvergentDynamics of(const RowBlock& block) const;
  Settled settle_rows(const StopWhen& stop, const Nudge* nudge);
  /// Lays the matrices out as products with few rows read them fastest.
  void prepare_for_many_steps();
  /// The states that move.
  std::vector<Tensor*> moving();
  /// Everything but these that one step leaves for the next.
  void forget();
  /// Names the states of a network that is one hidden layer and an output (dynamics_pair.cpp).
  void find_pair();
  /// The states as one fused pass takes them, where it does.
  std::optional<SettlingPair> as_pair(const Nudge* nudge) const;
  Settled settle_as_pair(const SettlingPair& pair, const StopWhen& stop);
  void drive_from_inputs();
  /// The edge is a matrix and nothing is dropped.
  bool is_matrix(size_t edge) const { return work_[edge].weight && !masks_.on(edge); }
  Tensor forward(size_t edge, Tensor into);
  Tensor run(size_t edge);
  void add_feedback(size_t edge, size_t state, const Tensor& cot, Tensor& drive);
  bool spread_at_once(size_t state, const Tensor& pushed, Tensor& drive);
  Tensor updated(size_t state, const Nudge* nudge, const Tensor& pushed);
  Tensor push_of(const Nudge& nudge);
  std::vector<Tensor> parents(const StateGraph::Edge& edge) const;
  void commit(size_t state, Tensor value);

  const ConvergentNetwork& net_;
  const BackwardWeights* back_;
  Timing timing_;
  double epsilon_;
  std::vector<std::vector<int>> groups_;  ///< updated together, in turn
  std::vector<std::vector<int>> edges_from_;
  std::vector<int> edge_to_;
  std::vector<std::optional<Squash>> squash_;  ///< per state: what the fused passes may apply
  std::vector<Work> work_;
  Tensor inputs_;
  EdgeMasks masks_, masks_here_;  ///< of the batch, at the present rows
  Field s_, spare_, base_;        ///< base: the drive from inputs alone, at the present rows
  Saved scratch_;
  RecordedSteps recorded_;
  int64_t rows_ = 0;
  int wide_ = -1;  ///< the hidden layer of a network that has but one, and it feeds the output
  bool by_rows_ = true;  ///< weights are few enough for every thread to fetch them in every step
  bool inputs_mix_ = false;  ///< an edge reads an input and states: inputs need all rows
};

}  // namespace altprop
