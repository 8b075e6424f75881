// CorInfoMax: a network that maximises the correlative information between successive layers while
// its output is nudged to the label. B. Bozkurt, C. Pehlevan, A. Erdogan, "Correlative information
// maximization: a biologically plausible approach to supervised deep neural networks without weight
// symmetry", NeurIPS 2023, arXiv 2306.04810; settings and quirks after the authors' code.
//
// The rates settle twice (dynamics.h): free, and with the outputs pulled by beta. With the errors
// e_ff = s_above - s W_ff^T and e_fb = s - s_above W_fb^T, m the nudged and f the free phase:
//
//   W_ff += (lr/beta) (<e_ff s^T>_m - <e_ff s^T>_f)      W_fb += (lr/beta) (<e_fb s_above^T>_m -
//   ..)
//
// As signals: operation, rates of both phases as rows, credit -e/beta and +e/beta. The lateral
// matrices (lateral.h) are a state of the rule with an update of their own.
#include "altprop/rules/corinfomax/corinfomax.h"

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/text.h"
#include "altprop/network/init.h"
#include "altprop/rules/corinfomax/tied_network.h"
#include "altprop/rules/real_values.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/linear.h"

namespace altprop {

void CorInfoMax::declare(Options& o) {
  const std::string code = "code of arXiv 2306.04810";
  o.number("cim.lambda", lateral_settings_.lambda,
           {.min = 0, .max = 0.999999999, .min_excluded = true},
           {"memory of the correlation matrices per batch", "1", code});
  o.number("cim.gamma", lateral_settings_.gamma, {.min = -1},
           {"strength of the lateral drive; negative: (1 - lambda)/lambda", "1"});
  o.number("cim.epsilon", dynamics_settings_.epsilon, {.min = 0, .min_excluded = true},
           {"regularisation of the correlations, which divides the prediction errors", "1", code});
  o.number("cim.leak", dynamics_settings_.leak, {.min = 0}, {"leak of the membranes", "1", code});
  o.number("cim.eta", dynamics_settings_.eta, {.min = 0, .min_excluded = true},
           {"step size of the membranes", "1", code});
  o.choice("cim.step-rule", dynamics_settings_.step_rule, {"constant", "slow", "loop"},
           {"step size over the iterations of a phase: eta; eta/(1 + it/100); or eta/(1 + it), the "
            "last two never below 0.001",
            "", code});
  o.choice(
      "cim.order", dynamics_settings_.order, {"gauss-seidel", "synchronous", "red-black"},
      {"layers one after the other, all from the same old rates, or odd and even ones in turn"});
  o.integer("cim.free-steps", free_steps_, {.min = 1},
            {"iterations of the free phase and of inference", "steps", code});
  o.integer("cim.nudged-steps", nudged_steps_, {.min = 1},
            {"iterations of each nudged phase", "steps", code});
  o.number("cim.beta", beta_, {.min = 0, .min_excluded = true},
           {"strength of the nudge", "1", code});
  o.choice("cim.sign", sign_, {"random", "positive", "negative"},
           {"sign of the nudge, drawn for every batch or fixed", "", code});
  o.choice("cim.phases", phases_, {"two", "three"},
           {"contrast of nudged and free phase, or of two opposite nudges", "", code});
  o.choice("cim.third-from", third_from_, {"free", "nudged"},
           {"where the opposite nudge starts: at the free state, then both nudges are rows of one "
            "relaxation; or at the nudged state, as in the authors' code"});
  o.choice("cim.hebbian-error", hebbian_error_, {"error", "activity"},
           {"what the updates contrast: prediction errors, or postsynaptic rates as in equilibrium "
            "propagation"});
  o.choice("cim.feedback", feedback_, {"learned", "transpose"},
           {"backward weights: own ones that learn, or the forward weights transposed"});
  o.choice("cim.feedback-init", feedback_init_, {"xavier", "transpose"},
           {"where learnt backward weights start: random, or at the forward weights transposed"});
  o.choice(
      "cim.lateral", lateral_kind_, {"paper", "exact", "off"},
      {"update of the lateral matrices: without the denominator of the matrix inverse, with it "
       "(Woodbury), or no lateral drive"});
  o.number("cim.lateral-tolerance", lateral_tolerance_, {.min = 0},
           {"leave the lateral drive of a layer out while its bound, 2 gamma |B|_F, is below this; "
            "0: never",
            "1"});
  o.integer("cim.symmetrise-every", lateral_settings_.symmetrise_every, {.min = 0},
            {"make the lateral matrices exactly symmetric again after so many updates, or after "
             "1/(1 - lambda) if that is less; 0: never",
             "steps", "", "what rounding has done to symmetric matrices"});
  o.number("cim.multiplier-hidden", dynamics_settings_.multiplier_hidden, {.min = 0},
           {"step size of the multipliers of sparse hidden layers", "1", code});
  o.number("cim.multiplier-output", dynamics_settings_.multiplier_output, {.min = 0},
           {"step size of the multiplier of a sparse output", "1", code});
  o.choice("cim.reference", reference_, {"tied", "backprop"},
           {"what gradient instruments compare with: the exact gradient of the network with tied "
            "weights, times epsilon; or backprop through the feed-forward network",
            "", "", "what instruments compare with"});
}

std::vector<Unread> CorInfoMax::unread() const {
  std::vector<Unread> out;
  for (const char* option :
       {"cim.lambda", "cim.gamma", "cim.lateral-tolerance", "cim.symmetrise-every"})
    unless(lateral_kind_ != "off", out, option, "cim.lateral=off");
  unless(phases_ == "three", out, "cim.third-from", "cim.phases=two");
  unless(!nudges_both_ways(), out, "cim.sign", "two opposite nudges of the free state");
  unless(feedback_ == "learned", out, "cim.feedback-init", "cim.feedback=transpose");
  bool hidden = false;  // layers with multipliers of their own
  for (size_t l = 0; l + 1 < layers_.size(); ++l) hidden |= layers_[l].domain == RateDomain::Sparse;
  unless(hidden, out, "cim.multiplier-hidden", "hidden layers that are not sparse");
  unless(!layers_.empty() && layers_.back().domain == RateDomain::Sparse, out,
         "cim.multiplier-output", "an output that is not sparse");
  return out;
}

void CorInfoMax::admit(const Graph& net, const Loss& loss) const {
  require_real_values(net);
  dense_chain(net.flattened());
  if (!loss.squared())
    throw Refusal("loss",
                  "CorInfoMax nudges its outputs by their distance to the target, which is the "
                  "squared error's gradient, and not that of " +
                      loss.name(),
                  "use --loss squared-error");
}

void CorInfoMax::set_up() {
  flat_ = net().flattened(&sites_);
  layers_ = dense_chain(flat_);
  lateral_settings_.exact = lateral_kind_ == "exact";
  std::vector<int64_t> sizes;
  std::vector<RateDomain> domains;
  offsets_.assign(1, 0);
  for (const DenseLayer& layer : layers_) {
    sizes.push_back(layer.size());
    domains.push_back(layer.domain);
    offsets_.push_back(offsets_.back() + layer.size());
  }
  const Stream stream = Stream(seed()).at("corinfomax");
  backward_.clear();
  backward_maps_.clear();
  if (learns_feedback())
    for (const DenseLayer& layer : layers_) {
      const ParamPtr weight = layer.affine->weight();
      if (backward_.empty()) {
        backward_.push_back(nullptr);
        backward_maps_.push_back(nullptr);
        continue;
      }
      const Tensor& w = weight->value;
      const Tensor value =
          feedback_init_ == "transpose"
              ? w.t().contiguous()
              : Initialiser("xavier").draw({w.size(1), w.size(0)},
                                           stream.at("feedback").at(layer.node->name), w.options());
      backward_.push_back(std::make_shared<Param>(weight->name + ".feedback", value));
      backward_.back()->group = weight->group;
      backward_maps_.push_back(std::make_unique<Linear>(backward_.back(), nullptr));
    }
  lateral_ = has_lateral() ? Lateral(sizes, lateral_settings_, stream.at("lateral"),
                                     layers_[0].weight().options())
                           : Lateral();
  dynamics_ = Dynamics(sizes, domains, dynamics_settings_);
  most_.assign(layers_.size(), Tensor());
  load();
}

void CorInfoMax::load() {
  DynamicsWeights w;
  w.gamma = lateral_settings_.strength();
  for (size_t k = 0; k < layers_.size(); ++k) {
    w.forward.push_back(layers_[k].weight());
    w.backward.push_back(k == 0              ? Tensor()
                         : learns_feedback() ? backward_[k]->value
                                             : layers_[k].weight().t());
    w.lateral.push_back(leaves_out(k) ? Tensor() : lateral_.matrices()[k]);
  }
  dynamics_.load(w);
}

double CorInfoMax::signed_beta(const Look& look) const {
  if (sign_ != "random") return sign_ == "positive" ? beta_ : -beta_;
  return look.draws.at("corinfomax").at("sign").uniform_at(0) < 0.5 ? beta_ : -beta_;
}

void CorInfoMax::require_targets(const Tensor& rows) const {
  const bool boxed = layers_.back().domain == RateDomain::AntiSparse;
  const double low = rows.min().item<double>(), high = rows.max().item<double>();
  if (low >= 0 && (high <= 1 || !boxed)) return;
  throw UsageError(text::cat("corinfomax: targets from ", low, " to ", high,
                             " lie outside of the domain of the output's rates, ",
                             boxed ? "[0, 1]" : "at least 0", "; scale the targets into it"));
}

void CorInfoMax::pull(RateState& state, const Tensor& targets, double beta, int64_t copies) {
  const int64_t rows = targets.size(0);
  OutputPull nudge{at::full({rows * copies, 1}, beta, targets.options()),
                   copies == 1 ? targets : targets.repeat({copies, 1})};
  if (copies == 2) nudge.beta.narrow(0, rows, rows).neg_();
  dynamics_.settle(state, nudged_steps_, &nudge);
}

/// Fills pair_ and nudged_, whose first rows are those of the nudge by `beta`.
void CorInfoMax::contrast(const Tensor& targets, double beta) {
  const bool three = phases_ == "three", stacked = nudges_both_ways();
  dynamics_.copy(free_, nudged_, stacked ? 2 : 1);
  pull(nudged_, targets, beta, stacked ? 2 : 1);
  if (stacked) {
    pair_ = nudged_.rates;
    return;
  }
  if (three) {
    dynamics_.copy(nudged_, opposite_);
    pull(opposite_, targets, -beta, 1);
  }
  pair_ = at::cat({nudged_.rates, three ? opposite_.rates : free_.rates});
}

TracePtr CorInfoMax::run(const Look& look) {
  load();
  dynamics_.start(free_, look.inputs.flatten(1));
  dynamics_.settle(free_, free_steps_, nullptr);
  return trace_of(free_.layer.back().clone());
}

Credits CorInfoMax::emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) {
  const Tensor targets = objective.target_rows(trace.output);
  if (objective.targets().is_floating_point()) require_targets(targets);
  const double beta = signed_beta(trace.look);
  contrast(targets, beta);
  deliver(trace.look, objective.scale(), phases_ == "three" ? 2 * beta : beta, sink);
  return {};
}

void CorInfoMax::send(const Op& op, const Node* node, Tensor seen, Tensor credit, double scale,
                      Sink& sink) const {
  LocalSignal signal{&op, nullptr, nullptr, std::move(credit), scale};
  signal.input = std::move(seen);
  if (!node) return sink.take(signal);
  const Site site{*node, sites_[at(node->id)]};
  signal.site = &site;
  sink.take(signal);
}

void CorInfoMax::deliver(const Look& look, double scale, double divisor, Sink& sink) {
  const int64_t rows = look.rows();
  // The difference of two products, e+ s+ - e- s-, as products of means and differences: the two
  // agree to many digits, which float32 would lose.
  const Tensor learnt = pair_.narrow(0, 0, rows), other = pair_.narrow(0, rows, rows);
  const Tensor both = at::cat({(learnt + other).mul_(0.5), learnt - other});
  auto rates = [&](size_t k) { return both.narrow(1, offsets_[k], layers_[k].size()); };
  // What a weight failed to predict, which is linear in the rates, as credit: the difference meets
  // the mean of the rates, the mean their difference.
  auto credit = [&](const Tensor& post, const Tensor& pre, const Tensor& weight) {
    Tensor e = post.clone(at::MemoryFormat::Contiguous);
    if (hebbian_error_ == "error") gemm_into(e, pre, weight.t(), 1, -1);
    return at::cat({e.narrow(0, rows, rows), e.narrow(0, 0, rows)}).mul_(-1 / divisor);
  };
  // The inputs are the same in both phases, so that the prediction drops out of the contrast.
  send(*layers_[0].affine, layers_[0].node, look.inputs.flatten(1),
       rates(0).narrow(0, rows, rows).div(-divisor), scale, sink);
  for (size_t k = 1; k < layers_.size(); ++k) {
    const Tensor below = rates(k - 1), above = rates(k);
    const Tensor forward = credit(above, below, layers_[k].weight());
    if (learns_feedback()) {
      const Tensor backward = credit(below, above, backward_[k]->value);
      send(*backward_maps_[k], nullptr, above, backward, scale, sink);
    }
    send(*layers_[k].affine, layers_[k].node, below, forward, scale, sink);
  }
}

void CorInfoMax::after_update(const StepFacts&, const Step& step) {
  std::vector<Tensor> rates;
  for (size_t k = 0; k < layers_.size(); ++k) {
    rates.push_back(nudged_.layer[k].narrow(0, 0, step.rows()));
    const Tensor most = free_.layer[k].amax(0);
    most_[k] = most_[k].defined() ? at::maximum(most_[k], most) : most;
  }
  if (!has_lateral()) return;
  try {
    lateral_.update(rates);
  } catch (const Diverged&) {
    if (const std::string fault = not_finite_in(step.inputs, Kind::Real, step.targets);
        !fault.empty())
      throw Diverged("corinfomax: " + fault);
    throw;
  }
}

Tensor CorInfoMax::reference(const Look& look, const Objective& objective, Sink& sink) {
  if (reference_ == "backprop") return Rule::reference(look, objective, sink);
  require_bound(look);
  const Tensor inputs = look.inputs.flatten(1);
  TiedNetwork tied(layers_, dynamics_settings_.epsilon);
  tied.settle(inputs);
  tied.solve(objective.gradient(tied.rates().back()));
  const double scale = objective.scale();
  for (size_t k = 0; k < layers_.size(); ++k) {
    const DenseLayer& layer = layers_[k];
    send(*layer.affine, layer.node, k ? tied.rates()[k - 1] : inputs, tied.adjoint()[k], scale,
         sink);
    if (k) send(*layer.affine, layer.node, tied.adjoint()[k - 1], tied.rates()[k], scale, sink);
  }
  return tied.rates().back();
}

std::vector<FeedbackFact> CorInfoMax::feedback() const {
  std::vector<FeedbackFact> out;
  if (learns_feedback())
    for (size_t k = 1; k < layers_.size(); ++k)
      out.push_back({layers_[k].node->name, backward_[k]->value.t(), layers_[k].weight()});
  return out;
}

namespace {

const RegisterRule registered_corinfomax{
    {.name = "corinfomax",
     .aliases = {"cim"},
     .summary = "forward and backward predictors learn from the contrast of free and nudged rates",
     .assumes = "separate forward, backward and lateral synapses, two phases",
     .source = "Bozkurt, Pehlevan, Erdogan 2023, arXiv 2306.04810",
     .example_net = "mlp:784-100-10:hard-sigmoid:bias=false",
     .make = [] { return std::make_unique<CorInfoMax>(); },
     .order = 45,
     .reaches = 0.88,
     .example_loss = "squared-error",
     .example_settings = "lr = 0.3\ndata-options.normalise = \"unit\"",
     .dense_only = true,
     .refuses_sequences = true}};

}  // namespace

}  // namespace altprop
