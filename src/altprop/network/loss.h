// Losses: value and gradient per SAMPLE. Credits are those of the batch-summed loss; whoever uses
// them divides by the batch size once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "altprop/network/spec.h"

namespace altprop {

class Graph;

class Loss {
 public:
  virtual ~Loss() = default;
  virtual std::string name() const = 0;
  virtual std::string help() const = 0;
  /// @param output [B, C] network output (logits, or values), or [B, T, C], one per step of a
  /// sequence
  /// @param target int64 [B] class numbers, or [B, C] values of the output's type; for steps int64
  /// [B, T], -1 where there is no target, or values [B, T, C]. Of a sequence the value is the MEAN
  /// over those of its own steps that have a target, so that each sample counts alike however long
  /// it is.
  /// @returns [B]
  virtual Tensor value(const Tensor& output, const Tensor& target) const = 0;
  /// d value / d output, of the output's shape: one row per sample, NOT divided by B.
  virtual Tensor gradient(const Tensor& output, const Tensor& target) const = 0;
  /// d^2 value / d output^2 times `direction`, of the output's shape, one row per sample. By default
  /// central differences of the gradient in float64, good to about 1e-8.
  virtual Tensor curvature(const Tensor& output, const Tensor& target,
                           const Tensor& direction) const;
  /// True for half the squared distance to the target, whose gradient is output - target: some rules
  /// hold for it alone.
  virtual bool squared() const { return false; }
  /// True if the value is minus the natural logarithm of a probability that the output gives to the
  /// target, so that its mean over symbols is their entropy under the network: what bits per symbol
  /// are counted from.
  virtual bool is_surprise() const { return false; }
  /// True for the negative log likelihood of samples under a normalising flow: it looks at no target,
  /// and makes sense of no other output than a flow's, (z, change of log density).
  virtual bool of_flows() const { return false; }
  /// The gradient has an analytic continuation, which `complex_gradient` gives. Rules that nudge on a
  /// circle in the complex plane refuse losses without.
  virtual bool analytic() const { return false; }
  /// The gradient continued to complex outputs.
  /// @param planar [2 B, C]: the real parts of B outputs, then their imaginary parts
  /// @param target [B, C] real values
  /// @returns the gradient, laid out as `planar`. @throws Refusal unless analytic()
  virtual Tensor complex_gradient(const Tensor& planar, const Tensor& target) const;
  /// How many samples are right, as a float64 tensor without dimensions on the output's device; see
  /// network/right.h. By default the largest output against a class number; undefined for targets
  /// that are values, of which a loss may say what is near enough.
  virtual Tensor right(const Tensor& output, const Tensor& target) const;
  /// Refuses targets that it cannot mean, or that do not fit an output of this shape. Asked once,
  /// before training, of all targets; `value` and `gradient` take whatever has the right shape.
  /// @param targets int64 [N] or [N, T], or real values [N, ...]. @throws Refusal
  virtual void admit(const std::vector<int64_t>& output, const Tensor& targets) const;
  /// The kind of output that it is for.
  virtual bool takes(Kind kind) const { return kind == Kind::Real; }
  /// Output to prediction: probabilities for the cross-entropies, the identity for squared error.
  virtual Tensor link(const Tensor& output) const = 0;

  /// Class numbers as one-hot rows of `like`'s type and width; a floating-point target is passed
  /// through.
  /// @throws UsageError if shapes do not fit or a class number is out of range
  static Tensor as_rows(const Tensor& target, const Tensor& like);
};

/// What losses of spike times have beside their name (network/spike_loss.h); others read none of it.
struct SpikeLossSettings {
  double kappa = 10;     ///< per time: how much an earlier spike counts
  double silent_at = 5;  ///< time that stands for a unit that never fires
  double early = 1, late = 2;  ///< target times of the right class, and of the others
};

/// `cross-entropy` (softmax on logits), `squared-error` (1/2 |y - t|^2), `sigmoid-cross-entropy`
/// (summed over outputs), `likelihood` (network/likelihood.h), `spike-cross-entropy` and
/// `spike-squared-error` (network/spike_loss.h). @throws UsageError
std::unique_ptr<Loss> make_loss(const std::string& name, const SpikeLossSettings& spikes = {});
std::vector<std::string> loss_names();

/// Stands for a loss where a rule only ever gets cotangents: named "none", and refuses to be asked.
const Loss& no_loss();
/// Checks that a network's outputs are values that the loss is for. @throws Refusal naming the
/// output
void expect_output_for(const Loss& loss, const Graph& net);

}  // namespace altprop
