// Equilibrium propagation: the network settles freely, settles again with its output pushed weakly
// towards the target, and every weight learns from the difference of the products of the units it
// joins. B. Scellier, Y. Bengio 2017, arXiv 1602.05179; M. Ernoult et al. 2019, arXiv 1905.13633
// (discrete dynamics); A. Laborieux et al. 2021, arXiv 2006.03824 (symmetric estimator, softmax
// readout, separate weights); M. Ernoult et al. 2020, arXiv 2005.04168 (continual updates).
//
//   one-sided    -[g(s_beta) - g(s_*)] / beta             g(s) = dPhi/dtheta, mean over the batch
//   symmetric    -[g(s_beta) - g(s_-beta)] / (2 beta)     both phases as rows of one relaxation
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/larger.h"
#include "altprop/base/text.h"
#include "altprop/rules/equilibrium/diagnosis.h"
#include "altprop/rules/equilibrium/kept_states.h"
#include "altprop/rules/equilibrium/unrolled.h"
#include "altprop/rules/equilibrium/watch_nudged.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// The rows of one phase out of several; what has no more rows is shared by all phases.
Field rows_of(const Field& field, int64_t phase, int64_t rows) {
  Field out = field;
  for (Tensor& t : out)
    if (t.defined() && t.size(0) != rows) t = t.narrow(0, phase * rows, rows);
  return out;
}

class EquilibriumPropagation : public Rule {
 public:
  void declare(Options& o) override {
    o.choice(
        "ep.estimator", estimator_, {"symmetric", "one-sided", "random-sign", "implicit", "bptt"},
        {"nudge by beta and by -beta; by beta alone; by beta with a sign drawn per batch; or, to "
         "compare with, the exact gradient that they estimate, or backpropagation through the last "
         "ep.nudged-steps of the free phase",
         "", "Laborieux et al. 2021, arXiv 2006.03824"});
    o.number("ep.beta", beta_, {.min = -1e6, .max = 1e6},
             {"strength of the nudge, not 0; negative pushes away from the target", "1"});
    o.choice("ep.dynamics", dynamics_, {"alternating", "synchronous", "gradient-flow"},
             {"every second layer in turn, all at once, or all a part of the way (clamped states "
              "only)",
              "", "arXiv 2312.15103, arXiv 1905.13633, arXiv 1602.05179"});
    o.number("ep.epsilon", epsilon_, {.min = 0, .max = 1, .min_excluded = true},
             {"step size of gradient-flow; with 1 it is synchronous", "1", "arXiv 1602.05179"});
    o.integer("ep.free-steps", free_steps_, {.min = 1},
              {"steps of the free phase, and of inference, at most", "steps"});
    o.integer("ep.nudged-steps", nudged_steps_, {.min = 1},
              {"steps of a nudged phase at most", "steps"});
    o.number("ep.tolerance", tolerance_, {.min = 0},
             {"end a phase when no unit of the batch moves by this much in a step; 0: never before "
              "its steps are done",
              "1"});
    o.integer("ep.check-every", check_every_, {.min = 1},
              {"steps between two looks at what ep.tolerance bounds", "steps"});
    o.choice(
        "ep.start", start_, {"zero", "forward", "persistent"},
        {"where the free phase starts: at zero; where one sweep up without feedback leads; or, for "
         "training examples, where it ended the last time, which is kept for each of them",
         "", "arXiv 1602.05179"});
    o.choice("ep.readout", readout_, {"auto", "softmax", "state"},
             {"a linear output under a cross-entropy reads the states and does not settle; state "
              "makes it settle with them",
              "", "arXiv 2006.03824"});
    o.choice(
        "ep.weights", weights_, {"tied", "separate", "same-update"},
        {"the way back uses the forward weights, own weights with updates of their own, or own "
         "weights that take the forward weights' steps",
         "", "arXiv 1808.04873, arXiv 2006.03824"});
    o.flag("ep.continual", continual_,
           {"update after every nudged step instead of once per batch", "", "arXiv 2005.04168"});
  }

  void admit(const Graph& net, const Loss& loss) const override {
    convergent_network(net, loss, readout_);
  }

  void prepare_for(const OptimizerSettings& settings) override { settings_ = settings; }

  void bind(Graph& net, const Loss& loss, uint64_t seed) override {
    if (beta_ == 0) throw UsageError("ep.beta must not be 0; use for example 0.5");
    if (continual_ && weights_ != "tied")
      throw Refusal("equilibrium-propagation", "ep.continual=true is defined for tied weights",
                    "use ep.weights=tied");
    if (continual_ && !nudges())
      throw Refusal("equilibrium-propagation", "ep.continual=true needs a nudged phase",
                    "use ep.estimator=symmetric");
    net_ = std::make_unique<ConvergentNetwork>(convergent_network(net, loss, readout_));
    cross_entropy_ = loss.name() != "squared-error";
    require_enough_steps();
    back_.reset();
    if (weights_ != "tied")
      back_ = std::make_unique<BackwardWeights>(*net_, Stream(seed).at("ep.backward"),
                                                weights_ == "same-update");
    run_ = std::make_unique<ConvergentDynamics>(*net_, back_.get(), timing(), epsilon_);
    contrast_ = std::make_unique<Contrast>(*net_, *run_, back_.get());
    diagnosis_ = std::make_unique<Diagnosis>(*net_);
    kept_.reset();
    if (start_ == "persistent") kept_ = std::make_unique<KeptStates>(*net_);
  }

  std::vector<ParamPtr> owned() override {
    return back_ ? back_->params() : std::vector<ParamPtr>{};
  }

  bool allows_in_place() const override {
    return !continual_ && estimator_ != "bptt" && net_ && net_->one_weight_each();
  }

  std::vector<FeedbackFact> feedback(const Graph&) const override {
    return back_ ? back_->facts() : std::vector<FeedbackFact>{};
  }

  void assign(Step& step, Sink& sink) override {
    if (estimator_ == "implicit") return reference(step, sink);
    if (estimator_ == "bptt") return through_time(step, sink);
    free_phase(step, free_steps_);
    keep(step);
    const Field free = run_->copy();
    const Nudged nudged = begin_nudged(step);
    const Settled settled = run_->settle(stop(nudged_steps_), &nudged.nudge);
    count(step, settled);
    const Field plus = rows_of(run_->states(), 0, step.batch()),
                minus = nudged.phases == 2 ? rows_of(run_->states(), 1, step.batch()) : free;
    const Contrast::Pair pair{plus, minus, nudged.span, 1.0 / static_cast<double>(step.batch())};
    if (look_closely(step))
      diagnosis_->look_at_nudged(free, plus, nudged.phases == 2 ? &minus : nullptr, nudged.beta);
    contrast_->deliver_readout(run_->states(), step.loss, nudged.nudge.targets, sink);
    if (weights_ == "tied") {
      contrast_->deliver(pair, sink);
    } else if (weights_ == "separate") {
      contrast_->deliver_vector_field(pair, free, sink);
    } else {
      contrast_->deliver_same_update(pair, sink);
    }
  }

  void step(Step& step) override {
    if (!continual_) return Rule::step(step);
    free_phase(step, free_steps_);
    keep(step);
    const Nudged nudged = begin_nudged(step);
    const double scale = 1.0 / static_cast<double>(step.batch());
    Field before = run_->copy();
    for (int64_t t = 0; t < nudged_steps_; ++t) {
      run_->step(&nudged.nudge, false);
      const Field after = run_->copy();
      for (int64_t phase = 0; phase < nudged.phases; ++phase) {
        const Field from = rows_of(before, phase, step.batch()),
                    to = rows_of(after, phase, step.batch());
        const double span = phase == 0 ? nudged.span : -nudged.span;
        contrast_->deliver({to, from, span, scale}, *step.updater);
      }
      contrast_->deliver_readout(after, step.loss, nudged.nudge.targets, *step.updater,
                                 1.0 / static_cast<double>(nudged_steps_));
      before = after;
      step.updater->apply();
      step.net.project();
      after_update(step.net, step.updater->facts(), step);
      run_->weights_changed();
    }
  }

  /// The exact gradient at the free equilibrium, however long that takes.
  void reference(Step& step, Sink& sink) override {
    const bool exact = step.inputs.scalar_type() == at::kDouble;
    ConvergentDynamics dynamics(*net_, back_.get(), Timing::Alternating);
    dynamics.begin(step.inputs, &step.draws, {step.ids});
    dynamics.settle({.steps = 3000, .tolerance = exact ? 1e-13 : 1e-6});
    step.output = dynamics.output().clone();
    Contrast direct(*net_, dynamics, back_.get());
    direct.deliver_readout(dynamics.states(), step.loss, step.targets, sink);
    Adjoint adjoint(*net_, back_.get(), dynamics.masks());
    adjoint.begin(dynamics.states(), step.loss, step.targets);
    adjoint.deliver(adjoint.solve(exact ? 1e-13 : 1e-6, 3000),
                    1.0 / static_cast<double>(step.batch()), sink);
  }
  std::string reference_name() const override { return "implicit gradient"; }

  std::optional<Settling> watch(Step& step) override {
    if (continual_ || !nudges()) return std::nullopt;
    free_phase(step, free_steps_);
    const Field free = run_->copy();
    const Nudged nudged = begin_nudged(step);
    return watch_nudged(
        *net_, back_.get(), *run_,
        {free, nudged.nudge, step.targets, nudged.phases, nudged.span, nudged_steps_});
  }

  Tensor predict(Graph&, const Tensor& inputs) override {
    settle_freely(inputs, Tensor(), free_steps_, false, nullptr);
    return run_->output().clone();
  }

  /// Continual updates spread the decay of a batch over their steps.
  double weight_decay(int64_t) const override {
    if (!continual_ || !settings_ || settings_->weight_decay == 0) return -1;
    const double lr = settings_->lr, left = 1 - lr * settings_->weight_decay;
    return (1 - std::pow(left, 1.0 / static_cast<double>(nudged_steps_))) / lr;
  }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override {
    std::vector<std::string> out;
    if (net_ && !net_->readout && !net_->sigma[static_cast<size_t>(net_->output)] &&
        readout_ == "state" && cross_entropy_)
      out.push_back(
          "equilibrium-propagation: a linear output state under a cross-entropy has no bound; "
          "leave ep.readout at auto, or give the output an activation");
    if (weights_ == "same-update" && settings.weight_decay == 0)
      out.push_back(
          "equilibrium-propagation: without weight decay the backward weights keep their first "
          "difference from the forward weights; set weight-decay above 0");
    if (weights_ == "separate")
      out.push_back(
          "equilibrium-propagation: with ep.weights=separate no beta removes the error that the "
          "asymmetry of the weights makes; deep networks hardly learn");
    return out;
  }

  std::vector<std::string> notices() override {
    return diagnosis_ ? diagnosis_->take() : std::vector<std::string>{};
  }
  std::vector<std::pair<std::string, double>> measurements() override {
    if (batches_ == 0) return {};
    const double n = batches_;
    std::vector<std::pair<std::string, double>> out = {{"free_steps", free_sum_ / n},
                                                       {"nudged_steps", nudged_sum_ / n},
                                                       {"free_residual", residual_},
                                                       {"least_interior", interior_}};
    if (kept_) out.emplace_back("kept_megabytes", kept_->bytes() / 1e6);
    batches_ = free_sum_ = nudged_sum_ = residual_ = 0;
    interior_ = 1;
    return out;
  }
  void state(StateIO io) override {
    io.number("batches", batches_);
    io.number("free_sum", free_sum_);
    io.number("nudged_sum", nudged_sum_);
    io.number("residual", residual_);
    io.number("interior", interior_);
    if (kept_) kept_->state(io.scope("kept"));
  }

 private:
  struct Nudged {
    Nudge nudge;
    int64_t phases = 1;
    double beta = 0, span = 0;  ///< of the first phase; between the two states of the contrast
  };

  bool nudges() const { return estimator_ != "implicit" && estimator_ != "bptt"; }
  Timing timing() const {
    return dynamics_ == "alternating"   ? Timing::Alternating
           : dynamics_ == "synchronous" ? Timing::Synchronous
                                        : Timing::GradientFlow;
  }
  StopWhen stop(int64_t steps) const {
    return {.steps = steps, .tolerance = tolerance_, .check_every = check_every_};
  }
  bool look_closely(const Step& step) const { return step.updater && step.index % 100 == 0; }

  void require_enough_steps() const {
    const int depth = net_->depth(),
              least = timing() == Timing::Alternating ? (depth + 1) / 2 : depth;
    require_steps(
        least, {{"ep.nudged-steps", nudged_steps_}, {"ep.free-steps", free_steps_}},
        text::cat("with ", dynamics_, " dynamics it takes ", least, " steps to cross the ", depth,
                  " layers of states, so that the first would learn nothing"));
  }

  void through_time(Step& step, Sink& sink) {
    const int64_t last = std::min(nudged_steps_, free_steps_);
    free_phase(step, free_steps_ - last);
    Unrolled unrolled(*net_, back_.get(), *run_);
    unrolled.take_steps(last);
    keep(step);
    step.output = run_->output().clone();
    contrast_->deliver_readout(run_->states(), step.loss, step.targets, sink);
    unrolled.deliver(step.loss, step.targets, 1.0 / static_cast<double>(step.batch()), sink);
  }

  void keep(const Step& step) {
    if (kept_ && step.updater && step.ids.defined()) kept_->keep(step.ids, run_->states());
  }

  Settled settle_freely(const Tensor& inputs, const Tensor& ids, int64_t steps, bool turn,
                        const Stream* draws) {
    run_->begin(inputs, draws, {ids});
    if (start_ == "forward") run_->sweep_up();
    if (kept_ && ids.defined()) kept_->recall(ids, *run_);
    StopWhen when = stop(steps);
    when.turn = turn;
    return run_->settle(when);
  }

  void free_phase(Step& step, int64_t steps) {
    const Settled settled =
        settle_freely(step.inputs, step.ids, steps, look_closely(step), &step.draws);
    step.output = run_->output().clone();
    if (!step.updater) return;
    if (look_closely(step)) {
      diagnosis_->look_at_free(settled, run_->states(), timing());
      interior_ = std::min(interior_, diagnosis_->least_interior());
    }
    ++batches_;
    free_sum_ += static_cast<double>(settled.steps);
    residual_ = larger(residual_, settled.residual);
  }

  void count(const Step& step, const Settled& settled) {
    if (step.updater) nudged_sum_ += static_cast<double>(settled.steps);
  }

  Nudged begin_nudged(const Step& step) {
    const bool both = estimator_ == "symmetric";
    double beta = beta_;
    if (estimator_ == "random-sign" && (step.draws.at("ep.sign").bits(0) & 1)) beta = -beta;
    const int64_t phases = both ? 2 : 1;
    run_->stack(phases);
    const Tensor one = at::full({step.batch(), 1}, beta, step.output.options());
    // Made once here, one-hot rows are not made in every step.
    const Tensor targets = cross_entropy_ ? step.targets : Loss::as_rows(step.targets, step.output);
    std::vector<int64_t> repeats(static_cast<size_t>(targets.dim()), 1);
    repeats[0] = phases;
    return {
        {step.loss, both ? targets.repeat(repeats) : targets, both ? at::cat({one, -one}) : one},
        phases,
        beta,
        both ? 2 * beta : beta};
  }

  std::string estimator_ = "symmetric", dynamics_ = "alternating", start_ = "zero",
              readout_ = "auto", weights_ = "tied";
  double beta_ = 0.5, epsilon_ = 0.5, tolerance_ = 0;
  int64_t free_steps_ = 20, nudged_steps_ = 10, check_every_ = 5;
  bool continual_ = false, cross_entropy_ = false;
  std::optional<OptimizerSettings> settings_;
  std::unique_ptr<ConvergentNetwork> net_;
  std::unique_ptr<BackwardWeights> back_;
  std::unique_ptr<ConvergentDynamics> run_;
  std::unique_ptr<Contrast> contrast_;
  std::unique_ptr<Diagnosis> diagnosis_;
  std::unique_ptr<KeptStates> kept_;
  // Of the epoch so far: sums over batches, the largest residual, the smallest interior.
  double batches_ = 0, free_sum_ = 0, nudged_sum_ = 0, residual_ = 0, interior_ = 1;
};

const RegisterRule registered_equilibrium_propagation{
    {.name = "equilibrium-propagation",
     .aliases = {"ep"},
     .summary = "the difference between the network at rest and at rest with its output nudged",
     .assumes = "reciprocal weights, two phases",
     .source = "Scellier, Bengio 2017, arXiv 1602.05179",
     .example_net = "mlp:784-500-10:hard-sigmoid",
     .make = [] { return std::make_unique<EquilibriumPropagation>(); },
     .order = 50}};

}  // namespace

}  // namespace altprop
