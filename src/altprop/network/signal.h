// Local signals: what a learning rule emits and what updates, probes and gradient checks receive.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// "This operation, what it saw, the credit of its own output." A rule never makes a weight
/// gradient: it emits these, and the operation turns each into gradients of its own parameters. A
/// contrastive rule emits several, with signed scales.
struct LocalSignal {
  const Op* op;
  const Site* site;    ///< null for operations outside of a graph; valid while it is taken
  const Saved* saved;  ///< null if `input` says it all
  Tensor cot;          ///< d(batch-summed loss) / d(output), [K*B, ...]
  double scale = 1;    ///< 1/B for the gradient of the batch mean; signed for contrastive rules
  int phase = 0;
  /// Parameters of the operation that learn from this signal; empty: all of them.
  std::vector<const Param*> only = {};
  /// The operation's weight is played by this parameter, of the shape that goes with `cot`, and it
  /// alone learns (the feedback weights of product feedback alignment). Null: nobody stands in.
  const Param* stand_in = nullptr;
  /// What the operation counts as having seen, where it is not what it saw; undefined: that.
  Tensor input = {};
  const Shared* shared = nullptr;  ///< what the pull of this site has left
  /// Not empty: `cot` is the credit of the output's tangent, and these are the inputs' (see
  /// Op::jvp_vjp). That of an affine map says so by `input`, since it sees a tangent as it sees an
  /// input.
  std::vector<Tensor> tangents = {};

  /// The default use of a signal.
  void accumulate(Store& store) const;
  /// The weight's gradient as rows, if the operation is affine in it (see WeightRows).
  std::optional<WeightRows> rows() const {
    if (!tangents.empty()) return std::nullopt;
    return input.defined() ? op->rows(op->saved_for(input), cot) : op->rows(*saved, cot);
  }
  /// True if a parameter of the operation learns from it.
  bool teaches(const Param& param) const;
};

/// A contribution to the gradient of one parameter that no operation's credit makes: a penalty on
/// the weights, a bound on their gradients.
struct ParamSignal {
  const Param* param;
  Tensor tensor;  ///< of the parameter's shape
  double scale = 1;

  void accumulate(Store& store) const {
    if (Slot* slot = store.of(*param)) slot->add(tensor, scale);
  }
};

/// Receiver of a stream of signals. Signals are not kept: memory is freed as the sweep goes on.
struct Sink {
  virtual ~Sink() = default;
  virtual void take(const LocalSignal& signal) = 0;
  virtual void take(const ParamSignal& signal) = 0;
};

/// A sink that accumulates what it receives.
struct IntoStore : Sink {
  Store& store;
  explicit IntoStore(Store& store) : store(store) {}
  void take(const LocalSignal& signal) override { signal.accumulate(store); }
  void take(const ParamSignal& signal) override { signal.accumulate(store); }
};

/// A sink in front of another: what it does not change passes.
struct PassingSink : Sink {
  Sink& next;
  explicit PassingSink(Sink& next) : next(next) {}
  void take(const LocalSignal& signal) override { next.take(signal); }
  void take(const ParamSignal& signal) override { next.take(signal); }
};

/// One stream to two receivers. The first receives each signal first; neither may change weights at
/// once.
struct Both : PassingSink {
  Sink& other;
  Both(Sink& first, Sink& second) : PassingSink(first), other(second) {}
  void take(const LocalSignal& signal) override {
    next.take(signal);
    other.take(signal);
  }
  void take(const ParamSignal& signal) override {
    next.take(signal);
    other.take(signal);
  }
};

}  // namespace altprop
