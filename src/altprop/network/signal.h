// Local signals: what a learning rule emits and what updates, probes and gradient checks receive.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

struct Node;

/// "This operation, what it saw, the credit of its own output." A rule never makes a weight
/// gradient: it emits these, and the operation turns each into gradients of its own parameters. A
/// contrastive rule emits several, with signed scales.
struct LocalSignal {
  const Op* op;
  const Node* node;  ///< null for operations outside of a graph
  const Saved* saved;
  Tensor cot;        ///< d(batch-summed loss) / d(output), [K*B, ...]
  double scale = 1;  ///< 1/B for the gradient of the batch mean; signed for contrastive rules
  int phase = 0;
  /// Parameters of the operation that learn from this signal; empty: all of them.
  std::vector<const Param*> only = {};
  /// The operation's weight is played by this parameter, of the shape that goes with `cot`, and it
  /// alone learns (the feedback weights of product feedback alignment). Null: nobody stands in.
  const Param* stand_in = nullptr;

  /// The default use of a signal.
  void accumulate(Store& store) const;
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

/// How credit travels backwards through one operation: ALL that feedback alignment, its relatives
/// and product feedback alignment differ in.
struct Feedback {
  virtual ~Feedback() = default;
  /// The cotangent of input `input` of `node`. An undefined tensor means: no credit along this
  /// edge.
  virtual Tensor pull(const Node& node, const Saved& saved, const Tensor& cot, int input);
  /// The credit of `node`'s output when all its consumers have been swept; may replace it. `cot`
  /// may be undefined.
  virtual Tensor arrive(const Node& node, Tensor cot) { return cot; }
};

}  // namespace altprop
