// Sign-symmetric feedback: the feedback tensor has the signs of the forward weight, but magnitudes
// of its own.
//
//   uniform-sign            M = s sign(W)              Q. Liao, J. Leibo, T. Poggio, "How important
//   fixed-random-sign       M = |N| sign(W)            is weight symmetry in backpropagation?",
//   batchwise-random-sign   M = |N_t| sign(W)          2016, arXiv 1510.05067
//
// with sign(0) = 0, N drawn once and N_t drawn anew for each mini-batch. Scales s after W. Xiao,
// H. Chen, Q. Liao, T. Poggio, "Biologically-plausible learning algorithms can scale to large
// datasets", 2018, arXiv 1811.03567, and A. Sanfiz, M. Akrout, 2021, arXiv 2108.13446.
#include <algorithm>
#include <cmath>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/signs.h"

namespace altprop {

namespace {

/// Makes M from the weights of the moment, once per step and into the same memory.
struct SignRule : FeedbackRule {
  /// What stands beside sign(W) at a step: of W's shape, or a single number. Valid until the next
  /// call.
  virtual Tensor magnitudes(const Path& path, int64_t step) const = 0;

  Tensor draw(const Path& path, const Stream&) override {
    return at::empty_like(path.weight->value);
  }

  void prepare(Path& path, const Look& look) override {
    step_ = look.index;
    make(path.m, path);
  }

  /// From the present weights: those stored in the path belong to the last step.
  Tensor substitute(const Path& path) const override {
    Tensor out = at::empty_like(path.weight->value);
    make(out, path);
    return out;
  }

  bool keeps_substitutes() const override { return false; }
  bool allows_in_place() const override { return !looks_at_gradients(); }

 private:
  void make(Tensor& out, const Path& path) const {
    signs_times(out, path.weight->value, magnitudes(path, step_));
    if (path.mask.defined()) out.mul_(path.mask);
  }

  int64_t step_ = 0;  ///< whose magnitudes are in use
};

/// Standard deviation that a named scale gives the entries of M.
double uniform_magnitude(const std::string& scale, IntArrayRef shape) {
  if (scale == "xavier" || scale == "kaiming") return Initialiser(scale).deviation(shape);
  if (scale == "xiao") return std::sqrt(2 / fans_of(shape).out);
  return scale == "unit" ? 1 : *text::to_number(scale);
}

struct UniformSign : SignRule {
  std::string usf_scale = "xavier";

  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.checked_text(
        "usf.scale", usf_scale, "xavier|kaiming|xiao|unit|a positive number",
        [](const std::string& s) {
          for (const char* name : {"xavier", "kaiming", "xiao", "unit"})
            if (s == name) return;
          if (const auto value = text::to_number(s);
              !value || !(*value > 0) || !std::isfinite(*value))
            throw UsageError("xavier, kaiming, xiao, unit or a positive number");
        },
        {"magnitude of the feedback entries: the standard deviation of a scheme's initial weights",
         "", "Xiao et al. 2018, arXiv 1811.03567 (xiao); Sanfiz & Akrout 2021, arXiv 2108.13446"});
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    out.push_back({"feedback.init", "uniform magnitudes, which usf.scale sets"});
    unless(density_ < 1, out, "feedback.seed", "feedback.density=1, which draws nothing");
    return out;
  }

  Tensor magnitudes(const Path& path, int64_t) const override {
    return at::scalar_tensor(magnitude(path), path.weight->value.options());
  }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override {
    std::vector<std::string> out = FeedbackRule::warnings(settings);
    double growth = 1;
    for (const Path& path : paths_)
      growth *= magnitude(path) * std::sqrt(fans_of(path.weight->value.sizes()).out);
    if (growth > 100)
      out.push_back(text::cat("usf.scale=", usf_scale, ": the error grows about ",
                              text::from_number(std::round(growth)), "-fold on its way through ",
                              paths_.size(), " layers; use usf.scale=xavier"));
    return out;
  }

 private:
  double magnitude(const Path& path) const {
    return scale_ * uniform_magnitude(usf_scale, path.weight->value.sizes());
  }
};

struct FixedRandomSign : SignRule {
  std::map<const Param*, Tensor> fixed;  ///< |N|

  Tensor draw(const Path& path, const Stream& stream) override {
    fixed[path.weight.get()] = draw_random(path, stream).abs_();
    return SignRule::draw(path, stream);
  }

  Tensor magnitudes(const Path& path, int64_t) const override {
    return fixed.at(path.weight.get());
  }

  void state(StateIO io) override {
    FeedbackRule::state(io);
    for (Path& path : paths_) io.tensor("feedback." + path.name, fixed.at(path.weight.get()));
  }
};

/// N_t is a function of (seed, operation, step), so it is neither stored nor sent between ranks.
struct BatchwiseRandomSign : SignRule {
  mutable Tensor scratch;  ///< one buffer for the magnitudes of all operations in turn

  void set_up() override {
    FeedbackRule::set_up();
    int64_t largest = 0;
    for (const Path& path : paths_) largest = std::max(largest, path.weight->value.numel());
    scratch = at::empty({largest}, net().options());
  }

  bool is_stochastic() const override { return true; }

  Tensor magnitudes(const Path& path, int64_t step) const override {
    const Tensor& weight = path.weight->value;
    Tensor out = scratch.narrow(0, 0, weight.numel()).view(weight.sizes());
    Initialiser(init_).draw_magnitudes_into(out, stream("draw").at(path.name).at(step));
    return scale_ == 1 ? out : out.mul_(scale_);
  }
};

template <class R>
RuleEntry entry(std::string name, std::string alias, std::string summary, int order) {
  return {.name = std::move(name),
          .aliases = {std::move(alias)},
          .summary = std::move(summary),
          .assumes = "feedback synapses that know the sign of their forward partner",
          .source = "Liao, Leibo, Poggio 2016, arXiv 1510.05067",
          .example_net = "mlp:784-100-100-10:relu",
          .make = [] { return std::make_unique<R>(); },
          .order = order,
          .reaches = 0.91};
}

const RegisterRule registered_sign_symmetry[] = {
    RegisterRule(
        entry<UniformSign>("uniform-sign", "usf",
                           "credit through the signs of the weights, one magnitude for all", 30)),
    RegisterRule(entry<FixedRandomSign>(
        "fixed-random-sign", "frsf",
        "credit through the signs of the weights with fixed random magnitudes", 31)),
    RegisterRule(entry<BatchwiseRandomSign>(
        "batchwise-random-sign", "brsf",
        "credit through the signs of the weights with magnitudes redrawn for each mini-batch",
        32))};

}  // namespace

}  // namespace altprop
