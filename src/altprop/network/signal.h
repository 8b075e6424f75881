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
  unsigned which = ~0u;
  int phase = 0;

  /// The default use of a signal.
  void accumulate() const { op->accumulate(*saved, cot, scale, which); }
};

/// Receiver of a stream of signals. Signals are not kept: memory is freed as the sweep goes on.
struct Sink {
  virtual ~Sink() = default;
  virtual void take(const LocalSignal& signal) = 0;
};

/// The plain sink: gradients into Param::grad.
struct GradientSink : Sink {
  void take(const LocalSignal& signal) override { signal.accumulate(); }
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
