// Where gradients go. A gradient belongs to whoever asked for it - an updater, a probe, a check, a
// caller's own tensors - and never to the parameter, so that several may look at one network at
// once without knowing of each other.
#pragma once

#include <vector>

#include "altprop/network/param.h"

namespace altprop {

/// What arrives for one parameter:  into <- (keep or 1) * into + factor * contribution,  `keep` for
/// the first contribution after a restart and 1 for those that follow.
struct Slot {
  Tensor into;  ///< of any strides; the parameter's shape, or that of a stand-in (see LocalSignal)
  double keep = 0;    ///< 0: overwritten; momentum's factor; 1: added to (a value as the target)
  double factor = 1;  ///< of every contribution
  bool fresh = true;  ///< nothing has arrived since the last restart

  /// scale * contribution; of as many numbers as `into` has.
  void add(const Tensor& contribution, double scale = 1);
  /// scale * a b for matrices, as a matrix of into's numbers [a.rows, b.columns], in one pass.
  void add_product(const Tensor& a, const Tensor& b, double scale = 1);
  /// scale * (sum of the rows of `matrix`), matrix [rows, ...] with rows of into's shape.
  void add_rows(const Tensor& matrix, double scale = 1);
  /// scale * row i of `rows` [n, width] to row ids[i] of into [.., width]; negative ids to none.
  /// @param ids int64 [n]
  void add_rows_at(const Tensor& ids, const Tensor& rows, double scale = 1);
  /// Makes `into` what the sum of no contributions is, if nothing has arrived.
  void settle();

 private:
  double taken();  ///< the factor on what `into` holds, for the contribution that arrives now
};

/// Hands out slots. An operation asks for each of its parameters and leaves out the work for those
/// that have none.
class Store {
 public:
  virtual ~Store() = default;
  /// Null if nothing is wanted for this parameter. Valid until the store changes.
  virtual Slot* of(const Param& param) = 0;
};

/// Shows some of another store's parameters.
class OnlyOf : public Store {
 public:
  OnlyOf(Store& store, std::vector<const Param*> params)
      : store_(store), params_(std::move(params)) {}
  Slot* of(const Param& param) override;

 private:
  Store& store_;
  std::vector<const Param*> params_;
};

/// Shows all of another store's parameters but one.
class AllBut : public Store {
 public:
  AllBut(Store& store, const Param& hidden) : store_(store), hidden_(hidden) {}
  Slot* of(const Param& param) override { return &param == &hidden_ ? nullptr : store_.of(param); }

 private:
  Store& store_;
  const Param& hidden_;
};

/// Shows the slot of one parameter under the name of another, and nothing else.
class StandIn : public Store {
 public:
  StandIn(Store& store, const Param& in_place_of, const Param& by)
      : store_(store), in_place_of_(in_place_of), by_(by) {}
  Slot* of(const Param& param) override {
    return &param == &in_place_of_ ? store_.of(by_) : nullptr;
  }

 private:
  Store& store_;
  const Param &in_place_of_, &by_;
};

}  // namespace altprop
