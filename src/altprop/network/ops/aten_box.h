// A few of libtorch's operators, called by name, as one operation of a network: what the tracer of
// PyTorch models makes of operators that have no class of their own here.
//
//   [{"op": "aten::mul", "overload": "Tensor", "args": [{"v": 0}, {"v": 1}]},
//    {"op": "aten::view", "overload": "", "args": [{"v": 2}, [{"batch": 1}, 12]]}]
//
// Values are numbered: first the inputs, then the constants, then the parameters, then the results
// of the calls in their order (of a call with several results, each). The last one is the output. An
// argument is a value {"v": n}; the number of samples, {"batch": k} times it; a number, a truth value,
// a text or null; or a list of these. They stand in the order of the operator's schema.
#pragma once

#include "altprop/network/ops/autograd.h"

namespace altprop {

struct AtenBoxParts {
  std::string program;            ///< JSON, as above
  std::vector<Tensor> constants;  ///< of the network's device and type already
  /// What is learnt inside of it. A rule's feedback can stand for none of these.
  std::vector<ParamPtr> params;
  int inputs = 1;
};

/// Whether samples depend on each other in it (batch norm, `x - x.mean(0)`) is tried when it is built:
/// a batch of random values whole and in parts. Of one that draws it is not known, and not said.
/// @throws UsageError if the program is none, or libtorch has no such operator
OpPtr aten_box(AtenBoxParts parts);

}  // namespace altprop
