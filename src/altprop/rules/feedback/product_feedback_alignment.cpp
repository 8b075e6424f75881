// Product feedback alignment: credit returns through two matrices in a row, a fixed random one (B)
// into an extra feedback population and a learnt one (R) from there; neither is aligned with W,
// only their product becomes so. Li Ji-An, M. K. Benna, "Deep Learning without Weight Symmetry",
// 2024, arXiv 2405.20594.
//
//   r = delta B,   hbar = r R,   dR = r^T h = B^T dW,   R stepped as W is
//
// R - B^T W never sees the data: it is its first value D0 times a scalar c that obeys the
// optimizer's own recursion. So credit can be computed in three ways, equal but for rounding:
//   activity  as above;
//   product   M = B R once per step, hbar = delta M, dR = B^T dW: cheaper for many samples or
//   positions; implicit  M = S W + c Q with S = B B^T, Q = B D0: no R at all, cost independent of
//   k.
#include <algorithm>
#include <cmath>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/feedback/alignment.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/feedback/product_map.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

/// The optimizer changes gradients entry by entry or tensor by tensor, so that B^T (changed dW) is
/// not (B^T dW) changed.
bool reshapes_gradients(const OptimizerSettings& s) {
  return s.clip_tensor_norm > 0 || s.clip_value > 0 || s.sign_gradient;
}

class ProductFeedbackAlignment : public FeedbackRule {
 public:
  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.checked_text(
        "pfa.expand", expand_, "whole number|ortho|identity",
        [](const std::string& s) { Expansion::parse(s); },
        {"feedback units per forward unit; ortho: one, with orthogonal B; identity: one, "
         "with B = I (Kolen-Pollack)",
         "1", "arXiv 2405.20594"});
    o.number("pfa.density", density_, {.min = 0, .max = 1, .min_excluded = true},
             {"probability that an entry of B and of R exists; same as feedback.density", "1"});
    o.choice(
        "pfa.density-gain", density_gain_, {"reference", "full"},
        {"scale of B at density below 1: for B's own mask alone as in the authors' code, or for "
         "both masks"});
    o.choice("pfa.form", form_, {"auto", "implicit", "product", "activity"},
             {"how credit is computed; auto takes the cheapest that the optimizer allows"});
    o.choice(
        "pfa.r-update", r_update_, {"gradient", "from-w"},
        {"R learns from its own gradient, or takes B^T times the step that W took, which aligns "
         "under any optimizer but is not local"});
    o.integer("pfa.seed", feedback_seed_, {.min = -1},
              {"seed of B, R and masks; -1: the run's seed + 1; same as feedback.seed"});
    o.list("pfa.skip", skip_, {"operations kept on exact credit; same as feedback.skip"});
    align_.declare(o, "pfa");
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    unless(density_ < 1, out, "pfa.density-gain", "pfa.density=1");
    unless(r_update_ == "gradient", out, "pfa.form", "pfa.r-update=from-w");
    align_.unread(out, "pfa");
    return out;
  }

  void admit(const Graph& net, const Loss& loss) const override {
    FeedbackRule::admit(net, loss);
    const Sites sites(net);
    for (int id : substituted(sites)) channels_of(*sites[id].node);
  }

  void prepare_for(const OptimizerSettings& settings) override {
    settings_ = settings;
    if (form_ == "implicit" && r_update_ == "gradient" && !steps_linearly(settings))
      throw Refusal("product-feedback-alignment",
                    "pfa.form=implicit rests on an alignment law that optimizer " + settings.kind +
                        (settings.keep_signs ? " with keep-signs" : "") + " does not have",
                    "use pfa.form=auto, pfa.r-update=from-w, or one of sgd, momentum, nesterov");
  }

  void set_up() override {
    choose_form();
    FeedbackRule::set_up();
    const Expansion expansion = Expansion::parse(expand_);
    const double gain = density_gain_ == "full" ? 1 / std::sqrt(density_) : 1;
    products_.clear();
    const Sites sites(net());
    for (Path& path : paths_) {
      const SiteInfo& site = sites[path.sites[0]];
      const Node& node = *site.node;
      const Channels channels = channels_of(node);
      const Tensor& w = path.weight->value;
      path.mask = path.m = Tensor();  // the masks are on B and R here
      Product p{
          ProductMap(channels, expansion, density_, gain, stream("B").at(path.name), w.options())};
      if (const int64_t silent = p.map.silent_channel(); silent >= 0)
        throw Refusal("node '" + path.name + "'",
                      text::cat("output unit ", silent, " would get no feedback: at pfa.density=",
                                density_, " its row of B is empty"),
                      "raise pfa.density or pfa.expand, or set another pfa.seed");
      p.dense = channels.last;
      p.positions = node.spec.numel() / channels.outputs * static_cast<int64_t>(path.sites.size());
      std::vector<int64_t> shape(w.sizes().begin(), w.sizes().end());
      shape[0] = p.map.units();
      Tensor r =
          Initialiser(init_).draw(shape, stream("R").at(path.name), w.options()).mul_(scale_);
      if (density_ < 1) {
        p.mask = stream("mask R").at(path.name).bernoulli(density_, shape, w.options());
        r.mul_(p.mask);
      }
      const Tensor difference = p.unaligned(r, w);
      p.distance = difference.norm().item<double>();
      if (implicit_) {
        p.s = p.map.gram();
        p.q = p.map.contract(difference).clone();
      } else {
        p.r = std::make_shared<Param>(path.weight->name + ".feedback", r);
        p.r->twin = path.weight.get();
        p.r->carry = [map = p.map](const Tensor& dw) { return map.expand(dw); };
        p.r->group = path.weight->group;
        p.r->decay = path.weight->decay;
      }
      products_.push_back(std::move(p));
    }
  }

  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (Product& p : products_)
      if (p.r) out.push_back(p.r);
    return out;
  }

  void after_update(const StepFacts& facts, const Step& step) override {
    FeedbackRule::after_update(facts, step);
    for (size_t i = 0; i < products_.size(); ++i) {
      Product& p = products_[i];
      const ParamPtr& w = paths_[i].weight;
      const OptimizerSettings& settings = step.updater().settings(w->group);
      const StepFacts own = facts_of(*w, facts, settings);
      const bool own_gradient =
          p.plan == Plan::Activity && (reshapes_gradients(settings) || grad_clip_ > 0);
      if (r_update_ == "from-w") {
        p.law.advance_decoupled(own);
      } else if (own.linear && !own_gradient && !weight_norm_) {
        p.law.advance(own);
      } else {
        p.law.lose();
      }
      if (p.r && p.mask.defined()) p.r->value.mul_(p.mask);
      if (implicit_ && !p.law.holds())
        throw Error("product-feedback-alignment: pfa.form=implicit met a step of optimizer " +
                    settings.kind +
                    ", which has no alignment law; use pfa.form=product or pfa.r-update=from-w");
      if (implicit_ && p.law.settled()) p.q = Tensor();
    }
  }

  bool follows_updates() const override {
    return !products_.empty() || FeedbackRule::follows_updates();
  }

  bool allows_in_place() const override {
    return implicit_ && !looks_at_gradients() && AlignmentDecay::fits_in_place(settings_);
  }

  double weight_decay(int64_t epoch) const override { return align_.in_epoch(epoch, settings_); }

  std::vector<std::string> warnings(const OptimizerSettings& s) const override;

  std::vector<FeedbackFact> feedback() const override {
    std::vector<FeedbackFact> facts = FeedbackRule::feedback();
    for (size_t i = 0; i < facts.size(); ++i) {
      const Product& p = products_[i];
      if (p.law.holds()) facts[i].predicted_factor = std::abs(p.law.factor());
      if (p.r && p.distance > 0)
        facts[i].measured_factor =
            p.unaligned(p.r->value, facts[i].weight).norm().item<double>() / p.distance;
    }
    return facts;
  }

  void state(StateIO io) override {
    FeedbackRule::state(io);
    for (size_t i = 0; i < products_.size(); ++i) {
      Product& p = products_[i];
      StateIO scope = io.scope("pfa." + paths_[i].name);
      p.law.state(scope);
      scope.number("distance", p.distance);
      if (!implicit_) continue;
      if (io.is_loading() && !scope.has("Q")) {
        p.q = Tensor();
      } else {
        scope.tensor("Q", p.q);
      }
    }
  }

 protected:
  Credits sweep(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    // Looking only: R has nothing to learn.
    if (implicit_ || !trace.look.learning)
      return FeedbackRule::sweep(trace, objective, wanted, sink);
    LearningR learning(*this, sink);
    learning_ = true;
    Credits to_inputs = FeedbackRule::sweep(trace, objective, wanted, learning);
    learning_ = false;
    return to_inputs;
  }

  // Nothing of the base's substitutes is drawn: B and R take their place.
  Tensor draw(const Path&, const Stream&) override { return {}; }
  bool keeps_substitutes() const override { return false; }

  void prepare(Path& path, const Look& look) override {
    Product& p = product(path);
    const int64_t rows = look.rows() * p.positions;
    p.plan = plan(path, p, rows);
    p.feedback.clear();
    path.m = p.plan == Plan::Substitute ? substitute(path) : Tensor();
  }

  Tensor substitute(const Path& path) const override {
    const Product& p = products_[static_cast<size_t>(&path - paths_.data())];
    if (p.r) return p.map.contract(p.r->value);
    const Tensor sw = ProductMap::mix(p.s, path.weight->value);
    return p.q.defined() ? at::add(sw, p.q, p.law.factor()) : sw;
  }

  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override {
    Path* path = path_at(site.number);
    if (!path || product(*path).plan == Plan::Substitute)
      return FeedbackRule::pull(site, saved, cot, wanted, sweep);
    Product& p = product(*path);
    const Op& op = *site.node.op;
    if (p.plan == Plan::Activity) {
      const Tensor r = p.map.spread(cot);
      if (learning_) p.feedback[{site.number, site.use}] = r;
      return clipped(op.credit(saved, r, wanted, &p.r->value, sweep));
    }
    const Tensor rows = cot.reshape({-1, cot.size(-1)});
    Credits credits =
        op.credit(saved, gemm(rows, p.s[0]).view(cot.sizes()), wanted, nullptr, sweep);
    if (p.q.defined()) {
      Tensor sum = credits[0].view({rows.size(0), -1});
      gemm_into(sum, rows, p.q, 1, p.law.factor());
    }
    return clipped(std::move(credits));
  }

 private:
  /// How the credit of one weight is computed in the step in progress: through a substitute M;
  /// through the feedback population; or by mixing the credit with S first, which is less work than
  /// making M for few samples.
  enum class Plan { Substitute, Activity, Mixed };

  struct Product {
    ProductMap map;
    bool dense = true;
    int64_t positions = 1;  ///< rows of credit per sample, over all operations with this weight
    ParamPtr r;             ///< explicit forms
    Tensor mask;            ///< 0/1 of R's shape; undefined at density 1
    Tensor s, q;            ///< implicit form; s undefined: identity; q undefined: decayed away
    double distance = 0;    ///< |R0 - B^T W0|
    AlignmentLaw law;
    Plan plan = Plan::Substitute;
    /// Activity of the feedback population by place and use, for dR.
    std::map<std::pair<int, int>, Tensor> feedback;

    Tensor unaligned(const Tensor& r, const Tensor& w) const {
      const Tensor target = map.expand(w);
      return mask.defined() ? (r - target).mul_(mask) : r - target;
    }
  };

  /// Passes signals on, and before each sends R's own: what the operation saw, with the activity of
  /// the feedback population as credit.
  struct LearningR : PassingSink {
    LearningR(ProductFeedbackAlignment& rule, Sink& next) : PassingSink(next), rule(rule) {}
    using PassingSink::take;
    void take(const LocalSignal& signal) override {
      if (Path* path = rule.path_at(signal.site->number)) {
        Product& p = rule.product(*path);
        const auto at = p.feedback.find({signal.site->number, signal.site->use});
        if (at != p.feedback.end()) {
          LocalSignal own = signal;
          own.cot = at->second;
          own.stand_in = p.r.get();
          own.shared = nullptr;
          next.take(own);
          p.feedback.erase(at);
        }
      }
      next.take(signal);
    }
    ProductFeedbackAlignment& rule;
  };

  void choose_form() {
    const bool from_w = r_update_ == "from-w";
    if (from_w && (form_ == "product" || form_ == "activity"))
      throw Refusal(
          "product-feedback-alignment",
          "pfa.r-update=from-w keeps R as B^T W plus its decaying first difference, which "
          "is the implicit form",
          "use pfa.form=auto");
    if ((form_ == "implicit" || from_w) && density_ < 1)
      throw Refusal("product-feedback-alignment",
                    "the implicit form has no R that a mask could apply to",
                    "use pfa.density=1, or pfa.form=auto with pfa.r-update=gradient");
    if ((form_ == "implicit" || from_w) && weight_norm_)
      throw Refusal("product-feedback-alignment",
                    "feedback.weight-norm changes weights outside of the optimizer, which the "
                    "implicit form cannot follow",
                    "use pfa.form=product");
    implicit_ = form_ == "implicit" || from_w ||
                (form_ == "auto" && settings_ && steps_linearly(*settings_) && density_ == 1 &&
                 !weight_norm_);
  }

  /// The cheaper way by multiplications; a function of shapes alone, so that a resumed run takes
  /// the same kernels.
  Plan plan(const Path& path, const Product& p, int64_t rows) const {
    const double n = static_cast<double>(path.weight->value.size(0)), P = static_cast<double>(rows);
    const double F = static_cast<double>(path.weight->value.numel()) / n;
    if (implicit_) {
      if (!p.dense || !p.s.defined()) return Plan::Substitute;
      return P * n + (p.q.defined() ? P * F : 0) < n * F ? Plan::Mixed : Plan::Substitute;
    }
    if (form_ == "product") return Plan::Substitute;
    if (form_ == "activity") return Plan::Activity;
    // Entry-wise changes of gradients keep the law only if dR is carried over from the changed dW.
    if (grad_clip_ > 0 || (settings_ && reshapes_gradients(*settings_))) return Plan::Substitute;
    const double units = static_cast<double>(p.map.units());
    const double product = 2 * units * n * F + P * n * F, activity = P * units * (n + 2 * F);
    return activity < product ? Plan::Activity : Plan::Substitute;
  }

  Product& product(const Path& path) {
    return products_[static_cast<size_t>(&path - paths_.data())];
  }

  std::string expand_ = "10", density_gain_ = "reference", form_ = "auto", r_update_ = "gradient";
  AlignmentDecay align_;
  std::optional<OptimizerSettings> settings_;
  bool implicit_ = false, learning_ = false;
  std::vector<Product> products_;  ///< one per path
};

std::vector<std::string> ProductFeedbackAlignment::warnings(const OptimizerSettings& s) const {
  std::vector<std::string> out;
  if (r_update_ == "gradient" && !steps_linearly(s))
    out.push_back(
        "product-feedback-alignment: it aligns only under linear optimizers (sgd, momentum, "
        "nesterov), not under " +
        s.kind + (s.keep_signs ? " with keep-signs" : "") +
        "; use one of them or pfa.r-update=from-w");
  if (form_ == "activity" && reshapes_gradients(s))
    out.push_back(
        "product-feedback-alignment: clip-tensor-norm, clip-value and sign-gradient change R's "
        "own gradient otherwise than W's, which breaks the alignment; use pfa.form=product");
  if (align_.none(s))
    out.push_back(
        "product-feedback-alignment: without weight decay R never aligns; set "
        "pfa.align-decay, pfa.min-decay or weight-decay above 0");
  if (weight_norm_)
    out.push_back(
        "product-feedback-alignment: feedback.weight-norm rescales the forward weights "
        "alone, so the feedback follows them in direction at best");
  double copies = 1;  // R itself, and what the optimizer keeps of it
  if (const Optimizer* optimizer = s.known())
    for (const StateTensor& kept : optimizer->state(s)) copies += kept.is_count ? 0 : 1;
  double bytes = 0;
  for (const Product& p : products_)
    if (p.r) bytes += copies * static_cast<double>(p.r->value.nbytes());
  if (bytes > 2e9)
    out.push_back(text::cat(
        "product-feedback-alignment: R and its optimizer state take ", std::round(bytes / 1e8) / 10,
        " GB; pfa.form=implicit needs none of it, and pfa.expand=ortho a fraction"));
  return out;
}

const RegisterRule registered_product_feedback_alignment{
    {.name = "product-feedback-alignment",
     .aliases = {"pfa"},
     .summary = "credit through a fixed random and a learnt matrix whose product aligns with W",
     .assumes = "an extra population of feedback units, no reciprocal synapses",
     .source = "Li & Benna 2024, arXiv 2405.20594",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<ProductFeedbackAlignment>(); },
     .order = 22}};

}  // namespace

}  // namespace altprop
