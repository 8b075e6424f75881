// A parameter: what it is called, its value, and how updates treat it. One ParamPtr in two nodes is
// a tied weight. What arrives for it is kept by whoever asked (store.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// The interval that values have to stay in.
struct Bounds {
  double low, high;
  bool operator==(const Bounds&) const = default;
};

struct Param {
  std::string name;               ///< "fc1.weight"
  std::string group = "weights";  ///< which parameters an update steps: "weights", "feedback", ...
  Tensor value;
  bool learnt = true;   ///< false: frozen, it receives no gradient and no update
  std::string init;     ///< a scheme of its own, e.g. "normal:1"; "": a weight takes the network's
  bool placed = false;  ///< `name` is complete: a graph has put the node's name before it
  bool decay = true;    ///< false for biases and norm gains if weight decay is to spare them
  /// Updaters carry the values back into it behind every step (a projection: what an optimizer keeps
  /// is left as it is), or refuse the parameter. None: any values.
  std::optional<Bounds> bounds = {};
  /// Steps exactly as that one: same optimizer, rate, decay, and by default the same finished
  /// (clipped) gradient (Kolen-Pollack). Twins do not count in the global gradient norm, so that a
  /// rule that keeps feedback synapses is clipped as backprop is.
  const Param* twin = nullptr;
  /// For twins of another shape: the twin's gradient carried over to this parameter by a linear map
  /// (product feedback alignment: dR = B^T dW). A twin that received signals of its own uses those
  /// instead.
  std::function<Tensor(const Tensor& twin_gradient)> carry;

  Param(std::string name, Tensor value) : name(std::move(name)), value(std::move(value)) {}
};

using ParamPtr = std::shared_ptr<Param>;

}  // namespace altprop
