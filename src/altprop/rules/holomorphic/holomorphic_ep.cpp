// Holomorphic equilibrium propagation: nudges on a circle in the complex plane, whose answers give
// the derivative by the nudge to the order |beta|^N. A. Laborieux, F. Zenke, "Holomorphic
// equilibrium propagation computes exact gradients through finite size oscillations", NeurIPS 2022,
// arXiv 2209.00530; "Improving equilibrium propagation without weight symmetry through Jacobian
// homeostasis", ICLR 2024, arXiv 2309.02214; equations and quirks after the authors' code.
//
//   r_k at rest under beta_k = |beta| e^(2 pi i k/N):   gradient = -(1/N) sum (1/beta_k)
//   dPhi/dtheta(r_k)
#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/holomorphic/diagnosis.h"
#include "altprop/rules/holomorphic/guards.h"
#include "altprop/rules/holomorphic/homeostasis.h"
#include "altprop/rules/holomorphic/instruments.h"
#include "altprop/rules/holomorphic/watch_circle.h"
#include "altprop/rules/registry.h"
#include "altprop/rules/relaxation/watch.h"

namespace altprop {

namespace {

class HolomorphicEp : public Rule {
 public:
  void declare(Options& o) override { s_.declare(o); }

  void admit(const Graph& net, const Loss& loss) const override {
    const ConvergentNetwork cut = convergent_network(net, loss, s_.readout, Admitted::Analytic);
    if (needs_analytic()) require_analytic(VectorField(cut, nullptr, {}));
  }

  void bind(Graph& net, const Loss& loss, uint64_t seed) override {
    s_.check();
    net_ = std::make_unique<ConvergentNetwork>(
        convergent_network(net, loss, s_.readout, Admitted::Analytic));
    const Stream stream = Stream(seed).at("hep.backward");
    back_.reset();
    if (s_.weights == "separate") {
      back_ = std::make_unique<BackwardWeights>(*net_, stream, false);
      const double angle = s_.angle * M_PI / 180;
      for (const BackwardWeights::Pair& pair : back_->pairs())
        pair.backward->value.mul_(std::sin(angle)).add_(pair.forward->value, std::cos(angle));
    }
    edges_ = feedback_edges(s_.edges, *net_, stream, net.options());
    field_ = std::make_unique<VectorField>(*net_, back_.get(), edges_);
    if (needs_analytic()) require_analytic(*field_);
    require_enough_steps();
    run_ = std::make_unique<HolomorphicDynamics>(
        *field_, HolomorphicOptions{.damping = s_.damping, .noise = s_.noise});
    if (s_.oscillating) run_->keep_membrane();
    at_rest_ = std::make_unique<Linearised>(*field_);
    estimate_ = std::make_unique<EnergyEstimate>(*field_);
    homeostasis_ = std::make_unique<Homeostasis>(*field_);
    diagnosis_ = std::make_unique<HolomorphicDiagnosis>(*field_);
    instruments_ = std::make_unique<HolomorphicInstruments>(*field_);
  }

  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out = back_ ? back_->params() : std::vector<ParamPtr>{};
    for (const FeedbackEdge& edge : edges_) out.push_back(edge.weight);
    return out;
  }

  std::vector<FeedbackFact> feedback(const Graph&) const override {
    return back_ ? back_->facts() : std::vector<FeedbackFact>{};
  }

  /// The energy form runs a layer before its first signal and never after it.
  bool allows_in_place() const override {
    return field_ && net_->one_weight_each() && s_.energy_form() && s_.points > 1 &&
           !s_.oscillating && s_.homeostasis == 0 && s_.estimator == "nudged";
  }

  void assign(Step& step, Sink& sink) override {
    if (s_.estimator == "implicit") return reference(step, sink);
    if (s_.oscillating) return oscillate(step, sink);
    const Settled settled = free_phase(step, look_closely(step));
    const Phase phase = begin_nudged(step);
    const Settled nudged = run_->settle(stop_nudged(), &phase.nudge);
    const Answers answers = answers_to(step, phase, nudged.steps);
    run_->correct_with(nullptr);
    const Circle& used = answers.used;
    const Field& rest = phase.rest.states;

    Field credit;
    if (by_credit() || look_closely(step))
      credit = nudge_credit(*field_, used.contour, used.states, rest);
    count(step, settled, nudged, phase, answers);
    if (look_closely(step)) look(step, settled, answers, rest, credit);
    const double scale = 1.0 / static_cast<double>(step.batch());
    if (by_credit()) {
      at_rest_->pushed(step.loss, step.targets);
      at_rest_->deliver_readout(scale, sink, answers.kept);
      at_rest_->deliver(credit, scale, sink);
    } else {
      const Tensor targets = targets_for(step, used.contour.points().size());
      estimate_->deliver_readout(used.contour, used.states, step.loss, targets, scale, sink);
      estimate_->deliver(used.contour, used.states, &rest, step.inputs, scale, sink);
    }
    pull_together(step, rest, sink);
  }

  /// The exact gradient at the free equilibrium, however long that takes.
  void reference(Step& step, Sink& sink) override {
    const bool exact = step.inputs.scalar_type() == at::kDouble;
    HolomorphicDynamics dynamics(*field_, {.damping = 0.5});
    dynamics.begin(step.inputs);
    dynamics.settle({.steps = 4000, .tolerance = exact ? 1e-14 : 1e-6});
    step.output = dynamics.output().clone();
    Linearised at_rest(*field_);
    at_rest.begin(dynamics.states(), dynamics.drive());
    const double scale = 1.0 / static_cast<double>(step.batch());
    const Field g = at_rest.pushed(step.loss, step.targets);
    const Linearised::Solved solved = at_rest.solve(g, exact ? 1e-14 : 1e-6, 4000);
    at_rest.deliver_readout(scale, sink);
    at_rest.deliver(solved.lambda, scale, sink);
  }
  std::string reference_name() const override { return "implicit gradient"; }

  /// What the estimate would be after every nudged step, if the phase ended there.
  std::optional<Settling> watch(Step& step) override {
    if (s_.oscillating || s_.estimator == "implicit") return std::nullopt;
    const Settled settled = free_phase(step, true);
    const Phase phase = begin_nudged(step);
    CircleWatch watch(*field_, step, phase.rest, *run_, s_.damping);
    Answers answers;
    int64_t seen = 0;
    const auto look = [&](int64_t t) {
      answers = answers_to(step, phase, t);
      watch.take(t, answers.used);
      seen = t;
    };
    const Settled nudged = run_->settle(stop_nudged(), &phase.nudge, [&](int64_t t) {
      watch.stepped(*run_);
      if (worth_a_look(t, s_.nudged_steps)) look(t);
    });
    if (seen < nudged.steps) look(nudged.steps);
    run_->correct_with(nullptr);
    Settling out = watch.finish();
    HolomorphicDiagnosis diagnosis(*field_);
    diagnosis.look_at_free(settled, s_.damping);
    if (s_.points > 0) {
      const auto apart =
          diagnosis.look_at_nudged(answers.whole, phase.rest.states, run_->residuals(), s_.radius);
      if (apart) out.figures.emplace_back("half_the_points_apart", *apart);
    }
    diagnosis.overflowed(answers.overflowed, step.batch());
    diagnosis.guarded(phase.rest.unsettled, answers.by_two, step.batch());
    out.remarks = diagnosis.take();
    return out;
  }

  Tensor predict(Graph&, const Tensor& inputs) override {
    run_->begin(inputs);
    // Without a step's stream: the same noise for every batch.
    run_->draw_from(Stream(1).at("hep.noise").at("predict"));
    run_->settle(stop(s_.free_steps));
    return run_->output().clone();
  }

  std::vector<std::string> warnings(const OptimizerSettings&) const override {
    std::vector<std::string> out;
    if (field_ && field_->directed() && s_.homeostasis == 0 && !s_.correction)
      out.push_back(
          "holomorphic-ep: the feedback is not symmetric, which biases every credit at any nudge; "
          "use hep.homeostasis or hep.correction");
    return out;
  }

  std::vector<std::string> notices() override {
    return diagnosis_ ? diagnosis_->take() : std::vector<std::string>{};
  }
  std::vector<std::pair<std::string, double>> measurements() override {
    return instruments_ ? instruments_->take() : std::vector<std::pair<std::string, double>>{};
  }
  void state(StateIO io) override { instruments_->state(io); }

 private:
  /// The free equilibrium and what is about to nudge it.
  struct Phase {
    FreeStates rest;
    Contour contour;
    ComplexNudge nudge;
    std::optional<HolomorphicDynamics> unnudged;  ///< if an odd circle may need its opposite point
  };

  Settled free_phase(Step& step, bool turn) {
    run_->begin(step.inputs);
    run_->draw_from(step.draws.at("hep.noise").at("free"));
    const Settled out = run_->settle(stop(s_.free_steps, turn));
    step.output = run_->output().clone();
    return out;
  }

  /// After a free phase: states on all points, ready to be nudged.
  Phase begin_nudged(const Step& step) {
    Phase out{judge_free(*field_, *run_, s_.drop_above),
              Contour::half_circle(s_.points, s_.radius, step.output.scalar_type()),
              {step.loss, {}, {}, {}},
              {}};
    if (by_credit() || s_.correction) at_rest_->begin(out.rest.states, run_->drive());
    const Contour& contour = out.contour;
    out.nudge.targets = targets_for(step, contour.points().size());
    contour.nudges(step.batch(), step.output.options(), out.nudge.beta_re, out.nudge.beta_im);
    if (s_.fallback_above > 0 && contour.real() == 1) out.unnudged.emplace(*run_);
    run_->stack(contour.real(), contour.complex());
    run_->draw_from(step.draws.at("hep.noise").at("nudged"));
    run_->correct_with(s_.correction ? at_rest_.get() : nullptr);
    return out;
  }

  /// What the nudged states say after so many steps.
  Answers answers_to(const Step& step, const Phase& phase, int64_t steps) {
    return judge_nudged(
        *field_, *run_, phase.contour, phase.nudge, phase.rest, s_.fallback_above, [&] {
          HolomorphicDynamics opposite = *phase.unnudged;
          const Contour minus = Contour::half_circle(1, -s_.radius, step.output.scalar_type());
          ComplexNudge nudge{step.loss, targets_for(step, 1), {}, {}};
          minus.nudges(step.batch(), step.output.options(), nudge.beta_re, nudge.beta_im);
          opposite.stack(1, 0);
          opposite.draw_from(step.draws.at("hep.noise").at("opposite"));
          opposite.correct_with(s_.correction ? at_rest_.get() : nullptr);
          opposite.settle({.steps = steps}, &nudge);
          return opposite.copy();
        });
  }

  void count(const Step& step, const Settled& settled, const Settled& nudged, const Phase& phase,
             const Answers& answers) {
    if (step.updater) {  // probes do not train
      instruments_->count(settled, nudged);
      instruments_->overflowed(answers.overflowed);
      instruments_->guarded(phase.rest.unsettled, answers.by_two);
    }
    diagnosis_->overflowed(answers.overflowed, step.batch());
    diagnosis_->guarded(phase.rest.unsettled, answers.by_two, step.batch());
  }

  bool by_credit() const { return !s_.energy_form() || s_.points == 0; }
  bool needs_analytic() const { return s_.points == 0 || s_.points > 2 || s_.oscillating; }
  bool look_closely(const Step& step) const { return step.updater && step.index % 100 == 0; }
  StopWhen stop(int64_t steps, bool turn = false) const {
    return {.steps = steps, .tolerance = s_.tolerance, .check_every = s_.check_every, .turn = turn};
  }

  StopWhen stop_nudged() const {
    StopWhen out = stop(s_.nudged_steps);
    if (s_.points == 0) out.tolerance = 0;  // infinitesimal nudges move nothing that could be seen
    return out;
  }

  void require_enough_steps() const {
    const std::vector<int> after = field_->nudged_after();
    const int least = *std::max_element(after.begin(), after.end());
    require_steps(least, {{"hep.nudged-steps", s_.nudged_steps}, {"hep.free-steps", s_.free_steps}},
                  text::cat("it takes ", least,
                            " steps for a nudge to reach every layer, so that some would learn "
                            "nothing"));
  }

  /// One row of values per point.
  Tensor targets_for(const Step& step, size_t points) const {
    const Tensor rows = Loss::as_rows(step.targets, step.output);
    return rows.repeat({static_cast<int64_t>(points), 1});
  }

  void pull_together(const Step& step, const Field& rest, Sink& sink) {
    if (s_.homeostasis > 0)
      homeostasis_->deliver(rest, step.draws.at("hep.homeostasis"), s_.draws, s_.homeostasis, sink);
  }

  void look(const Step& step, const Settled& settled, const Answers& answers, const Field& rest,
            const Field& credit) {
    diagnosis_->look_at_free(settled, s_.damping);
    if (s_.points > 0)
      if (const auto apart =
              diagnosis_->look_at_nudged(answers.whole, rest, run_->residuals(), s_.radius))
        instruments_->halved(*apart);
    look_at_credit(step, rest, credit);
  }

  /// Credits against the exact ones, and the feedback's symmetry, on some samples of the batch.
  void look_at_credit(const Step& step, const Field& all, const Field& credits) {
    const int64_t samples = std::min<int64_t>(step.batch(), 32);
    const auto some = [&](Field field) {
      for (Tensor& t : field)
        if (t.defined()) t = t.narrow(0, 0, samples);
      return field;
    };
    const Field rest = some(all);
    HolomorphicDynamics dynamics(*field_, {});
    dynamics.begin(step.inputs.narrow(0, 0, samples));
    dynamics.take(rest);
    Linearised exact(*field_);
    exact.begin(rest, dynamics.drive());
    const Field g = exact.pushed(step.loss, step.targets.narrow(0, 0, samples));
    const Linearised::Solved solved = exact.solve(g, 1e-4, 400);
    if (!(solved.residual < 1e-2)) diagnosis_->unsolved(solved.residual, solved.steps);
    instruments_->compare(some(credits), solved.lambda);
    if (!field_->directed()) return;
    const Stream draws = step.draws.at("hep.symmetry");
    instruments_->symmetry(homeostasis_->loss(rest, draws, s_.draws),
                           homeostasis_->symmetry(rest, draws, s_.draws));
  }

  /// States carried around the circle, nudge always on: products at every point of the energy form;
  /// of the vector field the mean state and the mean of states over nudges.
  void oscillate(Step& step, Sink& sink) {
    const int64_t batch = step.batch(), turns = s_.periods;
    const double scale = 1.0 / static_cast<double>(batch);
    run_->begin(step.inputs);
    run_->stack(0, 1);
    run_->draw_from(step.draws.at("hep.noise").at("oscillation"));
    step.output = real_parts(run_->output(), run_->rows()).clone();
    const Tensor targets = targets_for(step, 1);
    const Contour circle = Contour::full_circle(s_.points, s_.radius);
    Field membrane(run_->states().size()), credit(run_->states().size());
    Tensor output;
    Settled settled;
    for (int64_t turn = 0; turn < turns; ++turn)
      for (ContourPoint point : circle.points()) {
        point.weight /= static_cast<double>(turns);
        const Contour here = Contour::single(point);
        ComplexNudge nudge{step.loss, targets, {}, {}};
        here.nudges(batch, step.output.options(), nudge.beta_re, nudge.beta_im);
        settled = run_->settle(stop(s_.nudged_steps), &nudge);
        reset_overflow(step);
        const Tensor now = real_parts(run_->output(), run_->rows()) * point.weight;
        output = output.defined() ? output.add_(now) : now;
        if (s_.energy_form()) {
          estimate_->deliver_readout(here, run_->states(), step.loss, targets, scale, sink);
          estimate_->deliver(here, run_->states(), nullptr, step.inputs, scale, sink);
          if (!look_closely(step) && s_.homeostasis == 0) continue;
        }
        for (size_t s = 0; s < membrane.size(); ++s) {
          if (!field_->moves(static_cast<int>(s))) continue;
          const Tensor u = real_parts(run_->membrane()[s], run_->rows()) * point.weight,
                       d = here.derivative(run_->states()[s], batch).neg_();
          membrane[s] = membrane[s].defined() ? membrane[s].add_(u) : u;
          credit[s] = credit[s].defined() ? credit[s].add_(d) : d;
        }
      }
    step.output = output;
    if (step.updater) instruments_->count({}, settled);
    if (s_.energy_form() && !look_closely(step)) return;
    const Field mean = rates_of(*net_, membrane, step.inputs);
    if (look_closely(step)) look_at_credit(step, mean, credit);
    if (s_.energy_form()) return;
    at_rest_->begin(mean, membrane);
    at_rest_->pushed(step.loss, step.targets);
    at_rest_->deliver_readout(scale, sink);
    at_rest_->deliver(credit, scale, sink);
    pull_together(step, mean, sink);
  }

  /// Samples of an oscillation that overflowed start again from zero.
  void reset_overflow(const Step& step) {
    bool finite = true;
    for (double r : run_->residuals()) finite &= std::isfinite(r);
    if (finite) return;
    const int64_t bad = run_->restart_overflowed();
    instruments_->overflowed(bad);
    diagnosis_->overflowed(bad, step.batch());
  }

  HolomorphicSettings s_;
  std::unique_ptr<ConvergentNetwork> net_;
  std::unique_ptr<BackwardWeights> back_;
  std::deque<FeedbackEdge> edges_;
  std::unique_ptr<VectorField> field_;
  std::unique_ptr<HolomorphicDynamics> run_;
  std::unique_ptr<Linearised> at_rest_;
  std::unique_ptr<EnergyEstimate> estimate_;
  std::unique_ptr<Homeostasis> homeostasis_;
  std::unique_ptr<HolomorphicDiagnosis> diagnosis_;
  std::unique_ptr<HolomorphicInstruments> instruments_;
};

const RegisterRule registered_holomorphic_ep{
    {.name = "holomorphic-ep",
     .aliases = {"hep"},
     .summary = "equilibrium propagation with nudges on a circle in the complex plane",
     .assumes = "two phases or oscillations; reciprocal weights, or a pull towards them",
     .source = "Laborieux, Zenke 2022, arXiv 2209.00530; 2023, arXiv 2309.02214",
     .example_net = "mlp:784-100-10:dsilu",
     .make = [] { return std::make_unique<HolomorphicEp>(); },
     .order = 52}};

}  // namespace

}  // namespace altprop
