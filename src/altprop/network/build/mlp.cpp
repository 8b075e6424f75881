// Multi-layer perceptrons.
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/shape.h"

namespace altprop {

namespace {

/// `*` stands for the size of the data at the front and, at the back, for the number of classes or
/// of values of a target.
struct Mlp : Architecture {
  std::string sizes, activation = "relu", norm = "none", out = "identity", parameters = "standard";
  bool bias = true, residual = false;
  double dropout = 0;

  void declare(Options& o) override {
    o.checked_text("sizes", sizes, "in-hidden-...-out",
                   [](const std::string& s) { parse_layer_sizes(s, 2); },
                   {"number of inputs, of units in each hidden layer, of outputs"});
    o.checked_text("activation", activation, "", check_activation,
                   {"function of the hidden layers"});
    o.flag("bias", bias, {"learnt biases"});
    o.choice("norm", norm, {"none", "batch", "layer"}, {"norm in front of each activation"});
    o.number("dropout", dropout, {.min = 0, .max = 0.999},
             {"probability that a hidden value is dropped while training"});
    o.checked_text("out", out, "", check_activation, {"function of the output layer"});
    o.flag("residual", residual,
           {"add to each hidden layer's value that of the layer before if they are equally wide",
            "", "Innocenti et al. 2025, arXiv 2505.13124"});
    o.choice("param", parameters, {"standard", "mupc"},
             {"weights as the initialiser draws them; or of unit variance with a constant factor "
              "behind each layer, so that learning does not depend on width and depth",
              "", "Innocenti et al. 2025, arXiv 2505.13124"});
  }

  /// A linear layer, of `layers` in all. Depth-mu-P: 1/sqrt(inputs) at the front, 1/inputs at the
  /// back, between them 1/sqrt(inputs), with skips over `skips` layers 1/sqrt(inputs * layers).
  void add_linear(Builder& net, int64_t out, size_t index, size_t layers) const {
    const double inputs = static_cast<double>(Spec{net.shape()}.numel());
    net.linear(out, bias);
    if (parameters == "standard") return;
    net.graph().node(net.here()).op->weight()->init = "normal:1";
    const bool last = index + 1 == layers, deep = residual && index > 0;
    net.then(scale(last ? 1 / inputs
                        : 1 / std::sqrt(deep ? inputs * static_cast<double>(layers) : inputs)));
  }

  Graph make(const InputInfo& info) const override {
    if (sizes.empty())
      throw UsageError("network 'mlp': the sizes are missing, write for example mlp:784-500-10");
    const std::vector<Size> list = parse_layer_sizes(sizes, 2);
    const int64_t outputs = outputs_of("mlp", list.back().value, info);
    Builder net(input_shape_of("mlp", list.front().value, info), info.limits);
    if (net.shape().size() > 1) net.flatten();
    for (size_t i = 1; i + 1 < list.size(); ++i) {
      const int before = net.here();
      add_linear(net, list[i].value, i - 1, list.size() - 1);
      if (norm == "batch") net.batch_norm();
      if (norm == "layer") net.layer_norm();
      net.activation(activation);
      if (dropout > 0) net.dropout(dropout);
      if (residual && i > 1 && list[i].value == list[i - 1].value)
        net.join(add(2), {net.here(), before});
    }
    add_linear(net, outputs, list.size() - 2, list.size() - 1);
    if (out != "identity") net.activation(out);
    return net.finish();
  }
};

const RegisterArchitecture registered_mlp{
    {.name = "mlp",
     .summary = "fully connected layers; images are flattened first",
     .grammar = "mlp:in-hidden-...-out[:activation][:option=value,...]",
     .example = "mlp:784-500-500-10:relu",
     .positional = {"sizes", "activation"},
     .make = [] { return std::make_unique<Mlp>(); },
     .order = 0}};

}  // namespace

}  // namespace altprop
