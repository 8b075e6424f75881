// Evolution strategies: the gradient is estimated from losses at perturbed weights. No derivative
// of the network is taken.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"
#include "altprop/network/buffer_guard.h"
#include "altprop/rules/perturbation/antithetic.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// Puts weights back, to the bit, at the end of its life.
class WeightsKept {
 public:
  explicit WeightsKept(std::vector<ParamPtr> params) : params_(std::move(params)) {
    for (const ParamPtr& param : params_) kept_.push_back(param->value.clone());
  }
  ~WeightsKept() { move({}, 0); }
  WeightsKept(const WeightsKept&) = delete;
  WeightsKept& operator=(const WeightsKept&) = delete;

  /// To what they were, plus `by` times a direction [n]; undefined: plus nothing.
  void move(const Tensor& direction, double by) {
    int64_t from = 0;
    for (size_t i = 0; i < params_.size(); ++i) {
      Tensor& value = params_[i]->value;
      value.copy_(kept_[i]);
      if (direction.defined())
        value.add_(direction.narrow(0, from, value.numel()).view(value.sizes()), by);
      from += value.numel();
    }
  }

 private:
  std::vector<ParamPtr> params_;
  std::vector<Tensor> kept_;
};

class EvolutionStrategies : public Rule {
 public:
  void declare(Options& o) override { settings_.declare(o); }
  bool needs_loss() const override { return true; }
  bool is_stochastic() const override { return true; }
  void admit(const Graph& net, const Loss&) const override {
    settings_.check();
    require_parameters(net);
  }

  std::vector<std::string> warnings(const OptimizerSettings&) const override {
    const double n = static_cast<double>(count(moved())), k = static_cast<double>(settings_.pairs);
    const double cosine = std::sqrt(k / (n + k));
    if (cosine > 0.1) return {};
    return {text::cat(settings_.pairs, " pairs of perturbations of ", static_cast<int64_t>(n),
                      " weights: the cosine of an estimate to the gradient is about ",
                      text::from_number(std::round(cosine * 1000) / 1000),
                      "; more es.pairs or a smaller network, and a small learning rate")};
  }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const std::vector<ParamPtr> params = moved();
    const Tensor& like = params[0]->value;
    const Tensor along = antithetic_directions(
        settings_, count(params), trace.look.draws.at("evolution-strategies"), like.options());
    Tensor above = at::empty({settings_.pairs}, at::kDouble), below = at::empty_like(above);
    {
      WeightsKept weights(params);
      BufferGuard buffers(net());
      for (int64_t j = 0; j < settings_.pairs; ++j) {
        weights.move(along[j], settings_.sigma);
        above[j] = cost(trace.look, objective);
        weights.move(along[j], -settings_.sigma);
        below[j] = cost(trace.look, objective);
      }
    }
    const Tensor w = antithetic_weights(settings_, above, below).to(like.options());
    const Tensor gradient = at::mv(along.t(), w);
    int64_t from = 0;
    for (const ParamPtr& param : params) {
      const int64_t n = param->value.numel();
      sink.take(ParamSignal{param.get(), gradient.narrow(0, from, n).view(param->value.sizes())});
      from += n;
    }
    return {};
  }

 private:
  /// What is perturbed, by name, whatever order an operation has its parameters in.
  std::vector<ParamPtr> moved() const {
    std::vector<ParamPtr> out;
    for (const ParamPtr& param : net().params())
      if (param->learnt) out.push_back(param);
    std::ranges::sort(out, {}, [](const ParamPtr& param) { return param->name; });
    return out;
  }
  static int64_t count(const std::vector<ParamPtr>& params) {
    int64_t n = 0;
    for (const ParamPtr& param : params) n += param->value.numel();
    return n;
  }
  /// The batch's loss, divided as signals are; with the same masks at all weights.
  double cost(const Look& look, const Objective& objective) {
    Activity scratch;
    const Tensor output = net().run(look.inputs, scratch, look.in(Mode::Train), {.forget = true});
    return objective.value(output).sum(at::kDouble).item<double>() * objective.scale();
  }

  AntitheticSettings settings_;
};

const RegisterRule registered_evolution_strategies{
    {.name = "evolution-strategies",
     .aliases = {"es"},
     .summary = "the gradient estimated from losses at pairs of opposite random weights",
     .assumes = "the loss, broadcast to all synapses; many forward passes",
     .source = "Salimans et al. 2017, arXiv 1703.03864",
     .example_net = "mlp:784-64-10:relu",
     .make = [] { return std::make_unique<EvolutionStrategies>(); },
     .order = 850,
     .reaches = 0.49,
     .example_settings = "optimizer = \"adam\"\nlr = 0.005\n"}};

}  // namespace

}  // namespace altprop
