// The linear relaxation that activation relaxation and fixed-prediction predictive coding share:
//
//   u_i <- u_i + eta (sum over children c of J_{c<-i}^T u_c + s_i - u_i)
//
// over the hidden states i of a network whose Jacobians J and source s stay as the forward pass
// left them. Its fixed point is the credit of backpropagation. With N the map that pulls every
// state's children back once, N is nilpotent (the graph is acyclic), so that the result of T steps
// is known without iterating (fast_forward), the rate is |1 - eta| for any weights, and a sweep
// with eta = 1 from the outputs up is backprop.
//
// Source: Millidge, Tschantz, Seth, Buckley 2020, arXiv 2009.05359 (the iteration); the closed form
// and the stopping rule are derived in docs/relaxation.md.
#pragma once

#include "altprop/rules/relaxation/pull_back.h"
#include "altprop/rules/relaxation/travel.h"
#include "altprop/tensor/recorded_steps.h"

namespace altprop {

class LinearRelaxation {
 public:
  /// @param graph must outlive this. @throws Refusal if no state relaxes
  explicit LinearRelaxation(const StateGraph& graph);

  /// Jacobians that move with the states: what takes part of the frozen pass's place.
  struct Moving {
    virtual ~Moving() = default;
    /// The activity to pull back through edge `edge` now, or null for the frozen one.
    virtual Activity* through(int edge, const Field& u) = 0;
  };

  /// Makes every state step by eta * rate instead of eta: precisions of the errors. The loop alone
  /// knows about it; the fixed point does not depend on it. @param rates one per state; empty: 1
  void set_rates(std::vector<double> rates) { rates_ = std::move(rates); }
  const std::vector<double>& rates() const { return rates_; }
  /// Takes the Jacobians of a forward pass and the credit of the output, [B, ...].
  void freeze(std::vector<Activity>& activity, HopFeedback& feedback, const Tensor& output_credit);
  /// The hidden states' share of a field of forward values (copies), or zeros.
  Field start(const Field& values, bool zero) const;

  /// What credit the output state and every hidden state have: fields hold the output's too.
  Field fixed_point();
  /// True if after so many steps nothing of the start is left and all credit has arrived: the fixed
  /// point is reached to the last digit.
  bool arrives(Order order, double eta, int64_t steps) const {
    return eta == 1 && order != Order::RedBlack &&
           steps >= (order == Order::GaussSeidel ? 1 : depth_);
  }
  /// Exact result of `steps` steps from `initial` (null: zero) without iterating. Not for
  /// Order::RedBlack, and not with Moving or a clamp.
  Field fast_forward(const Field* initial, Order order, double eta, int64_t steps);
  /// The loop itself, in place and without allocations.
  Relaxed iterate(Field& u, Order order, double eta, const Stop& stop, RelaxWatch* watch = nullptr,
                  Moving* moving = nullptr);
  /// r = N u + s - u per hidden state. The distance to the fixed point is sum_j N^j r.
  Field residual(const Field& u);

  bool hidden(int state) const { return hidden_[static_cast<size_t>(state)]; }
  /// Hops from the loss to a state along the longest way; 1 next to the output.
  int64_t hops(int state) const { return hops_[static_cast<size_t>(state)]; }
  /// Of the farthest hidden state: synchronous steps after which eta = 1 is exact.
  int64_t depth() const { return depth_; }
  bool levelled() const { return levelled_; }
  /// All states step by the same eta.
  bool even() const { return rates_.empty(); }
  const Tensor& output_credit() const { return output_credit_; }

 private:
  /// One step of all states.
  void step(Field& u, Order order, double eta, Moving* moving);
  /// One step over the states that `chosen` marks.
  void sweep(Field& u, Order order, double eta, const std::vector<char>& chosen, Moving* moving);
  void send(int edge, const Field& u, double eta, const Field* seen, Moving* moving);
  Field wave(const Field& r);
  double rate(size_t state) const { return rates_.empty() ? 1 : rates_[state]; }

  const StateGraph& graph_;
  PullBack pull_back_;
  std::vector<char> hidden_, even_, odd_, all_;
  std::vector<int64_t> hops_;
  std::vector<double> rates_;
  std::vector<int> edge_to_;
  int output_ = -1;
  int64_t depth_ = 0;
  bool levelled_ = false, output_relaxes_ = false;
  Tensor output_credit_;
  Field source_;               ///< per state, undefined where nothing enters
  std::vector<char> waiting_;  ///< per state: still to be multiplied by 1 - eta
  std::vector<PullBack::Receiver> receivers_;
  RecordedSteps recorded_;
};

}  // namespace altprop
