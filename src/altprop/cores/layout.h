// Which input each axon of a layer of cores reads, and how many neurons each core has.
//
// An output of a core goes to exactly one axon: a core that serves several cores has a group of
// neurons for each of them. Inputs of the network are no neurons, and may go to any number of
// axons. Source: Esser et al., NIPS 2015; see docs/cores.md.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/spec.h"

namespace altprop::cores {

/// A square that moves over an image or over a grid of cores. Size 0: all of it at once.
struct Window {
  int64_t size = 0;    ///< pixels, or cores, of a side
  int64_t stride = 1;  ///< from one place to the next
};

struct CoreLayout {
  int64_t inputs = 0;  ///< values of a sample that axons choose from
  /// By core: the input that each axon reads; -1: the axon is silent. Equally many for all cores.
  std::vector<std::vector<int64_t>> axons;
  std::vector<int64_t> neurons;  ///< by core; their outputs lie one core behind the other
  /// By core: groups that its neurons are divided into, one for each core that it serves.
  std::vector<int64_t> groups;
  int64_t rows = 1, columns = 1;  ///< how the cores stand, row by row

  int64_t size() const { return static_cast<int64_t>(axons.size()); }
  int64_t axons_each() const { return axons.empty() ? 0 : static_cast<int64_t>(axons[0].size()); }
  int64_t outputs() const;
  /// Place of a core's first output.
  int64_t first_output(int64_t core) const;
  /// No axon reads what another reads, which has to be so where inputs are outputs of cores.
  bool each_input_once() const;
  /// @throws Refusal naming core, axon or neuron if it is no layer of cores
  void check() const;
};

/// Cores over patches of an image, or one core over all values of a sample.
/// @param shape of a sample: [C, H, W], or any other with a patch of size 0
/// @param group neurons for each core that a core serves
/// @param next  how the layer behind will read the cores; size 0: all at once, one group each
/// @throws Refusal if a patch does not fit the image or the core
CoreLayout over_inputs(const std::vector<int64_t>& shape, Window patch, int64_t group, Window next);

/// Cores behind cores: each reads one group of neurons of every core in its window.
/// @throws Refusal naming a core of `before` whose groups are not as many as the windows that it is
/// in
CoreLayout over_cores(const CoreLayout& before, Window window, int64_t group, Window next);

}  // namespace altprop::cores
