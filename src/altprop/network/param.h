// A parameter: its value, its gradient, and how updates treat it. One ParamPtr in two nodes is a
// tied weight.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop {

struct Param {
  std::string name;               ///< "fc1.weight"
  std::string group = "weights";  ///< which parameters an update steps: "weights", "feedback", ...
  Tensor value;
  Tensor grad;  ///< of the batch-mean loss once a step's signals have arrived; meaningless while
                ///< `fresh`
  bool fresh = true;    ///< nothing has arrived yet: the next contribution replaces what grad holds
  double keep = 0;      ///< ... or adds to `keep` times it (an updater sums in place, see Updater)
  std::string init;     ///< a scheme of its own, e.g. "normal:1"; "": a weight takes the network's
  bool placed = false;  ///< `name` is complete: a graph has put the node's name before it
  bool decay = true;    ///< false for biases and norm gains if weight decay is to spare them
  /// Steps exactly as that one: same optimizer, rate, decay, and by default the same finished
  /// (clipped) gradient (Kolen-Pollack). Twins do not count in the global gradient norm, so that a
  /// rule that keeps feedback synapses is clipped as backprop is.
  const Param* twin = nullptr;
  /// For twins of another shape: the twin's gradient carried over to this parameter by a linear map
  /// (product feedback alignment: dR = B^T dW). A twin that received signals of its own uses those
  /// instead.
  std::function<Tensor(const Tensor& twin_gradient)> carry;

  Param(std::string name, Tensor value) : name(std::move(name)), value(std::move(value)) {}

  /// grad (+)= scale * contribution.
  void add_gradient(const Tensor& contribution, double scale = 1);
  /// grad (+)= scale * a b for matrices, written straight into grad viewed as [a.rows, b.columns].
  void add_gradient_product(const Tensor& a, const Tensor& b, double scale = 1);
  /// grad (+)= scale * (sum of the rows of `matrix`).
  void add_gradient_rows(const Tensor& matrix, double scale = 1);

 private:
  void allocate();
};

using ParamPtr = std::shared_ptr<Param>;

}  // namespace altprop
