// What CorInfoMax says about itself: warnings at the start, figures and remarks of an epoch.
#include <cmath>

#include "altprop/base/text.h"
#include "altprop/rules/corinfomax/corinfomax.h"

namespace altprop {

std::string CorInfoMax::unstable() const {
  const DynamicsSettings& d = dynamics_settings_;
  const double stiffness = (d.leak + 2 / d.epsilon) * (1 + dynamics_.coupling());
  if (d.eta * stiffness < 2) return "";
  return text::cat(
      "corinfomax: cim.eta=", d.eta,
      " is too large for rates that settle: with the present weights explicit steps are "
      "stable below ",
      std::floor(2e4 / stiffness) / 1e4, ", use one");
}

std::vector<std::string> CorInfoMax::warnings(const OptimizerSettings&) const {
  std::vector<std::string> out;
  const DynamicsSettings& d = dynamics_settings_;
  if (std::string sentence = unstable(); !sentence.empty()) out.push_back(std::move(sentence));
  if (!has_lateral()) return out;
  std::vector<std::string> left_out, weak;
  for (size_t k = 0; k < layers_.size(); ++k) {
    if (leaves_out(k)) {
      left_out.push_back(layers_[k].node->name);
    } else if (2 * lateral_settings_.strength() * lateral_.norm(k) < 1e-3 * 2 / d.epsilon) {
      weak.push_back(layers_[k].node->name);
    }
  }
  if (!left_out.empty())
    out.push_back("corinfomax: the lateral drive of " + text::join(left_out, ", ") +
                  " is left out, because it is below cim.lateral-tolerance");
  if (!weak.empty())
    out.push_back(
        text::cat("corinfomax: the lateral drive of ", text::join(weak, ", "),
                  " is below a thousandth of the "
                  "drive 2/epsilon by prediction errors, so that the lateral matrices hardly "
                  "change a result; "
                  "cim.lateral=off saves their time, a smaller cim.lambda makes them count"));
  return out;
}

std::vector<std::pair<std::string, double>> CorInfoMax::measurements() {
  std::vector<std::pair<std::string, double>> out;
  for (size_t k = 0; k < layers_.size(); ++k) {
    const std::string& name = layers_[k].node->name;
    if (has_lateral())
      out.emplace_back("lateral drive of " + name, lateral_settings_.strength() * lateral_.norm(k));
    if (!free_.rows()) continue;
    const Tensor& s = free_.layer[k];
    Tensor still = s.le(0);
    if (layers_[k].domain == RateDomain::AntiSparse) still.logical_or_(s.ge(1));
    out.emplace_back("saturated share of " + name, still.to(at::kDouble).mean().item<double>());
  }
  return out;
}

std::vector<std::string> CorInfoMax::notices() {
  std::vector<std::string> out;
  load();
  if (!unstable_ && !unstable().empty()) {
    out.push_back(unstable());
    unstable_ = true;
  }
  for (size_t k = 0; k + 1 < layers_.size(); ++k) {
    if (!most_[k].defined()) continue;
    if (most_[k].le(0).to(at::kDouble).mean().item<double>() > 0.5)
      out.push_back("corinfomax: more than half of the units of '" + layers_[k].node->name +
                    "' were silent for a whole epoch; there are no biases that could wake them, so "
                    "use another seed, smaller learning rates or inputs of both signs");
    most_[k] = Tensor();
  }
  if (Tensor& most = most_.back(); most.defined()) {
    const int64_t silent = most.le(0).sum().item<int64_t>();
    if (silent > 0)
      out.push_back(text::cat("corinfomax: ", silent, " of ", most.numel(),
                              " output units were silent for a whole epoch, the first is number ",
                              most.le(0).to(at::kByte).argmax().item<int64_t>(),
                              ", counted from 0; use another seed, smaller learning rates or a "
                              "larger cim.beta"));
    most = Tensor();
  }
  return out;
}

}  // namespace altprop
