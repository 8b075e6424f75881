// Feedback that knows the signs of some forward weights: between feedback alignment (none known)
// and fixed-random-sign (all known).
//
//   M = |N| sign(W) where the sign is known, else N;   N and what is known are drawn once
//
// After Q. Liao, J. Leibo, T. Poggio, "How important is weight symmetry in backpropagation?", 2016,
// arXiv 1510.05067.
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

struct PartialSign : FeedbackRule {
  struct Fixed {
    Tensor n, known;  ///< both of the weight's shape; known is 0 or 1
  };
  double known = 0.5;
  std::map<const Param*, Fixed> fixed;

  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.number("ps.known", known, {.min = 0, .max = 1},
             {"probability that a feedback entry knows its weight's sign", "1"});
  }

  Tensor draw(const Path& path, const Stream& stream) override {
    const Tensor& w = path.weight->value;
    fixed[path.weight.get()] = {
        .n = draw_random(path, stream),
        .known = this->stream("known").at(path.name).bernoulli(known, w.sizes(), w.options())};
    return substitute(path);
  }

  void prepare(Path& path, const Look&) override { path.m = substitute(path); }

  Tensor substitute(const Path& path) const override {
    const auto& [n, known] = fixed.at(path.weight.get());
    return at::where(known.to(at::kBool), n.abs() * path.weight->value.sign(), n);
  }

  bool keeps_substitutes() const override { return false; }  // they are made anew before each step

  void state(StateIO io) override {
    FeedbackRule::state(io);
    for (Path& path : paths_) {
      io.tensor("feedback." + path.name, fixed.at(path.weight.get()).n);
      io.tensor("known." + path.name, fixed.at(path.weight.get()).known);
    }
  }
};

const RegisterRule registered_partial_sign{
    {.name = "partial-sign",
     .aliases = {"ps"},
     .summary = "credit through fixed random matrices, part of which follow the weights' signs",
     .assumes = "feedback synapses, some of which know the sign of their forward partner",
     .source = "after Liao, Leibo, Poggio 2016, arXiv 1510.05067",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<PartialSign>(); },
     .order = 33,
     .reaches = 0.85}};

}  // namespace

}  // namespace altprop
