// Layers of units that fire once, when the ramps of their inputs' spikes first lift them to a fixed
// threshold (spiking/event_kernel.h). Network time is continuous, and layers overlap in it.
// M. Zhang et al. 2020, arXiv 2003.11837.
#pragma once

#include "altprop/spiking/affine_form.h"
#include "altprop/spiking/synaptic_events.h"

namespace altprop::spiking {

/// What is done for units that never fire and so have no gradient.
enum class Remedy {
  None,
  /// A penalty on weights: strength * mean_j max(0, theta_j - sum_i W_ji), as of H. Mostafa 2017,
  /// arXiv 1606.08165, eq. 3.3. A unit whose weights sum to a positive number fires in the end.
  WeightSum,
  /// Where an output never fired and the loss wants it to (its credit is positive), its weights to
  /// the inputs that did fire have the gradient -strength.
  SilentPush,
};
const std::vector<std::string>& remedy_names();  ///< in the order of Remedy

struct EventSettings {
  int64_t out = 1;
  Kernel kernel = {};
  double threshold = 1;          ///< positive
  bool learn_threshold = false;  ///< one for each output (channel): parameter "log_threshold"
  bool delays = false;           ///< one learnt delay of each weight, at least 0: parameter "delay"
  /// Bound on 1 / slope in derivatives, which explode where a unit barely fires; 0: none in float64
  /// and 1e3 in float32; infinity: none.
  double max_inv_slope = 0;
  Remedy remedy = Remedy::WeightSum;
  double strength = 1;  ///< of the remedy
  // Initial weights are normal, mean mu = threshold / (active * inputs * fire_after) and deviation
  // spread * mu, so that a unit with mean weights fires that long after its inputs.
  double active = 0.5;  ///< expected share of inputs that fire
  double fire_after = 1, spread = 4;
};

/// Spike times [B, n] or [B, C, H, W] to those of the units, W [out, n] or [out, C, height, width];
/// what lies around an image never fires. Saved.t = {times of the inputs, times and 1 / slopes of
/// the outputs as rows [B * positions, out]}.
class Event final : public Op, public CountsSynapticEvents {
 public:
  /// @throws Refusal for settings out of range
  explicit Event(const EventSettings& settings);
  /// Shares these parameters; null: one that the settings ask for is its own.
  Event(const EventSettings& settings, ParamPtr weight, ParamPtr log_threshold, ParamPtr delay)
      : Event(settings) {
    weight_ = std::move(weight);
    log_threshold_ = std::move(log_threshold);
    delay_ = std::move(delay);
  }

  std::string type() const override { return form_.image() ? "relpsp_event_conv" : "relpsp_event"; }
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
  void penalise(double share, Sink& sink) const override;
  Traits traits() const override {
    return {.penalises = s_.remedy == Remedy::WeightSum && s_.strength > 0};
  }
  /// Delays are at least 0.
  void project() const override;
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return weight_; }
  bool keeps_output() const override { return true; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override {
    return form_.multiply_adds(inputs[0]);
  }

  /// Spikes that arrive, their delays included, before a unit fires; of a silent unit all.
  Tensor synaptic_events(const Tensor& arrivals, const Tensor& out) const override;

  const EventSettings& chosen() const { return s_; }
  const AffineForm& form() const { return form_; }
  /// Of each output (channel), [out].
  Tensor thresholds() const;

 private:
  Tensor matrix(const Tensor& weight) const { return weight.reshape({s_.out, -1}); }
  Tensor delay_matrix() const { return delay_ ? matrix(delay_->value) : Tensor(); }
  /// Credit over slope, as rows; 0 of what never fires, whatever its credit.
  Tensor over_slope(const Saved& saved, const Tensor& cot_rows) const;

  EventSettings s_;
  AffineForm form_;
  ParamPtr weight_, log_threshold_, delay_;
};

}  // namespace altprop::spiking
