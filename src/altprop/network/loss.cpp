#include "altprop/network/loss.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"
#include "altprop/network/likelihood.h"
#include "altprop/network/right.h"
#include "altprop/network/softmax.h"
#include "altprop/network/spike_loss.h"
#include "altprop/network/step_loss.h"
#include "altprop/tensor/planar.h"

namespace altprop {

namespace {
/// Refuses class numbers that do not fit the output. Their range is checked on the CPU only:
/// elsewhere looking at them would wait for the device, and the device's own check stops the
/// program.
void expect_classes(const Tensor& target, const Tensor& output) {
  if (output.dim() != 2 || target.dim() != 1 || target.size(0) != output.size(0))
    throw UsageError(text::cat("class numbers of shape ", shape_text(target.sizes()),
                               " do not fit a network output of shape ",
                               shape_text(output.sizes())));
  if (!target.device().is_cpu() || target.numel() == 0) return;
  const auto [low, high] = range_of(target);
  if (low < 0 || high >= output.size(1))
    throw UsageError(text::cat("class numbers from ", low, " to ", high,
                               " do not fit a network with ", output.size(1), " outputs"));
}
}  // namespace

Tensor Loss::as_rows(const Tensor& target, const Tensor& like) {
  if (target.is_floating_point()) {
    if (target.sizes() != like.sizes())
      throw UsageError(text::cat("targets of shape ", shape_text(target.sizes()),
                                 " do not fit a network output of shape ",
                                 shape_text(like.sizes())));
    return target;
  }
  expect_classes(target, like);
  return at::zeros_like(like).scatter_(1, target.unsqueeze(1), 1);
}

void Loss::admit(const std::vector<int64_t>& output, const Tensor& targets) const {
  if (targets.is_floating_point() && targets.dim() == 2 && targets.size(1) == 0)
    throw Refusal("loss " + name(), "the data have no targets to compare an output with",
                  "use --loss likelihood with a cnf: network, or data with targets");
  if (!targets.is_floating_point() || targets.sizes().slice(1) == IntArrayRef(output)) return;
  throw Refusal(
      "network",
      text::cat("its output has shape ", shape_text(output),
                ", but a target of the data has shape ", shape_text(targets.sizes().slice(1))),
      text::cat("end it with as many outputs as a target has values; '*' stands for ",
                "that number"));
}

Tensor Loss::curvature(const Tensor& output, const Tensor& target, const Tensor& direction) const {
  const Tensor along = direction.to(at::kDouble), here = output.to(at::kDouble);
  const double length = along.abs().max().item<double>();
  if (!(length > 0) || !std::isfinite(length)) return at::zeros_like(direction);
  const Tensor like = target.is_floating_point() ? target.to(at::kDouble) : target;
  const double h = 1e-4 / length;
  return (gradient(here + h * along, like) - gradient(here - h * along, like))
      .div_(2 * h)
      .to(direction.scalar_type());
}

Tensor Loss::complex_gradient(const Tensor&, const Tensor&) const {
  throw Refusal("loss " + name(), "its gradient is not defined for complex outputs",
                "give it complex_gradient, or use another loss");
}

Tensor Loss::right(const Tensor& output, const Tensor& target) const {
  return target.is_floating_point() ? Tensor() : right::largest(output, target);
}

namespace {

/// "for example -1.5": the first value that is not as it should be.
std::string example_of(const Tensor& values, const Tensor& wrong) {
  return "for example " + text::from_number(values.masked_select(wrong)[0].item<double>());
}

/// -log softmax(output)[target]; with real-valued targets, -sum_c t_c log softmax_c.
struct CrossEntropy : Loss {
  std::string name() const override { return "cross-entropy"; }
  bool is_surprise() const override { return true; }
  std::string help() const override {
    return "softmax cross-entropy on logits; gradient softmax - onehot";
  }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    if (target.is_floating_point())
      return (as_rows(target, output) * at::log_softmax(output, 1)).sum(1).neg();
    expect_classes(target, output);
    if (softmax_rows_fit(output, target)) return softmax_loss(output, target);
    const Tensor log_probability = at::log_softmax(output, 1);
    return log_probability.gather(1, target.unsqueeze(1)).squeeze(1).neg_();
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    if (target.is_floating_point()) {
      const Tensor rows = as_rows(target, output);
      return at::softmax(output, 1) * rows.sum(1, true) - rows;
    }
    expect_classes(target, output);
    if (softmax_rows_fit(output, target)) return softmax_loss_gradient(output, target);
    Tensor p = at::softmax(output, 1);
    return p.scatter_add_(1, target.unsqueeze(1), at::full({target.size(0), 1}, -1, p.options()));
  }
  Tensor curvature(const Tensor& output, const Tensor& target,
                   const Tensor& direction) const override {
    const Tensor p = at::softmax(output, 1), along = p * direction;
    const Tensor out = along - p * along.sum(1, true);
    return target.is_floating_point() ? out * as_rows(target, output).sum(1, true) : out;
  }
  bool analytic() const override { return true; }
  Tensor complex_gradient(const Tensor& planar, const Tensor& target) const override {
    const PlanarRows rows{0, target.size(0)};
    Tensor out = at::empty_like(planar);
    Tensor re = real_parts(out, rows), im = imaginary_parts(out, rows);
    Tensor softmax_re, softmax_im;
    complex_softmax(real_parts(planar, rows), imaginary_parts(planar, rows), softmax_re,
                    softmax_im);
    const Tensor sum = target.sum(1, true);
    re.copy_(softmax_re.mul_(sum).sub_(target));
    im.copy_(softmax_im.mul_(sum));
    return out;
  }
  Tensor link(const Tensor& output) const override { return at::softmax(output, 1); }
  void admit(const std::vector<int64_t>& output, const Tensor& targets) const override {
    Loss::admit(output, targets);
    if (output.empty() || output.back() < 2)
      throw Refusal("cross-entropy",
                    "with one output its probability is 1 whatever the network does",
                    targets.is_floating_point()
                        ? "use --loss squared-error for real targets"
                        : "use two outputs (with one class in the data: data of several classes), or --loss squared-error or sigmoid-cross-entropy");
    if (!targets.is_floating_point()) return;
    constexpr double kRounding = 1e-3;  // of probabilities that were written with few digits
    const Tensor values = targets.to(at::kDouble), negative = values < 0;
    const Tensor sums = values.sum(-1), off = (sums - 1).abs() > kRounding;
    const bool below = negative.any().item<bool>();
    if (!below && !off.any().item<bool>()) return;
    throw Refusal(
        "cross-entropy",
        text::cat("it takes classes, or rows of probabilities that sum to 1, but the ",
                  "targets are other real values, ",
                  below ? example_of(values, negative)
                        : "a row that sums to " +
                              text::from_number(sums.masked_select(off)[0].item<double>())),
        "use --loss squared-error for a regression");
  }
};

/// 1/2 |output - target|^2, class numbers as one-hot rows.
struct SquaredError : Loss {
  std::string name() const override { return "squared-error"; }
  std::string help() const override {
    return "half the squared distance to the target (one-hot for classes); gradient y - t";
  }
  bool takes(Kind kind) const override { return kind != Kind::SpikeTime; }
  bool squared() const override { return true; }
  bool analytic() const override { return true; }
  Tensor complex_gradient(const Tensor& planar, const Tensor& target) const override {
    Tensor out = planar.clone();
    real_parts(out, {0, target.size(0)}).sub_(target);
    return out;
  }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return (output - as_rows(target, output)).square_().flatten(1).sum(1).mul_(0.5);
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    return output - as_rows(target, output);
  }
  Tensor curvature(const Tensor&, const Tensor&, const Tensor& direction) const override {
    return direction.clone();
  }
  Tensor link(const Tensor& output) const override { return output; }
};

/// Summed over outputs, each its own yes/no question (Akrout et al. 2019, arXiv 1904.05391).
struct SigmoidCrossEntropy : Loss {
  std::string name() const override { return "sigmoid-cross-entropy"; }
  std::string help() const override {
    return "sigmoid cross-entropy on logits, summed over outputs; gradient sigmoid - t";
  }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return at::binary_cross_entropy_with_logits(output, as_rows(target, output), {}, {},
                                                at::Reduction::None)
        .sum(1);
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    return at::sigmoid(output).sub_(as_rows(target, output));
  }
  Tensor curvature(const Tensor& output, const Tensor&, const Tensor& direction) const override {
    const Tensor p = at::sigmoid(output);
    return p * (1 - p) * direction;
  }
  bool analytic() const override { return true; }
  Tensor complex_gradient(const Tensor& planar, const Tensor& target) const override {
    const PlanarRows rows{0, target.size(0)};
    Tensor out = planar.clone();
    apply_analytic_(out, rows, {});
    real_parts(out, rows).sub_(target);
    return out;
  }
  Tensor link(const Tensor& output) const override { return at::sigmoid(output); }
  void admit(const std::vector<int64_t>& output, const Tensor& targets) const override {
    Loss::admit(output, targets);
    if (!targets.is_floating_point()) return;
    const Tensor outside = targets.lt(0).logical_or(targets.gt(1));
    if (!outside.any().item<bool>()) return;
    throw Refusal("sigmoid-cross-entropy",
                  "each of its targets is a class or a probability from 0 to 1, but the targets "
                  "are other real values, " +
                      example_of(targets, outside),
                  "use --loss squared-error for a regression");
  }
};

struct NoLoss : Loss {
  std::string name() const override { return "none"; }
  std::string help() const override { return "no loss: objectives are cotangents"; }
  Tensor value(const Tensor&, const Tensor&) const override { refuse(); }
  Tensor gradient(const Tensor&, const Tensor&) const override { refuse(); }
  Tensor link(const Tensor& output) const override { return output; }
  bool takes(Kind) const override { return true; }
  void admit(const std::vector<int64_t>&, const Tensor&) const override {}

 private:
  [[noreturn]] static void refuse() {
    throw Error("a loss is asked for, but the rule was bound without one; bind it with a loss");
  }
};

}  // namespace

std::unique_ptr<Loss> make_loss(const std::string& name, const SpikeLossSettings& spikes) {
  if (name == "cross-entropy" || name == "ce") return over_steps(std::make_unique<CrossEntropy>());
  if (name == "squared-error" || name == "mse") return over_steps(std::make_unique<SquaredError>());
  if (name == "sigmoid-cross-entropy" || name == "bce")
    return over_steps(std::make_unique<SigmoidCrossEntropy>());
  if (name == "likelihood" || name == "nll") return make_likelihood();
  if (name == "spike-cross-entropy") return make_spike_cross_entropy(spikes);
  if (name == "spike-squared-error") return make_spike_squared_error(spikes);
  throw UsageError("there is no loss '" + name + "'" + text::suggestion(name, loss_names()));
}

const Loss& no_loss() {
  static const NoLoss none;
  return none;
}

void expect_output_for(const Loss& loss, const Graph& net) {
  for (int output : net.output_nodes()) {
    const Node& node = net.node(output);
    if (node.spec.differentiable() && loss.takes(node.spec.kind)) continue;
    throw Refusal("network",
                  text::cat("its output '", node.name, "' gives ", values_text(node.spec),
                            ", which the loss ", loss.name(), " is not for"),
                  "use a loss that takes them, or end with an operation that makes real values");
  }
}

std::vector<std::string> loss_names() {
  return {"cross-entropy", "squared-error",       "sigmoid-cross-entropy",
          "likelihood",    "spike-cross-entropy", "spike-squared-error"};
}

}  // namespace altprop
