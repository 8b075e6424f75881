// Layers of units that fire once, each layer in a window of its own, in which its threshold falls
// linearly to 0 (W. Wei et al. 2023, "Temporal-coded spiking neural networks with dynamic firing
// threshold", ICCV 2023; code of github.com/Wenjie-Wei/DTA-TTFS). No spike has to be sorted: a
// layer is two products with one weight.
//
// Times count from the beginning of a layer's window of length T; inputs that fired at t_i in [0,
// T] ramp on while the layer's own window [T, 2T] is open. With m_i = 1 where input i fires, else
// 0,
//
//   S_j = sum_i W_ji m_i,   I_j = sum_i W_ji t_i m_i
//   t_j = 0                          if S_j T - I_j >= T         (above the threshold at once)
//       = (2T + I_j)/(1 + S_j) - T   if that is within [0, T] and 1 + S_j > 0
//       = +inf                       else
//   dt_j/dI_j = 1/(1 + S_j),   dt_j/dS_j = -(2T + I_j)/(1 + S_j)^2   where 0 < t_j < T, else 0
//
// In activities a = 1 - t/T (0: silent), P = W a, this is a = clip((S + P)/(1 + S), 0, 1): a
// clipped affine map, divided by a number that goes by the inputs. It jumps where an input falls
// silent: one that fires at T still ramps in the next window, a silent one does not.
#pragma once

#include "altprop/spiking/affine_form.h"
#include "altprop/spiking/synaptic_events.h"

namespace altprop::spiking {

struct WindowSettings {
  int64_t out = 1;
  Kernel kernel = {};
  double window = 1;  ///< T, positive
  /// Bound on dt/dI and dt/dS in derivatives; infinity: none, the exact gradient.
  double clamp = 1e5;

  /// As network texts have it, where a clamp of 0 is none.
  WindowSettings unbounded_at_zero() const;
};

/// Times [B, n] or [B, C, H, W] from 0 to T or +inf; W [out, n] or [out, C, height, width]. Saved.t
/// = {times of the inputs, dt/dI, dt/dS}.
class Window final : public Op, public CountsSynapticEvents {
 public:
  explicit Window(const WindowSettings& settings);
  /// Shares this weight.
  Window(const WindowSettings& settings, ParamPtr weight) : Window(settings) {
    weight_ = std::move(weight);
  }

  std::string type() const override {
    return form_.image() ? "relpsp_window_conv" : "relpsp_window";
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
    return 2 * form_.multiply_adds(inputs[0]);
  }
  /// A layer's window opens when that of its inputs has closed, so that all their spikes have come.
  Tensor synaptic_events(const Tensor& arrivals, const Tensor&) const override {
    return form_.spikes_delivered(arrivals);
  }
  const WindowSettings& chosen() const { return s_; }

 private:
  /// Which inputs fire, 1 or 0, for these rows.
  Tensor spikes(const Saved& saved, const Tensor& rows) const;

  WindowSettings s_;
  AffineForm form_;
  ParamPtr weight_;
};

}  // namespace altprop::spiking
