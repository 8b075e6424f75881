// One operation with inputs, parameters and buffers of its own, to be evaluated and differentiated by differences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "altprop/network/gradients.h"
#include "altprop/network/op.h"
#include "network/close.h"
#include "support/device.h"

namespace altprop {

struct CheckOptions {
  Mode mode = Mode::Train;
  int64_t tokens = 0;  ///< above 0: the input holds integers below it and has no derivative
  bool probabilities = false;  ///< inputs and parameters lie in (0, 1)
  bool many_cotangents = true;  ///< false: K*B rows must be refused
  double step = 1e-5;           ///< of the central differences
  double float_tolerance = 2e-4;
  bool has_float32 = true;
  bool along_parameters = true;  ///< false: tangents along parameters must be refused
  bool whole_substitute = true;  ///< false: a substitute stands for a part of what the weight does
};

class OpUnderTest {
 public:
  OpUnderTest(OpPtr op, const std::vector<std::vector<int64_t>>& shapes, CheckOptions options = {})
      : op_(std::move(op)), options_(options), stream_(Stream(11).at(op_->type())) {
    std::vector<Spec> specs;
    for (const auto& shape : shapes) {
      const Stream draw = stream_.at("x").at(static_cast<int64_t>(x_.size()));
      x_.push_back(options.tokens > 0
                       ? draw.uniform(0, options.tokens, shape).to(test::on_device(at::kLong))
                       : values(draw, shape));
      specs.push_back({.shape = {shape.begin() + 1, shape.end()},
                       .kind = options.probabilities ? Kind::Probability : Kind::Real,
                       .dtype = options.tokens > 0 ? Dtype::Int64 : Dtype::Float});
    }
    out_ = op_->infer(specs);
    op_->build(specs);
    int64_t i = 0;
    for (const ParamPtr& p : op_->params()) {
      p->learnt = true;  // of what is frozen the derivative is known as well
      p->value = values(stream_.at("parameter").at(i++), p->value.sizes());
    }
    for (auto& [name, buffer] : op_->buffers())
      if (buffer->is_floating_point())
        *buffer = stream_.at(name).uniform(0.5, 2, buffer->sizes(), test::on_device(at::kDouble));
  }

 protected:
  Tensor values(const Stream& draw, IntArrayRef shape) const {
    return options_.probabilities ? draw.uniform(0.02, 0.98, shape, test::on_device(at::kDouble))
                                  : draw.normal(shape, test::on_device(at::kDouble));
  }

  /// Number of inputs with a derivative.
  int differentiable() const { return options_.tokens > 0 ? 0 : static_cast<int>(x_.size()); }

  Tensor forward(const std::vector<Tensor>& x, Saved& saved) const {
    return op_->forward(x, saved, {options_.mode, stream_.at("draws")});
  }

  double seen_by_cotangent() const {
    Saved scratch;
    return dot_product(forward(x_, scratch), cot_);
  }

  /// Central differences of <cot, f> in every entry of `at`, which f reads.
  Tensor differences(const Tensor& at) const {
    return differences(at, [this] { return seen_by_cotangent(); });
  }

  Tensor differences(const Tensor& at, const std::function<double()>& value) const {
    std::vector<double> out;
    // With a version counter of its own: autograd must not take these visits for changes.
    const Tensor entries = at.variable_data().view(-1);
    for (int64_t i = 0; i < at.numel(); ++i) {
      Tensor entry = entries[i];
      const double kept = entry.item<double>();
      entry.fill_(kept + options_.step);
      const double above = value();
      entry.fill_(kept - options_.step);
      const double below = value();
      entry.fill_(kept);
      out.push_back((above - below) / (2 * options_.step));
    }
    return at::tensor(out, at::kDouble).view(at.sizes());
  }

  /// The gradients that one call of `accumulate` leaves in tensors that held NaN.
  /// @param alone the one parameter that is asked about; null: all of them
  std::vector<Tensor> gradients(const Saved& saved, const Tensor& cot, double scale,
                                const Param* alone = nullptr) const {
    Gradients store = Gradients::none();
    for (const ParamPtr& p : op_->params())
      if (!alone || p.get() == alone) store.bind(*p, at::full_like(p->value, NAN));
    op_->accumulate(saved, cot, scale, store);
    return store.of_params(op_->params());
  }

  OpPtr op_;
  CheckOptions options_;
  Stream stream_;
  std::vector<Tensor> x_;
  Spec out_;
  Saved saved_;
  Tensor cot_;
};

}  // namespace altprop
