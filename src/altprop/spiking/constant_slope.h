// Layers of units that fire once whose potential rises with slope 1 in their own window, so that a
// network of them is a network of ReLUs, spike by spike (A. Stanojevic, S. Wozniak, G. Bellec, G.
// Cherubini, A. Pantazi, W. Gerstner 2023, arXiv 2306.08744, the "identity mapping", B1). Before
// the window of layer l opens, inputs make the potential ramp; in it the slope is constant, and the
// threshold of each unit holds its bias. In times that count from the beginning of each layer's
// window, with a_i = T_in - t_i (0: silent) and z_j = sum_i W_ji a_i + b_j,
//
//   t_j = T - min(z_j, T)   where z_j > 0,   +inf else
//
// so that T - t_j = relu(z_j) as long as no z_j is above the window T.
#pragma once

#include "altprop/spiking/affine_form.h"
#include "altprop/spiking/synaptic_events.h"

namespace altprop::spiking {

struct ConstantSlopeSettings {
  int64_t out = 1;
  Kernel kernel = {};
  double window = 1;        ///< T, of the units
  double input_window = 1;  ///< T_in, of the layer in front
  bool bias = true;         ///< one for each output (channel), which the thresholds hold
  bool readout = false;     ///< the units do not fire: z itself, as real values
};

/// Times [B, n] or [B, C, H, W]; W [out, n] or [out, C, height, width], b [out]. Saved.t = {a, 1
/// where 0 < z < T and else 0, 1 where an input fires and else 0}.
class ConstantSlope final : public Op, public CountsSynapticEvents {
 public:
  explicit ConstantSlope(const ConstantSlopeSettings& settings);
  /// With parameters of another map; `bias` may be null.
  ConstantSlope(const ConstantSlopeSettings& settings, ParamPtr weight, ParamPtr bias);

  std::string type() const override {
    return form_.image() ? "constant_slope_conv" : "constant_slope";
  }
  std::string settings() const override;
  Takes takes(int) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return weight_; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override {
    return form_.multiply_adds(inputs[0]);
  }
  /// All inputs' spikes have come when the units' own window opens.
  Tensor synaptic_events(const Tensor& arrivals, const Tensor&) const override {
    return form_.spikes_delivered(arrivals);
  }

 private:
  /// d output / d z.
  double by_potential() const { return s_.readout ? 1 : -1; }

  ConstantSlopeSettings s_;
  AffineForm form_;
  ParamPtr weight_, bias_;
};

}  // namespace altprop::spiking
