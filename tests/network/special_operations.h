// Every operation beside the same function written in libtorch's operations, of which autograd
// makes what is right.
#pragma once

#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "altprop/network/op.h"

namespace altprop::test {

using Values = std::span<const Tensor>;
using Shapes = std::vector<std::vector<int64_t>>;

/// An operation and the same in libtorch's words, of the inputs and then the parameters.
struct Special {
  std::string name;
  std::vector<std::string> words;  ///< of network texts that make this operation
  std::function<OpPtr()> make;
  Shapes shapes;  ///< of the inputs, batch included
  std::function<Tensor(Values)> library;
  Mode mode = Mode::Eval;
  /// First inputs that hold integers, whose values these are.
  std::vector<Tensor> integers = {};
  /// A sum of terms that may be infinite each, as libtorch writes it, is NaN where the whole is
  /// infinite: what has to agree is where numbers are finite.
  bool in_terms = false;
  /// Far out its slope is 0, and what libtorch makes of 0 times an infinite number goes by the order
  /// in which it multiplies: of infinite operands values alone have to agree.
  bool flat_far_out = false;
  /// It takes numbers in [0, 1]; others are refused, and it may be that NaN and infinity are, too.
  bool unit_interval = false;
};

// googletest looks for this name. NOLINTNEXTLINE(readability-identifier-naming)
inline void PrintTo(const Special& s, std::ostream* out) { *out << s.name; }

/// All of them, whatever words of network texts there are.
std::vector<Special> all_operations();
/// Those of neural ODEs and flows among them.
std::vector<Special> ode_operations();
/// Those of transformers.
std::vector<Special> transformer_operations();
/// Those of cores with probabilistic synapses.
std::vector<Special> core_operations();

}  // namespace altprop::test
