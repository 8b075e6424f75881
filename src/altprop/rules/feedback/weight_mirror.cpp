// Weight mirror: feedback weights learnt from the correlation of white noise with the response to
// it. M. Akrout, C. Wilson, P. Humphreys, T. Lillicrap, D. Tweed, "Deep learning without weight
// transport", 2019, arXiv 1904.05391, section 3.
//
// In a mirror phase every operation receives noise x of its own (noise passed on from below would
// no longer be white) and its response y = W x makes  V <- (1 - lambda) V + eta WGrad(x, y), where
// WGrad is the operation's own weight gradient; its mean is proportional to W.
#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// Sum over rows of the weight gradient that credit y would make at this activity.
Tensor weight_gradient(const Op& op, const Saved& saved, const Tensor& y) {
  Gradients found({op.weight()});
  op.accumulate(saved, y, 1, found);
  return found.of_param(*op.weight());
}

/// sum = keep * sum + scale * that, in one pass where the operation can do it.
void add_weight_gradient(Tensor& sum, double keep, double scale, const Op& op, const Saved& saved,
                         const Tensor& y) {
  Gradients into = Gradients::none();
  into.bind(*op.weight(), sum, keep);
  op.accumulate(saved, y, scale, into);
}

/// Euclidean norm, read in the order in which the numbers lie in memory.
double norm_of(const Tensor& t) {
  const bool last = t.dim() == 4 && t.is_contiguous(at::MemoryFormat::ChannelsLast);
  return (last ? t.permute({0, 2, 3, 1}) : t).norm().item<double>();
}

class WeightMirror : public FeedbackRule {
 public:
  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.number("wm.eta", eta_, {.min = 0}, {"mirror step size", "1", "arXiv 1904.05391"});
    o.number(
        "wm.lambda", lambda_, {.min = 0, .max = 1},
        {"decay of the feedback weights per mirror batch; the memory of 1/lambda batches has to be "
         "short against the time in which the forward weights turn",
         "1"});
    o.number("wm.std", std_, {.min = 0, .min_excluded = true},
             {"standard deviation of the noise", "1"});
    o.integer("wm.batches", batches_, {.min = 0}, {"mirror batches after every update", "batches"});
    o.integer(
        "wm.warmup", warmup_, {.min = 0, .max = 10'000},
        {"mirror passes over the data before training, one mirror batch per batch", "epochs"});
    o.integer("wm.samples", samples_, {.min = 0},
              {"noise samples in a mirror batch; 0: as many as the batch has", "samples"});
    o.choice("wm.response", response_, {"linear", "activation"},
             {"response that noise is correlated with: without bias and activation, or with both"});
    o.flag(
        "wm.growth-control", growth_control_,
        {"scale the feedback so that its response to noise has the power of the forward weights'"});
    o.flag("wm.tap-correction", tap_correction_,
           {"divide by the number of positions at which zero padding lets a kernel tap see input"});
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    const bool mirrors = batches_ > 0 || warmup_ > 0;
    for (const char* option :
         {"wm.eta", "wm.lambda", "wm.std", "wm.samples", "wm.response", "wm.growth-control"})
      unless(mirrors, out, option, "wm.batches=0 and wm.warmup=0");
    bool padded = false;
    for (const Path& path : paths_) padded |= path.weight->value.dim() > 2;
    unless(padded && mirrors, out, "wm.tap-correction",
           padded ? "wm.batches=0 and wm.warmup=0" : "a network without convolutions");
    return out;
  }

  void set_up() override {
    FeedbackRule::set_up();
    mirrors_.clear();
    mirrored_ = 0;
    const Sites sites(net());
    for (const Path& path : paths_) {
      Mirror mirror;
      mirror.site = sites[path.sites[0]];  // tied weights: the first place mirrors for all
      if (tap_correction_ && path.weight->value.dim() > 2)
        mirror.taps = tap_weights(mirror.site, path);
      mirrors_.push_back(std::move(mirror));
    }
  }

  void admit(const Graph& net, const Loss& loss) const override {
    FeedbackRule::admit(net, loss);
    const Sites sites(net);
    for (int id : substituted(sites))
      if (!sites[id].op()->traits().affine)
        throw Refusal("node '" + sites[id].name + "'",
                      "the response of a " + sites[id].op()->type() +
                          " to noise does not show its weight, because it is not affine in it",
                      "name it in feedback.skip to give it exact credit");
  }

  std::vector<std::string> passes(int64_t epoch, int64_t) const override {
    std::vector<std::string> out(static_cast<size_t>(epoch == 0 ? warmup_ : 0), "mirror");
    out.push_back("train");
    return out;
  }

  void step(Step& step) override {
    if (step.pass == "mirror") {
      mirror(step);
    } else {
      FeedbackRule::step(step);
    }
  }

  void after_update(const StepFacts& facts, const Step& step) override {
    FeedbackRule::after_update(facts, step);
    for (int64_t i = 0; i < batches_; ++i) mirror(step);
  }

  bool follows_updates() const override {
    return (batches_ > 0 && !paths_.empty()) || FeedbackRule::follows_updates();
  }

  std::vector<std::string> warnings(const OptimizerSettings&) const override {
    std::vector<std::string> out;
    if (lambda_ == 0)
      out.push_back(
          "weight-mirror: with wm.lambda=0 the feedback never forgets the weights of the past, so "
          "it "
          "does not converge to the present ones; set it above 0");
    if (batches_ == 0)
      out.push_back(
          "weight-mirror: with wm.batches=0 the feedback does not follow the weights once "
          "training has begun; set it to 1 or more");
    return out;
  }

  void state(StateIO io) override {
    FeedbackRule::state(io);
    io.integer("wm.mirrored", mirrored_);
    for (size_t i = 0; i < paths_.size(); ++i)
      io.number("wm.gain." + paths_[i].name, mirrors_[i].gain);
  }

  bool allows_in_place() const override { return !looks_at_gradients(); }

 private:
  struct Mirror {
    SiteInfo site;
    /// What growth control has multiplied the running sum by so far. New contributions are
    /// multiplied by it too, so that eta and lambda keep their meaning.
    double gain = 1;
    Tensor taps;  ///< factor on each entry of WGrad; undefined: none
  };

  /// One mirror batch for every operation with feedback; the forward weights stay as they are.
  void mirror(const Step& step) {
    const int64_t n = samples_ > 0 ? samples_ : step.rows();
    const Stream draws = stream("mirror").at(mirrored_++);
    for (size_t i = 0; i < paths_.size(); ++i)
      mirror(paths_[i], mirrors_[i], n, draws.at(paths_[i].name));
  }

  void mirror(Path& path, Mirror& mirror, int64_t n, const Stream& draws) {
    const Graph& net = *mirror.site.graph;
    const Node& node = *mirror.site.node;
    const Op& op = *node.op;
    // A linear response is scaled afterwards, as a number instead of as a batch.
    const bool scaled_later = response_ == "linear";
    const double std = scaled_later ? 1 : std_;
    const Tensor x = noise(rows(n, net.node(node.inputs[0]).spec), std, draws.at("input"), path);
    Saved saved;
    const Tensor full = op.forward({&x, 1}, saved, {Mode::Eval});
    const Tensor linear = without_bias(net, node, full, x.options());
    const Tensor& response = scaled_later ? linear : activated(net, node, full);
    const double step = eta_ * mirror.gain * (scaled_later ? std_ * std_ : 1);
    if (mirror.taps.defined() || path.mask.defined()) {
      Tensor gradient = weight_gradient(op, saved, response);
      if (mirror.taps.defined()) gradient.mul_(mirror.taps);
      if (path.mask.defined()) gradient.mul_(path.mask);
      path.m.mul_(1 - lambda_).add_(gradient, step);
    } else {
      add_weight_gradient(path.m, 1 - lambda_, step, op, saved, response);
    }
    if (!growth_control_) return;
    // The mean power of a linear map's response to white noise is the squared Frobenius norm of the
    // map, whether it is used forwards or backwards: total power, because the standard deviation of
    // single units would make |V| / |W| = sqrt(n_in / n_out).
    const Tensor z = noise(full.sizes(), std, draws.at("output"), path);
    const double backward = norm_of(op.vjp(saved, z, 0, &path.m));
    if (!(backward > 0)) return;
    const double ratio = norm_of(linear) / backward;
    path.m.mul_(ratio);
    mirror.gain *= ratio;
  }

  /// The linear part of an affine operation's response.
  static Tensor without_bias(const Graph& net, const Node& node, const Tensor& response,
                             const at::TensorOptions& options) {
    if (node.op->params().size() == 1) return response;
    if (const auto map = node.op->dense(); map && map->bias) return response - map->bias->value;
    Saved nothing;
    const Tensor zero = at::zeros(rows(1, net.node(node.inputs[0]).spec), options);
    return response - node.op->forward({&zero, 1}, nothing, {Mode::Eval});
  }

  /// The response behind the bias and the activation that follows, if one does.
  static Tensor activated(const Graph& net, const Node& node, const Tensor& response) {
    const std::vector<int>& next = net.consumers()[static_cast<size_t>(node.id)];
    if (next.size() != 1) return response;
    const Op* op = net.node(next[0]).op.get();
    Saved saved;
    return op->traits().activation ? op->forward({&response, 1}, saved, {Mode::Eval}) : response;
  }

  /// Zero padding hides the input from the outer taps of a kernel at some positions. The number of
  /// positions that a tap sees is its weight gradient for inputs and credits of one.
  static Tensor tap_weights(const SiteInfo& site, const Path& path) {
    const Graph& net = *site.graph;
    const Node& node = *site.node;
    Saved saved;
    const Tensor ones =
        at::ones(rows(1, net.node(node.inputs[0]).spec), path.weight->value.options());
    const Tensor response = node.op->forward({&ones, 1}, saved, {Mode::Eval});
    const Tensor count = weight_gradient(*node.op, saved, at::ones_like(response));
    return count.max().div(count.clamp_min(1));
  }

  static std::vector<int64_t> rows(int64_t n, const Spec& spec) {
    std::vector<int64_t> shape{n};
    shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
    return shape;
  }

  /// Images are drawn channels last, the layout that convolutions take.
  static Tensor noise(IntArrayRef shape, double std, const Stream& draws, const Path& path) {
    const at::TensorOptions options = path.weight->value.options();
    Tensor out =
        shape.size() == 4
            ? draws.normal({shape[0], shape[2], shape[3], shape[1]}, options).permute({0, 3, 1, 2})
            : draws.normal(shape, options);
    return std == 1 ? out : out.mul_(std);
  }

  double eta_ = 0.01, lambda_ = 0.1, std_ = 0.1;
  int64_t batches_ = 1, warmup_ = 1, samples_ = 0;
  std::string response_ = "linear";
  bool growth_control_ = true, tap_correction_ = true;
  std::vector<Mirror> mirrors_;  ///< one per path
  int64_t mirrored_ = 0;         ///< mirror batches so far: the key of their noise
};

const RegisterRule registered_weight_mirror{
    {.name = "weight-mirror",
     .aliases = {"wm"},
     .summary = "feedback weights learn to mirror the forward weights from their response to noise",
     .assumes = "phases of independent noise in every layer",
     .source = "Akrout et al. 2019, arXiv 1904.05391",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<WeightMirror>(); },
     .order = 21}};

}  // namespace

}  // namespace altprop
