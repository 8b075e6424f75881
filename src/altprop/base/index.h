// Numbers of nodes, states and edges are ints (-1 means none); containers count in size_t.
#pragma once

#include <cstddef>

namespace altprop {

/// Place of number `i` in a container. `i` must not be negative.
constexpr size_t at(int i) { return static_cast<size_t>(i); }

}  // namespace altprop
