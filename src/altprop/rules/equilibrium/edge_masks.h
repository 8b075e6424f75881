// Dropout of a settling network (Traits::masks), the one kind of draws that it can hold: masks on
// its edges, drawn once for a mini-batch and kept through all phases and steps, so that the phases
// differ by the nudge alone.
//
//   Phi(x, s) = sum over edges of < s_to, op(mask * s_from) >
//
// The energy has the mask once, so the way back is masked as the way there; so is a way back with
// weights of its own.
#pragma once

#include "altprop/network/state_graph.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop {

class EdgeMasks {
 public:
  /// None: dropout is the identity.
  EdgeMasks() = default;
  /// Those that the network's forward pass would draw. A dropout in front of several states has one
  /// mask for all of them.
  /// @param ids whose masks the rows are (Pass::ids)
  /// @param options of the states
  EdgeMasks(const StateGraph& graph, const Stream& draws, int64_t rows, const RowIds& ids,
            at::TensorOptions options);

  bool on(size_t edge) const { return edge < masks_.size() && !masks_[edge].empty(); }
  /// A pass of an edge, for its value and its derivatives.
  /// @param map that of the edge, or one that is the same node for node
  /// @param parents with the rows of the masks, or several blocks of them
  Tensor run(size_t edge, const Graph& map, std::span<const Tensor> parents,
             Activity& activity) const;
  /// For so many blocks of the rows.
  EdgeMasks repeated(int64_t times) const;
  EdgeMasks of(const RowBlock& block) const;

 private:
  struct Mask {
    size_t node;   ///< of the map
    Tensor value;  ///< [rows, ...]
  };
  template <class F>
  EdgeMasks each(const F& change) const;

  std::vector<std::vector<Mask>> masks_;  ///< per edge
};

}  // namespace altprop
