// An edge of a convergent network at complex states, held as planes of real numbers.
//
// All weights are real, so that a layer is one real product over the rows of all parts (its bias
// goes to real parts alone); only what bends is evaluated in complex arithmetic (PlanarForm).
// Derivatives are holomorphic: no conjugation anywhere.
#pragma once

#include "altprop/network/graph.h"
#include "altprop/tensor/planar.h"

namespace altprop {

class PlanarMap {
 public:
  /// Shares the parameters of `map`, which must outlive this.
  explicit PlanarMap(const Graph& map);

  /// What a pass leaves for derivatives.
  struct Passed {
    std::vector<Saved> saved;  ///< per node of the map
    PlanarRows rows;
  };
  Tensor run(std::span<const Tensor> inputs, const PlanarRows& rows, Passed& passed) const;

  /// Which part of d< cot, map(input) >/dparameter, a complex number, is the gradient.
  enum class Part { Real, Imaginary };
  struct Delivery {
    Sink& sink;
    double scale = 1;
    Part part = Part::Real;  ///< Imaginary needs rows.real == 0
  };
  /// @param cot of the output, rows as in the pass
  /// @param credits null, or filled with the cotangent of every input
  /// @param to null, or receives the signals of the operations with parameters
  void sweep(const Passed& passed, const Tensor& cot, std::vector<Tensor>* credits,
             const Delivery* to) const;

  const Graph& graph() const { return *map_; }
  /// True if the derivative depends on where it is taken.
  bool bends() const { return bends_; }
  /// True if that is because of operations that also have second derivatives (softmax pooling).
  bool curved() const { return curved_; }

 private:
  void send(const Node& node, const Saved& saved, const PlanarRows& rows, const Tensor& cot,
            const Delivery& to) const;

  const Graph* map_;
  std::vector<OpPtr> ops_;      ///< per node: the operation without its bias
  std::vector<ParamPtr> bias_;  ///< per node; null
  std::vector<char> learns_;    ///< per node: parameters at or before it
  bool bends_ = false, curved_ = false;
};

}  // namespace altprop
