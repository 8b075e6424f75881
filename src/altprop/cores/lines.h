// Every value that an axon may read has a line: the inputs, then the neurons of all cores, then one
// that is always silent.
#pragma once

#include "altprop/cores/mapping.h"

namespace altprop::cores {

struct Lines {
  int64_t inputs = 0, all = 0;  ///< all: with the silent one, which is the last
  std::vector<int64_t> first;   ///< by core: line of its first neuron

  explicit Lines(const Mapping& mapping) : inputs(mapping.inputs()) {
    int64_t next = inputs;
    for (const MappedCore& core : mapping.cores) {
      first.push_back(next);
      next += core.neurons();
    }
    all = next + 1;
  }
  int64_t silent() const { return all - 1; }
  int64_t of(const AxonSource& source) const {
    if (source.index < 0) return silent();
    return source.core < 0 ? source.index : first[static_cast<size_t>(source.core)] + source.index;
  }
  int64_t of(const Vote& vote) const { return of(AxonSource{vote.core, vote.neuron}); }
};

}  // namespace altprop::cores
