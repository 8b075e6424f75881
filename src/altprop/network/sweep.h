// How credit travels: the places that it crosses, what a reverse pass carries with it, and the
// feedback that decides at each place.
#pragma once

#include <c10/util/SmallVector.h>

#include <span>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop {

class Op;
struct Node;
struct Saved;
struct Sink;
struct Feedback;

/// One use of one operation of a network: the way to it through the graphs around it. Rules keep
/// what belongs to an operation by `number`; a block that stands at two places of a network has
/// two.
struct Site {
  const Node& node;
  /// In the numbering of Sites: of a network without graphs inside, the node's id. Of an operation
  /// that a rule brings along: of the rule's own graph.
  int number = 0;
  /// Which of several evaluations that a block makes in one pass (the stages of a solver); 0 else.
  int use = 0;
  const Site* around = nullptr;  ///< the composite that it is a part of; null in the network itself

  /// "block1.fc2"
  std::string name() const;
};

/// Credits of the inputs of an operation, in their order; undefined where none is wanted or none
/// arrives.
using Credits = c10::SmallVector<Tensor, 2>;
/// Per input of an operation: its credit is wanted.
using Wanted = std::span<const char>;

/// Credits of the inputs' values and of their tangents, from a reverse pass over both.
struct TangentCredits {
  Credits of_values, of_tangents;
};

/// What an operation has computed for its parameters on the way to its credits. Lives from the pull
/// to the signal of one site.
struct Shared {
  Tensor cotangent;  ///< that it was computed for
  std::vector<Tensor> t;
  /// True if it was computed for this cotangent.
  bool is_for(const Tensor& cot) const { return cotangent.defined() && cotangent.is_same(cot); }
};

/// CreditFirst: an operation's input credit is computed before its signal is sent, so that a sink
/// may change weights at once. SignalFirst: the signal is sent first, so that the credit crosses
/// the weights that a sink has updated (semi-implicit rules).
enum class SweepOrder { CreditFirst, SignalFirst };

/// A reverse pass on its way: given to operations so that those that are made of others send their
/// parts' signals themselves.
struct Sweep {
  Feedback& feedback;
  Sink* sink = nullptr;  ///< null: credits alone
  double scale = 1;      ///< of every signal
  int phase = 0;
  bool release = false;  ///< free what was saved once it has been swept
  SweepOrder order = SweepOrder::CreditFirst;

  const Site* around = nullptr;  ///< the composite that is being swept
  int first_site = 0;            ///< number of its first part
  int use = 0;                   ///< Site::use of its parts
  Shared* shared = nullptr;      ///< of the site that is being pulled through
};

/// How credit travels backwards through one operation: ALL that feedback alignment, its relatives
/// and product feedback alignment differ in.
struct Feedback {
  virtual ~Feedback() = default;
  /// The cotangents of the wanted inputs of the operation at `site`, given that of its output.
  /// Called for composites even if none is wanted, because their parts may learn: whoever does not
  /// ask the operation keeps signals from its parts.
  virtual Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                       Sweep& sweep);
  /// The credit of the site's output when all its consumers have been swept; may replace it. `cot`
  /// may be undefined.
  virtual Tensor arrive(const Site& site, Tensor cot) { return cot; }
  /// True if `arrive` may make a credit where none came.
  virtual bool makes_credit() const { return false; }
};

}  // namespace altprop
