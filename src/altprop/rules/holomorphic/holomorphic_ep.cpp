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
#include "altprop/rules/holomorphic/implicit.h"
#include "altprop/rules/holomorphic/instruments.h"
#include "altprop/rules/holomorphic/watch_circle.h"
#include "altprop/rules/real_values.h"
#include "altprop/rules/registry.h"
#include "altprop/rules/relaxation/watch.h"

namespace altprop {

namespace {

class HolomorphicEp : public Rule {
 public:
  void declare(Options& o) override { s_.declare(o); }
  std::vector<Unread> unread() const override { return s_.unread(); }

  void admit(const Graph& net, const Loss& loss) const override {
    require_real_values(net);
    const ConvergentNetwork cut = convergent_network(net, loss, s_.readout, Admitted::Analytic);
    if (!needs_analytic()) return;
    require_analytic(VectorField(cut, nullptr, {}));
    if (!loss.analytic())
      throw Refusal("holomorphic-ep",
                    "the loss " + loss.name() +
                        " has no gradient at complex outputs, where its "
                        "nudges lead",
                    "give it Loss::complex_gradient, or use hep.points=1 or 2, which are real");
  }

  void set_up() override {
    s_.check();
    net_ = std::make_unique<ConvergentNetwork>(
        convergent_network(net(), loss(), s_.readout, Admitted::Analytic));
    const Stream stream = Stream(seed()).at("hep.backward");
    back_.reset();
    if (s_.weights == "separate") {
      back_ = std::make_unique<BackwardWeights>(*net_, stream, false);
      const double angle = s_.angle * M_PI / 180;
      for (const BackwardWeights::Pair& pair : back_->pairs())
        pair.backward->value.mul_(std::sin(angle)).add_(pair.forward->value, std::cos(angle));
    }
    edges_ = feedback_edges(s_.edges, *net_, stream, net().options());
    field_ = std::make_unique<VectorField>(*net_, back_.get(), edges_);
    if (needs_analytic()) require_analytic(*field_);
    require_enough_steps(*field_, s_);
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

  std::vector<FeedbackFact> feedback() const override {
    return back_ ? back_->facts() : std::vector<FeedbackFact>{};
  }

  /// The energy form runs a layer before its first signal and never after it.
  bool allows_in_place() const override {
    return field_ && net_->one_weight_each() && s_.energy_form() && s_.points > 1 &&
           !s_.oscillating && s_.homeostasis == 0 && s_.estimator == "nudged";
  }

  bool needs_loss() const override { return true; }
  bool is_stochastic() const override {
    if (s_.estimator == "implicit") return false;
    return s_.noise > 0 || (s_.homeostasis > 0 && homeostasis_ && !homeostasis_->closed());
  }

  /// The exact gradient at the free equilibrium, however long that takes.
  Tensor reference(const Look& look, const Objective& objective, Sink& sink) override {
    require_bound(look);
    HolomorphicDynamics at_rest = settled_for_good(*field_, look.inputs);
    deliver_implicit(*field_, at_rest, objective, sink);
    return at_rest.output().clone();
  }
  std::string reference_name() const override { return "implicit gradient"; }

  /// What the estimate would be after every nudged step, if the phase ended there.
  std::optional<Settling> watch(const Step& step) override {
    require_bound(step);
    if (s_.oscillating || s_.estimator == "implicit") return std::nullopt;
    const Settled settled = free_phase(step, true);
    const Nudging nudging{step, objective(step), run_->output().clone()};
    const Phase phase = begin_nudged(nudging);
    CircleWatch watch(*field_, step.inputs, nudging.objective, phase.rest, *run_, s_.damping);
    Answers answers;
    int64_t seen = 0;
    const auto look = [&](int64_t t) {
      answers = answers_to(nudging, phase, t);
      watch.take(t, answers.used);
      seen = t;
    };
    const Settled nudged = run_->settle(s_.stop_nudged(), &phase.nudge, [&](int64_t t) {
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
    diagnosis.overflowed(answers.overflowed, step.rows());
    diagnosis.guarded(phase.rest.unsettled, answers.by_two, step.rows());
    out.remarks = diagnosis.take();
    return out;
  }

  Tensor predict(const Look& look) override {
    require_bound(look);
    run_->begin(look.inputs);
    run_->draw_from(look.draws.at("hep.noise").at("predict"), look.row_ids());
    run_->settle(s_.stop(s_.free_steps));
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

 protected:
  bool keeps_last_pass() const override { return true; }

  TracePtr run(const Look& look) override {
    if (s_.estimator == "implicit") {
      auto trace = std::make_unique<AtRest>(settled_for_good(*field_, look.inputs));
      trace->output = trace->dynamics.output().clone();
      return trace;
    }
    auto trace = std::make_unique<Free>();
    if (s_.oscillating) {
      run_->begin(look.inputs);
      run_->stack(0, 1);
      run_->draw_from(look.draws.at("hep.noise").at("oscillation"), look.row_ids());
      trace->output = real_parts(run_->output(), run_->rows()).clone();
    } else {
      trace->settled = free_phase(look, look_closely(look));
      trace->output = run_->output().clone();
    }
    return trace;
  }

  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    if (auto* at_rest = dynamic_cast<AtRest*>(&trace)) {
      deliver_implicit(*field_, at_rest->dynamics, objective, sink);
    } else if (s_.oscillating) {
      oscillate(trace, objective, sink);
    } else {
      contrast(dynamic_cast<Free&>(trace), objective, sink);
    }
    return {};
  }

 private:
  struct Free : Trace {
    Settled settled;
  };
  /// The free equilibrium of the exact gradient.
  struct AtRest : Trace {
    explicit AtRest(HolomorphicDynamics dynamics) : dynamics(std::move(dynamics)) {}
    HolomorphicDynamics dynamics;
  };
  /// What the nudged phases of a batch start from.
  struct Nudging {
    const Look& look;
    Objective objective;
    Tensor output;  ///< at rest
    int64_t rows() const { return look.rows(); }
    /// One row of values per point.
    Tensor targets(size_t points) const {
      return objective.target_rows(output).repeat({static_cast<int64_t>(points), 1});
    }
  };
  /// The free equilibrium and what is about to nudge it.
  struct Phase {
    FreeStates rest;
    Contour contour;
    ComplexNudge nudge;
    std::optional<HolomorphicDynamics> unnudged;  ///< if an odd circle may need its opposite point
  };

  Settled free_phase(const Look& look, bool turn) {
    run_->begin(look.inputs);
    run_->draw_from(look.draws.at("hep.noise").at("free"), look.row_ids());
    return run_->settle(s_.stop(s_.free_steps, turn));
  }

  void contrast(Free& trace, const Objective& objective, Sink& sink) {
    const Look& look = trace.look;
    const Nudging nudging{look, objective, trace.output};
    const Phase phase = begin_nudged(nudging);
    const Settled nudged = run_->settle(s_.stop_nudged(), &phase.nudge);
    const Answers answers = answers_to(nudging, phase, nudged.steps);
    run_->correct_with(nullptr);
    const Circle& used = answers.used;
    const Field& rest = phase.rest.states;

    Field credit;
    if (by_credit() || look_closely(look))
      credit = nudge_credit(*field_, used.contour, used.states, rest);
    count(look, trace.settled, nudged, phase, answers);
    if (look_closely(look)) this->look(nudging, trace.settled, answers, rest, credit);
    const double scale = objective.scale();
    if (by_credit()) {
      at_rest_->pushed(loss(), objective.targets());
      at_rest_->deliver_readout(scale, sink, answers.kept);
      at_rest_->deliver(credit, scale, sink);
    } else {
      const Tensor targets = nudging.targets(used.contour.points().size());
      estimate_->deliver_readout(used.contour, used.states, loss(), targets, scale, sink);
      estimate_->deliver(used.contour, used.states, &rest, look.inputs, scale, sink);
    }
    pull_together(look, rest, sink);
  }

  /// After a free phase: states on all points, ready to be nudged.
  Phase begin_nudged(const Nudging& from) {
    Phase out{judge_free(*field_, *run_, s_.drop_above),
              Contour::half_circle(s_.points, s_.radius, from.output.scalar_type()),
              {loss(), {}, {}, {}},
              {}};
    if (by_credit() || s_.correction) at_rest_->begin(out.rest.states, run_->drive());
    const Contour& contour = out.contour;
    out.nudge.targets = from.targets(contour.points().size());
    contour.nudges(from.rows(), from.output.options(), out.nudge.beta_re, out.nudge.beta_im);
    if (s_.fallback_above > 0 && contour.real() == 1) out.unnudged.emplace(*run_);
    run_->stack(contour.real(), contour.complex());
    run_->draw_from(from.look.draws.at("hep.noise").at("nudged"), from.look.row_ids());
    run_->correct_with(s_.correction ? at_rest_.get() : nullptr);
    return out;
  }

  /// What the nudged states say after so many steps.
  Answers answers_to(const Nudging& from, const Phase& phase, int64_t steps) {
    return judge_nudged(
        *field_, *run_, phase.contour, phase.nudge, phase.rest, s_.fallback_above, [&] {
          HolomorphicDynamics opposite = *phase.unnudged;
          const Contour minus = Contour::half_circle(1, -s_.radius, from.output.scalar_type());
          ComplexNudge nudge{loss(), from.targets(1), {}, {}};
          minus.nudges(from.rows(), from.output.options(), nudge.beta_re, nudge.beta_im);
          opposite.stack(1, 0);
          opposite.draw_from(from.look.draws.at("hep.noise").at("opposite"), from.look.row_ids());
          opposite.correct_with(s_.correction ? at_rest_.get() : nullptr);
          opposite.settle({.steps = steps}, &nudge);
          return opposite.copy();
        });
  }

  void count(const Look& look, const Settled& settled, const Settled& nudged, const Phase& phase,
             const Answers& answers) {
    if (look.learning) {  // probes do not train
      instruments_->count(settled, nudged);
      instruments_->overflowed(answers.overflowed);
      instruments_->guarded(phase.rest.unsettled, answers.by_two);
    }
    diagnosis_->overflowed(answers.overflowed, look.rows());
    diagnosis_->guarded(phase.rest.unsettled, answers.by_two, look.rows());
  }

  bool by_credit() const { return !s_.energy_form() || s_.points == 0; }
  bool needs_analytic() const { return s_.points == 0 || s_.points > 2 || s_.oscillating; }
  bool look_closely(const Look& look) const { return look.learning && look.index % 100 == 0; }

  void pull_together(const Look& look, const Field& rest, Sink& sink) {
    if (s_.homeostasis == 0) return;
    // A mean over these samples; of a part of a batch, that part of the mean over all.
    const double share = static_cast<double>(look.rows()) / static_cast<double>(look.batch());
    homeostasis_->deliver(rest, {look.draws.at("hep.homeostasis"), look.row_ids()}, s_.draws,
                          s_.homeostasis * share, sink);
  }

  void look(const Nudging& from, const Settled& settled, const Answers& answers, const Field& rest,
            const Field& credit) {
    diagnosis_->look_at_free(settled, s_.damping);
    if (s_.points > 0)
      if (const auto apart =
              diagnosis_->look_at_nudged(answers.whole, rest, run_->residuals(), s_.radius))
        instruments_->halved(*apart);
    compare_with_exact({from.look, from.objective, rest, credit});
  }

  void compare_with_exact(const SomeSamples& some) {
    instruments_->compare_with_exact(some, *homeostasis_, s_.draws, *diagnosis_);
  }

  /// States carried around the circle, nudge always on: products at every point of the energy form;
  /// of the vector field the mean state and the mean of states over nudges.
  void oscillate(Trace& trace, const Objective& objective, Sink& sink) {
    const Look& look = trace.look;
    const int64_t batch = look.rows(), turns = s_.periods;
    const double scale = objective.scale();
    const Tensor targets = objective.target_rows(trace.output);
    const Contour circle = Contour::full_circle(s_.points, s_.radius);
    CircleMean mean;
    Tensor output;
    Settled settled;
    for (int64_t turn = 0; turn < turns; ++turn)
      for (ContourPoint point : circle.points()) {
        point.weight /= static_cast<double>(turns);
        const Contour here = Contour::single(point);
        ComplexNudge nudge{loss(), targets, {}, {}};
        here.nudges(batch, trace.output.options(), nudge.beta_re, nudge.beta_im);
        settled = run_->settle(s_.stop(s_.nudged_steps), &nudge);
        reset_overflow(batch);
        const Tensor now = real_parts(run_->output(), run_->rows()) * point.weight;
        output = output.defined() ? output.add_(now) : now;
        if (s_.energy_form()) {
          estimate_->deliver_readout(here, run_->states(), loss(), targets, scale, sink);
          estimate_->deliver(here, run_->states(), nullptr, look.inputs, scale, sink);
          if (!look_closely(look) && s_.homeostasis == 0) continue;
        }
        mean.take(*field_, *run_, here, point.weight);
      }
    trace.output = output;
    if (look.learning) instruments_->count({}, settled);
    if (s_.energy_form() && !look_closely(look)) return;
    const Field rates = rates_of(*net_, mean.membrane, look.inputs);
    if (look_closely(look)) compare_with_exact({look, objective, rates, mean.credit});
    if (s_.energy_form()) return;
    at_rest_->begin(rates, mean.membrane);
    at_rest_->pushed(loss(), objective.targets());
    at_rest_->deliver_readout(scale, sink);
    at_rest_->deliver(mean.credit, scale, sink);
    pull_together(look, rates, sink);
  }

  /// Samples of an oscillation that overflowed start again from zero.
  void reset_overflow(int64_t batch) {
    bool finite = true;
    for (double r : run_->residuals()) finite &= std::isfinite(r);
    if (finite) return;
    const int64_t bad = run_->restart_overflowed();
    instruments_->overflowed(bad);
    diagnosis_->overflowed(bad, batch);
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
     .order = 52,
     .refuses_sequences = true}};

}  // namespace

}  // namespace altprop
