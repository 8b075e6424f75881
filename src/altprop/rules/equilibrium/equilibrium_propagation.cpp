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
#include "altprop/rules/equilibrium/settings.h"
#include "altprop/rules/equilibrium/unrolled.h"
#include "altprop/rules/equilibrium/watch_nudged.h"
#include "altprop/rules/real_values.h"
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
  void declare(Options& o) override { o_.declare(o); }
  std::vector<Unread> unread() const override { return o_.unread(); }

  void admit(const Graph& net, const Loss& loss) const override {
    require_real_values(net);
    convergent_network(net, loss, o_.readout);
  }

  void prepare_for(const OptimizerSettings& settings) override { settings_ = settings; }

  void set_up() override {
    o_.check();
    net_ = std::make_unique<ConvergentNetwork>(convergent_network(net(), loss(), o_.readout));
    cross_entropy_ = !loss().squared();
    require_enough_steps();
    back_.reset();
    if (o_.weights != "tied")
      back_ = std::make_unique<BackwardWeights>(*net_, Stream(seed()).at("ep.backward"),
                                                o_.weights == "same-update");
    run_ = std::make_unique<ConvergentDynamics>(*net_, back_.get(), o_.timing(), o_.epsilon);
    contrast_ = std::make_unique<Contrast>(*net_, *run_, back_.get());
    diagnosis_ = std::make_unique<Diagnosis>(*net_);
    kept_.reset();
    if (o_.start == "persistent") kept_ = std::make_unique<KeptStates>(*net_);
  }

  std::vector<ParamPtr> owned() override {
    return back_ ? back_->params() : std::vector<ParamPtr>{};
  }

  bool allows_in_place() const override {
    return !o_.continual && o_.estimator != "bptt" && net_ && net_->one_weight_each();
  }

  std::vector<FeedbackFact> feedback() const override {
    return back_ ? back_->facts() : std::vector<FeedbackFact>{};
  }

  bool needs_loss() const override { return true; }
  bool is_stochastic() const override { return o_.estimator == "random-sign"; }

  bool steps_itself() const override { return o_.continual; }
  void step(Step& step) override {
    if (!o_.continual) return Rule::step(step);
    const Objective here = objective(step);
    step.output = free_phase(step, o_.free_steps);
    keep(step);
    const Nudged nudged = begin_nudged(step, here, step.output);
    const double share = 1.0 / static_cast<double>(o_.nudged_steps);
    Field before = run_->copy();
    for (int64_t t = 0; t < o_.nudged_steps; ++t) {
      run_->step(&nudged.nudge, false);
      const Field after = run_->copy();
      for (int64_t phase = 0; phase < nudged.phases; ++phase) {
        const Field from = rows_of(before, phase, step.rows()),
                    to = rows_of(after, phase, step.rows());
        const double span = phase == 0 ? nudged.span : -nudged.span;
        contrast_->deliver({to, from, span, here.scale()}, step.updater());
      }
      contrast_->deliver_readout(after, loss(), nudged.nudge.targets,
                                 share / (here.samples() * static_cast<double>(nudged.phases)),
                                 step.updater());
      before = after;
      update(step);
      run_->weights_changed();
    }
  }

  /// The exact gradient at the free equilibrium, however long that takes.
  Tensor reference(const Look& look, const Objective& objective, Sink& sink) override {
    require_bound(look);
    ConvergentDynamics at_rest = settled_for_good(look);
    deliver_implicit(at_rest, look, objective, sink);
    return at_rest.output().clone();
  }
  std::string reference_name() const override { return "implicit gradient"; }

  std::optional<Settling> watch(const Step& step) override {
    require_bound(step);
    if (o_.continual || !o_.nudges()) return std::nullopt;
    Diagnosis diagnosis(*net_);
    diagnosis.look_at_free(settle_freely(step, o_.free_steps, true, true), run_->states(),
                           o_.timing());
    const Field free = run_->copy();
    const Nudged nudged = begin_nudged(step, objective(step), run_->output().clone());
    Settling out = watch_nudged(
        *net_, back_.get(), *run_,
        {free, nudged.nudge, step.targets, nudged.phases, nudged.span, o_.nudged_steps});
    look_at_nudged(diagnosis, free, nudged, step.rows());
    out.remarks = diagnosis.take();
    return out;
  }

  Tensor predict(const Look& look) override {
    require_bound(look);
    settle_freely(look, o_.free_steps, false, false);
    return run_->output().clone();
  }

  /// Continual updates spread the decay of a batch over their steps.
  double weight_decay(int64_t) const override {
    if (!o_.continual || !settings_ || settings_->weight_decay == 0) return -1;
    const double lr = settings_->lr, left = 1 - lr * settings_->weight_decay;
    return (1 - std::pow(left, 1.0 / static_cast<double>(o_.nudged_steps))) / lr;
  }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override {
    std::vector<std::string> out;
    if (net_ && !net_->readout && !net_->sigma[static_cast<size_t>(net_->output)] &&
        o_.readout == "state" && cross_entropy_)
      out.push_back(
          "equilibrium-propagation: a linear output state under a cross-entropy has no bound; "
          "leave ep.readout at auto, or give the output an activation");
    if (o_.weights == "same-update" && settings.weight_decay == 0)
      out.push_back(
          "equilibrium-propagation: without weight decay the backward weights keep their first "
          "difference from the forward weights; set weight-decay above 0");
    if (o_.weights == "separate")
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

 protected:
  bool keeps_last_pass() const override { return true; }

  TracePtr run(const Look& look) override {
    if (o_.estimator == "implicit") {
      auto trace = std::make_unique<AtRest>(settled_for_good(look));
      trace->output = trace->dynamics.output().clone();
      return trace;
    }
    if (o_.estimator == "bptt") {
      const int64_t last = std::min(o_.nudged_steps, o_.free_steps);
      free_phase(look, o_.free_steps - last);
      auto trace = std::make_unique<LastSteps>(Unrolled(*net_, back_.get(), *run_));
      trace->unrolled.take_steps(last);
      trace->output = run_->output().clone();
      keep(look);
      return trace;
    }
    const Tensor output = free_phase(look, o_.free_steps);
    keep(look);
    return trace_of(output);
  }

  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const Look& look = trace.look;
    const double scale = objective.scale();
    if (auto* at_rest = dynamic_cast<AtRest*>(&trace)) {
      deliver_implicit(at_rest->dynamics, look, objective, sink);
      return {};
    }
    if (auto* last = dynamic_cast<LastSteps*>(&trace)) {
      contrast_->deliver_readout(run_->states(), loss(), objective.targets(), scale, sink);
      last->unrolled.deliver(loss(), objective.targets(), scale, sink);
      return {};
    }
    const Field free = run_->copy();
    const Nudged nudged = begin_nudged(look, objective, trace.output);
    const Settled settled = run_->settle(o_.stop(o_.nudged_steps), &nudged.nudge);
    count(look, settled);
    const Field plus = rows_of(run_->states(), 0, look.rows()),
                minus = nudged.phases == 2 ? rows_of(run_->states(), 1, look.rows()) : free;
    const Contrast::Pair pair{plus, minus, nudged.span, scale};
    if (look_closely(look)) look_at_nudged(*diagnosis_, free, nudged, look.rows());
    contrast_->deliver_readout(run_->states(), loss(), nudged.nudge.targets,
                               scale / static_cast<double>(nudged.phases), sink);
    if (o_.weights == "tied") {
      contrast_->deliver(pair, sink);
    } else if (o_.weights == "separate") {
      contrast_->deliver_vector_field(pair, free, sink);
    } else {
      contrast_->deliver_same_update(pair, sink);
    }
    return {};
  }

 private:
  /// The free equilibrium of the exact gradient.
  struct AtRest : Trace {
    explicit AtRest(ConvergentDynamics dynamics) : dynamics(std::move(dynamics)) {}
    ConvergentDynamics dynamics;
  };
  /// The end of a free phase that can be gone back through.
  struct LastSteps : Trace {
    explicit LastSteps(Unrolled unrolled) : unrolled(std::move(unrolled)) {}
    Unrolled unrolled;
  };
  struct Nudged {
    Nudge nudge;
    int64_t phases = 1;
    double beta = 0, span = 0;  ///< of the first phase; between the two states of the contrast
  };

  bool look_closely(const Look& look) const { return look.learning && look.index % 100 == 0; }
  void look_at_nudged(Diagnosis& diagnosis, const Field& free, const Nudged& nudged,
                      int64_t rows) const {
    const Field plus = rows_of(run_->states(), 0, rows);
    if (nudged.phases == 1) return diagnosis.look_at_nudged(free, plus, nullptr, nudged.beta);
    const Field minus = rows_of(run_->states(), 1, rows);
    diagnosis.look_at_nudged(free, plus, &minus, nudged.beta);
  }

  void require_enough_steps() const {
    const int depth = net_->depth(),
              least = o_.timing() == Timing::Alternating ? (depth + 1) / 2 : depth;
    require_steps(
        least, {{"ep.nudged-steps", o_.nudged_steps}, {"ep.free-steps", o_.free_steps}},
        text::cat("with ", o_.dynamics, " dynamics it takes ", least, " steps to cross the ", depth,
                  " layers of states, so that the first would learn nothing"));
  }

  static double finest(const Look& look) {
    return look.inputs.scalar_type() == at::kDouble ? 1e-13 : 1e-6;
  }

  ConvergentDynamics settled_for_good(const Look& look) const {
    ConvergentDynamics dynamics(*net_, back_.get(), Timing::Alternating);
    dynamics.begin(look.inputs, &look.draws, look.row_ids());
    dynamics.settle({.steps = 3000, .tolerance = finest(look)});
    return dynamics;
  }

  void deliver_implicit(ConvergentDynamics& dynamics, const Look& look, const Objective& objective,
                        Sink& sink) const {
    Contrast direct(*net_, dynamics, back_.get());
    direct.deliver_readout(dynamics.states(), objective.loss(), objective.targets(),
                           objective.scale(), sink);
    Adjoint adjoint(*net_, back_.get(), dynamics.masks());
    adjoint.begin(dynamics.states(), objective.loss(), objective.targets());
    adjoint.deliver(adjoint.solve(finest(look), 3000), objective.scale(), sink);
  }

  void keep(const Look& look) {
    if (kept_ && look.learning && look.has_ids()) kept_->keep(look.ids, run_->states());
  }

  /// @param drops whether masks are drawn, as in training
  Settled settle_freely(const Look& look, int64_t steps, bool drops, bool turn) {
    run_->begin(look.inputs, drops ? &look.draws : nullptr, look.row_ids());
    if (o_.start == "forward") run_->sweep_up();
    if (kept_ && drops && look.has_ids()) kept_->recall(look.ids, *run_);
    StopWhen when = o_.stop(steps);
    when.turn = turn;
    return run_->settle(when);
  }

  /// @returns the output at rest
  Tensor free_phase(const Look& look, int64_t steps) {
    const bool close = look_closely(look);
    const Settled settled = settle_freely(look, steps, true, close);
    if (look.learning) {
      if (close) {
        diagnosis_->look_at_free(settled, run_->states(), o_.timing());
        interior_ = std::min(interior_, diagnosis_->least_interior());
      }
      ++batches_;
      free_sum_ += static_cast<double>(settled.steps);
      residual_ = larger(residual_, settled.residual);
    }
    return run_->output().clone();
  }

  void count(const Look& look, const Settled& settled) {
    if (look.learning) nudged_sum_ += static_cast<double>(settled.steps);
  }

  Nudged begin_nudged(const Look& look, const Objective& objective, const Tensor& output) {
    const bool both = o_.estimator == "symmetric";
    double beta = o_.beta;
    if (o_.estimator == "random-sign" && (look.draws.at("ep.sign").bits(0) & 1)) beta = -beta;
    const int64_t phases = both ? 2 : 1;
    run_->stack(phases);
    const Tensor one = at::full({look.rows(), 1}, beta, output.options());
    // Made once here, one-hot rows are not made in every step.
    const Objective rows =
        cross_entropy_ ? objective : Objective(loss(), objective.target_rows(output), 1);
    return {{loss(), rows.repeated(phases).targets(), both ? at::cat({one, -one}) : one},
            phases,
            beta,
            both ? 2 * beta : beta};
  }

  EquilibriumSettings o_;
  bool cross_entropy_ = false;
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
     .order = 50,
     .refuses_sequences = true}};

}  // namespace

}  // namespace altprop
