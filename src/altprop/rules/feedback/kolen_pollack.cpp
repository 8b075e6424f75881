// Kolen-Pollack learning: feedback weights V that take the same steps as the forward weights W.
// J. Kolen, J. Pollack, "Backpropagation without weight transport", 1994; M. Akrout, C. Wilson,
// P. Humphreys, T. Lillicrap, D. Tweed, "Deep learning without weight transport", 2019, arXiv
// 1904.05391.
//
//   W <- W - eta (dW + lambda W),   V <- V - eta (dW + lambda V)
//
// V - W never sees the data: it is V0 - W0 times a scalar c that obeys the optimizer's own
// recursion. The implicit form keeps only V0 - W0 and c: no V, no optimizer state for it.
#include "altprop/base/error.h"
#include "altprop/rules/feedback/alignment.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

class KolenPollack : public FeedbackRule {
 public:
  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.choice("kp.form", form_, {"explicit", "implicit"},
             {"feedback weights stepped by the optimizer, or the first difference times its exact "
              "decay: the same numbers for less work"});
    align_.declare(o, "kp");
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    align_.unread(out, "kp");
    return out;
  }

  void prepare_for(const OptimizerSettings& settings) override {
    settings_ = settings;
    if (form_ == "implicit" && !has_law(settings))
      throw Refusal("kolen-pollack",
                    "kp.form=implicit rests on an alignment law that optimizer " + settings.kind +
                        (settings.keep_signs ? " with keep-signs" : "") + " does not have",
                    "use kp.form=explicit, or one of sgd, momentum, nesterov, adamw");
  }

  void set_up() override {
    if (form_ == "implicit" && weight_norm_)
      throw Refusal("kolen-pollack",
                    "feedback.weight-norm changes weights outside of the optimizer, which "
                    "kp.form=implicit cannot follow",
                    "use kp.form=explicit");
    FeedbackRule::set_up();
    pairs_.clear();
    for (Path& path : paths_) {
      Pair pair;
      Tensor difference = masked(path, path.m - path.weight->value);
      pair.distance = difference.norm().item<double>();
      if (form_ == "implicit") {
        pair.difference = difference;
        path.m = Tensor();
      } else {
        pair.v = std::make_shared<Param>(path.weight->name + ".feedback", path.m);
        pair.v->twin = path.weight.get();
        pair.v->group = path.weight->group;
        pair.v->decay = path.weight->decay;
      }
      pairs_.push_back(std::move(pair));
    }
  }

  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (Pair& pair : pairs_)
      if (pair.v) out.push_back(pair.v);
    return out;
  }

  void after_update(const StepFacts& facts, const Step& step) override {
    FeedbackRule::after_update(facts, step);
    for (size_t i = 0; i < pairs_.size(); ++i) {
      const Path& path = paths_[i];
      Pair& pair = pairs_[i];
      const OptimizerSettings& settings = step.updater().settings(path.weight->group);
      if (has_law(settings) && !weight_norm_) {
        pair.law.advance(facts_of(*path.weight, facts, settings));
      } else {
        pair.law.lose();
      }
      if (pair.v) {
        if (path.mask.defined()) pair.v->value.mul_(path.mask);
      } else if (!pair.law.holds()) {
        throw Error("kolen-pollack: kp.form=implicit met a step of optimizer " + settings.kind +
                    ", which has no alignment law; use kp.form=explicit");
      } else if (pair.law.settled()) {
        pair.difference = Tensor();  // from here on V is W
      }
    }
  }

  bool follows_updates() const override {
    return !pairs_.empty() || FeedbackRule::follows_updates();
  }

  bool allows_in_place() const override {
    return !looks_at_gradients() && AlignmentDecay::fits_in_place(settings_);
  }

  double weight_decay(int64_t epoch) const override { return align_.in_epoch(epoch, settings_); }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override {
    std::vector<std::string> out;
    if (!has_law(settings))
      out.push_back("kolen-pollack: under optimizer " + settings.kind +
                    (settings.keep_signs ? " with keep-signs" : "") +
                    " the feedback does not converge to the forward weights; use sgd, momentum, "
                    "nesterov or adamw");
    if (align_.none(settings))
      out.push_back(
          "kolen-pollack: without weight decay the feedback will not converge to the forward "
          "weights; set kp.align-decay, kp.min-decay or weight-decay above 0");
    if (weight_norm_)
      out.push_back(
          "kolen-pollack: feedback.weight-norm rescales the forward weights alone, so the feedback "
          "follows them in direction at best");
    return out;
  }

  std::vector<FeedbackFact> feedback() const override {
    std::vector<FeedbackFact> facts = FeedbackRule::feedback();
    for (size_t i = 0; i < facts.size(); ++i) {
      const Pair& pair = pairs_[i];
      if (pair.law.holds()) facts[i].predicted_factor = std::abs(pair.law.factor());
      if (pair.v && pair.distance > 0)
        facts[i].measured_factor =
            masked(paths_[i], facts[i].feedback - facts[i].weight).norm().item<double>() /
            pair.distance;
    }
    return facts;
  }

  void state(StateIO io) override {
    FeedbackRule::state(io);
    for (size_t i = 0; i < pairs_.size(); ++i) {
      StateIO scope = io.scope("kp." + paths_[i].name);
      pairs_[i].law.state(scope);
      scope.number("distance", pairs_[i].distance);
      if (form_ == "explicit") continue;
      if (io.is_loading() && !scope.has("difference"))
        pairs_[i].difference = Tensor();
      else
        scope.tensor("difference", pairs_[i].difference);
    }
  }

 protected:
  void prepare(Path& path, const Look&) override { path.m = substitute(path); }
  bool keeps_substitutes() const override { return false; }

  /// V as it is now; undefined where it has become W.
  Tensor substitute(const Path& path) const override {
    const Pair& pair = pairs_[static_cast<size_t>(&path - paths_.data())];
    if (pair.v) return pair.v->value;
    const Tensor& w = path.weight->value;
    if (!pair.difference.defined()) return path.mask.defined() ? w * path.mask : Tensor();
    return masked(path, at::add(w, pair.difference, pair.law.factor()));
  }

 private:
  struct Pair {
    ParamPtr v;           ///< explicit form
    Tensor difference;    ///< implicit form: V0 - W0; undefined once it has decayed away
    double distance = 0;  ///< |V0 - W0|
    AlignmentLaw law;
  };

  static bool has_law(const OptimizerSettings& s) {
    return steps_linearly(s) || (s.decays_apart() && !s.keep_signs);
  }
  static Tensor masked(const Path& path, Tensor t) {
    return path.mask.defined() ? t.mul_(path.mask) : t;
  }

  std::string form_ = "explicit";
  AlignmentDecay align_;
  std::optional<OptimizerSettings> settings_;
  std::vector<Pair> pairs_;  ///< one per path
};

const RegisterRule registered_kolen_pollack{
    {.name = "kolen-pollack",
     .aliases = {"kp"},
     .summary = "feedback weights take the same steps as the forward weights and decay into them",
     .assumes = "paired synapses that see the same update",
     .source = "Kolen & Pollack 1994; Akrout et al. 2019, arXiv 1904.05391",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<KolenPollack>(); },
     .order = 20}};

}  // namespace

}  // namespace altprop
