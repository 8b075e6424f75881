// Predictive coding: every layer predicts the next, values relax to lower the prediction errors,
// and every weight lowers its own error. What is frozen meanwhile decides how far this is from
// backpropagation:
//
//   exact   no relaxation: the reverse sweep
//   fixed   predictions and Jacobians frozen at the forward pass: Millidge, Tschantz, Buckley 2020,
//           arXiv 2006.04182
//   strict  everything recomputed from the moving values: Whittington & Bogacz 2017; Rosenbaum
//   2022,
//           arXiv 2106.13082
//   zil     strict with unit steps, each layer's weights learning when credit first arrives: Song
//   et
//           al. 2020; Salvatori et al. 2021
//   ipc     strict, weights stepping at every inference step: Salvatori et al. 2022, arXiv
//   2212.00720 epc     the equilibrium of strict by relaxing errors instead of values: Goemaere et
//   al. 2025,
//           arXiv 2505.20137
//
// Energy and signs are those of value_relaxation.h; credits are divided by beta, so that beta -> 0
// is backprop.
#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/notices.h"
#include "altprop/rules/real_values.h"
#include "altprop/rules/registry.h"
#include "altprop/rules/relaxation/arrival.h"
#include "altprop/rules/relaxation/energy_watch.h"
#include "altprop/rules/relaxation/integrators.h"
#include "altprop/rules/relaxation/linear_relaxation.h"
#include "altprop/rules/relaxation/predictive_coding_options.h"
#include "altprop/rules/relaxation/row_blocks.h"
#include "altprop/rules/relaxation/value_relaxation.h"
#include "altprop/rules/relaxation/watch.h"

namespace altprop {

namespace {

class PredictiveCoding : public Rule {
 public:
  void declare(Options& options) override { o_.declare(options); }

  void admit(const Graph& net, const Loss&) const override {
    require_parameters(net);
    require_real_values(net);
    if (net.has_composites()) (void)net.flattened();  // refuses parts whose values come and go
  }

  void set_up() override {
    const bool linear = o_.linear();
    o_.refuse_what_has_no_effect(loss());
    pass_ = std::make_unique<StatePass>(
        net(), o_.values == "pre" ? Cut::PreActivation : Cut::Blocks, o_.level);
    const StateGraph& graph = pass_->graph();
    terms_ = {
        .beta = o_.beta, .clamps_output = o_.output == "clamp", .precision = o_.precisions(graph)};
    if (!linear && !graph.edges_from(pass_->output()).empty())
      throw Refusal("node '" + graph.states[static_cast<size_t>(pass_->output())].name + "'",
                    "the output also feeds other layers, so it cannot be a free prediction",
                    "use pc.mode=fixed");
    if (o_.mode == "fixed" && o_.engine == "fast-forward" && !can_jump())
      throw Refusal("predictive-coding",
                    "pc.engine=fast-forward needs a known number of equal steps in one order",
                    "use pc.engine=loop, or pc.tolerance=0, one precision for all states and a "
                    "schedule other than red-black");
    if (linear)
      for (double p : terms_.precision)
        if (o_.eta * p >= 2)
          throw Refusal("predictive-coding",
                        text::cat("pc.eta times a precision is ", o_.eta * p,
                                  ", and from 2 on the relaxation diverges for every network"),
                        text::cat("use pc.eta below ", 2 / p));
    if (o_.mode == "zil") PredictiveCodingOptions::require_levels(graph);
    blocks_ = std::make_unique<RowBlocks>(*pass_);
    linear_.reset();
    moving_.reset();
    if (linear) {
      linear_ = std::make_unique<LinearRelaxation>(graph);
      if (o_.uneven()) linear_->set_rates(terms_.precision);
    } else {
      moving_ = std::make_unique<ValueRelaxation>(*pass_);
    }
  }

  bool allows_in_place() const override {
    return o_.mode != "zil" && o_.mode != "ipc" && o_.betas().size() == 1;
  }

  bool needs_loss() const override { return !o_.linear(); }
  bool has_input_credit() const override { return o_.mode != "zil" && o_.mode != "ipc"; }

  bool steps_itself() const override { return o_.mode == "ipc"; }
  void step(Step& step) override {
    if (o_.mode != "ipc") return Rule::step(step);
    const Objective here = objective(step);
    step.output = pass_->forward(step);
    terms_.beta = o_.betas()[0];
    moving_->begin(step.output, here, terms_);
    const double scale = here.scale() / terms_.beta;
    for (int64_t t = 0; t <= o_.number_of_steps(); ++t) {
      const bool learn =
          t == o_.number_of_steps() || (t >= o_.ipc_warmup && t % o_.ipc_interval == 0);
      if (learn) {
        moving_->refresh();
        pass_->deliver(moving_->credits(), scale, exact_, step.updater());
      }
      if (t < o_.number_of_steps()) one_step(*moving_, o_.eta, false);
      if (!learn) continue;
      update(step);
      moving_->forget_predictions();
    }
    pass_->release();
  }

  std::optional<Settling> watch(const Step& step) override {
    if (o_.mode == "exact" || o_.mode == "zil") return std::nullopt;
    const Objective here = objective(step);
    const Tensor output = pass_->forward(step);
    std::optional<Settling> out;
    if (linear_) {
      linear_->freeze(pass_->activity(), exact_, here.gradient(output));
      Field u = linear_->start(pass_->values(), true);
      out = altprop::watch(*linear_, pass_->graph(), u, o_.order(), o_.rate(),
                           {.steps = o_.number_of_steps(), .tolerance = o_.tolerance}, true);
    } else {
      out = watch_values(output, here, step.rows());
    }
    pass_->release();
    return out;
  }

  std::vector<Unread> unread() const override { return o_.unread(); }

  std::vector<std::string> warnings(const OptimizerSettings&) const override {
    std::vector<std::string> out;
    if (o_.mode != "fixed" || !linear_ || o_.schedule == "red-black") return out;
    const std::string short_of =
        arrival_warning("predictive-coding", "pc.steps", pass_->graph(), *linear_,
                        {o_.rate(), o_.number_of_steps(), o_.schedule == "gauss-seidel"});
    if (!short_of.empty()) out.push_back(short_of);
    return out;
  }

  std::vector<std::string> notices() override { return notices_.take(); }

 protected:
  bool keeps_last_pass() const override { return true; }

  TracePtr run(const Look& look) override { return trace_of(pass_->forward(look)); }

  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    const double scale = objective.scale();
    Credits to_inputs;
    if (linear_) {
      linear_->freeze(pass_->activity(), exact_, objective.gradient(trace.output));
      to_inputs = pass_->deliver(relax_linearly(trace.look), scale, exact_, sink, wanted);
    } else {
      for (double beta : o_.betas()) {
        terms_.beta = beta;
        moving_->begin(trace.output, objective, terms_);
        if (o_.mode == "zil") {
          learn_at_arrival(scale, sink);
          continue;
        }
        if (looks_at_steps(trace.look)) look_at_steps(trace, objective);
        settle(trace, objective);
        const double n = static_cast<double>(o_.betas().size());
        const Credits found =
            pass_->deliver(moving_->credits(), scale / n / beta, exact_, sink, wanted);
        to_inputs.resize(found.size());
        for (size_t i = 0; i < found.size(); ++i)
          if (found[i].defined())
            to_inputs[i] = to_inputs[i].defined() ? to_inputs[i] + found[i] / (n * beta)
                                                  : found[i] / (n * beta);
      }
    }
    pass_->release();
    return to_inputs;
  }

 private:
  bool can_jump() const { return o_.tolerance == 0 && o_.schedule != "red-black" && !o_.uneven(); }
  bool euler_at_once() const {
    return o_.integrator == "euler" && o_.order() == Order::Synchronous;
  }
  /// One step on the values, in modes strict and ipc.
  double one_step(ValueRelaxation& moving, double eta, bool measure) {
    if (o_.integrator != "heun") return moving.descend(o_.order(), eta, o_.momentum, measure);
    heun_step(moving, eta);
    return measure ? moving.largest_force() : 0;
  }
  /// One step of inference, whatever its variables are.
  void infer(double eta) {
    if (o_.mode == "epc") return moving_->descend_errors(eta);
    one_step(*moving_, eta, false);
  }

  void descend_in_blocks(const Look& look, const Objective& objective) {
    std::vector<Field> parts(static_cast<size_t>(blocks_->number(look)));
    blocks_->run(look, [&](const RowBlock& block, StatePass& pass, const Tensor& output) {
      ValueRelaxation part(pass);
      part.begin(output, objective.rows(block.first, block.count), terms_);
      if (o_.number_of_steps() >= kManySteps) part.prepare_for_many_steps();
      for (int64_t t = 0; t < o_.number_of_steps(); ++t) one_step(part, o_.eta, false);
      parts[static_cast<size_t>(block.index)] = part.values();
    });
    Field values(parts[0].size());
    for (size_t s = 0; s < values.size(); ++s) {
      if (!moving_->hidden(static_cast<int>(s))) continue;
      std::vector<Tensor> rows;
      for (const Field& part : parts) rows.push_back(part[s]);
      values[s] = at::cat(rows);
    }
    moving_->set_values(std::move(values));
  }

  Field relax_linearly(const Look& look) {
    if (o_.mode == "exact") return linear_->fixed_point();
    if (o_.engine == "fast-forward" ||
        (o_.engine == "auto" && can_jump() &&
         (linear_->levelled() || linear_->depth() < o_.number_of_steps() ||
          linear_->arrives(o_.order(), o_.rate(), o_.number_of_steps()))))
      return linear_->fast_forward(nullptr, o_.order(), o_.rate(), o_.number_of_steps());
    Field u = linear_->start(pass_->values(), true);
    if (o_.tolerance == 0 && blocks_->number(look) > 1)
      iterate_by_rows(*blocks_, look, *linear_, exact_, u, o_.order(), o_.rate(),
                      o_.number_of_steps());
    else
      linear_->iterate(u, o_.order(), o_.rate(),
                       {.steps = o_.number_of_steps(), .tolerance = o_.tolerance});
    return u;
  }

  /// Modes strict, ipc (as an instrument sees it: without weight steps in between) and epc.
  void settle(const Trace& trace, const Objective& objective) {
    const double before = moving_->energy();
    if (o_.mode == "epc") {
      moving_->repeat(o_.number_of_steps(), [&] { moving_->descend_errors(o_.eta); });
    } else if (o_.integrator == "adaptive") {
      say_if_short(integrate(*moving_, {.time = o_.time,
                                        .first_step = o_.eta,
                                        .tolerance = o_.step_error,
                                        .at_rest = o_.tolerance,
                                        .most_steps = o_.most_steps}));
    } else if (euler_at_once() && o_.momentum == 0 && o_.tolerance == 0 &&
               o_.number_of_steps() >= kManySteps &&
               moving_->descend_chain(o_.number_of_steps(), o_.eta)) {
      moving_->refresh();
    } else if (o_.tolerance == 0 && blocks_->number(trace.look) > 1) {
      descend_in_blocks(trace.look, objective);
      moving_->refresh();
    } else {
      const bool measure = o_.tolerance > 0;
      if (o_.number_of_steps() >= kManySteps) moving_->prepare_for_many_steps();
      const int depth = farthest();
      if (!measure)
        moving_->repeat(o_.number_of_steps(), [&] { one_step(*moving_, o_.eta, false); });
      for (int64_t t = 0; measure && t < o_.number_of_steps(); ++t)
        if (one_step(*moving_, o_.eta, true) < o_.tolerance && t + 1 >= depth)
          break;  // not before credit has arrived everywhere
      moving_->refresh();
    }
    const double after = moving_->energy();
    if (!rises(*moving_, before, after)) return;
    // A flow that is followed with a tolerance ends beside the minimum by as much.
    if (o_.integrator == "adaptive" &&
        after <= before + 4 * moving_->energy_of_error(o_.step_error))
      return;
    diverge(trace, objective, before, after);
  }

  void say_if_short(const Integrated& done) {
    if (done.whole) return;
    notices_.say("short", text::cat("the adaptive integrator stopped at time ", figure(done.time),
                                    " of ", text::from_number(o_.time), ", after ", done.steps,
                                    " steps and ", done.rejected,
                                    " that were rejected; raise pc.step-error or "
                                    "pc.most-steps, or lower pc.time"));
  }

  [[noreturn]] void diverge(const Trace& trace, const Objective& objective, double before,
                            double after) {
    const std::string fault =
        not_finite_in(trace.look.inputs, Kind::Real,
                      objective.has_loss() ? objective.targets() : Tensor());
    if (!fault.empty()) throw Diverged("predictive-coding: " + fault);
    if (!std::isfinite(before))
      throw Diverged(
          "predictive-coding: the energy is not finite before inference begins, so the weights "
          "have grown too large; use a smaller learning rate");
    std::string out = text::cat("predictive-coding: inference diverges, the energy grew from ",
                                before, " to ", after, " in ", o_.number_of_steps(), " steps");
    if (descends()) {
      moving_->begin(trace.output, objective, terms_);
      if (const auto rise = first_rise(*moving_, o_.number_of_steps(), [this] { infer(o_.eta); }))
        out += text::cat(", rising first at step ", rise->step);
    }
    throw Diverged(out + "; " + stable_step(trace.output, objective));
  }

  /// Every step is one of plain descent, which must not raise the energy.
  bool descends() const { return o_.integrator != "adaptive" && o_.momentum == 0; }

  double largest_curvature() {
    return o_.mode == "epc" ? moving_->error_curvature() : moving_->curvature();
  }

  /// What to do about a divergence.
  std::string stable_step(const Tensor& output, const Objective& objective) {
    if (!descends()) return "use a smaller pc.eta";
    const double eta = settling_step(
        *moving_, o_.number_of_steps(), o_.eta, [&] { moving_->begin(output, objective, terms_); },
        [this](double step) { infer(step); }, [this] { return largest_curvature(); });
    if (eta == 0) return "no pc.eta lets it settle; use smaller weights or a smaller pc.beta";
    return text::cat("with pc.eta=", rounded_down(eta),
                     " this batch settles; leave a margin, since learning changes the curvature");
  }

  bool looks_at_steps(const Look& look) const {
    return look.learning && look.index % 100 == 0 && descends();
  }
  /// Inference that ends lower than it began may still have risen on the way. Leaves the values
  /// where inference begins.
  void look_at_steps(const Trace& trace, const Objective& objective) {
    if (const auto rise = first_rise(*moving_, o_.number_of_steps(), [this] { infer(o_.eta); }))
      notices_.say("rise", rise->text());
    moving_->begin(trace.output, objective, terms_);
  }

  Settling watch_values(const Tensor& output, const Objective& objective, int64_t rows) {
    const StateGraph& graph = pass_->graph();
    LinearRelaxation backprop(graph);
    backprop.freeze(pass_->activity(), exact_, objective.gradient(output).mul(o_.betas()[0]));
    Field credit = backprop.fixed_point();
    for (size_t s = 0; s < credit.size(); ++s)
      credit[s] = moving_->hidden(static_cast<int>(s)) && credit[s].defined() ? credit[s].clone()
                                                                              : Tensor();
    const std::vector<int64_t> hops(moving_->hops().begin(), moving_->hops().end());
    SettlingRecorder recorder(graph, hops, std::move(credit), "credit of backprop");
    terms_.beta = o_.betas()[0];
    moving_->begin(output, objective, terms_);
    const auto rise = first_rise(
        *moving_, o_.number_of_steps(), [this] { infer(o_.eta); },
        [&](int64_t t) {
          if (worth_a_look(t, o_.number_of_steps()))
            recorder.take(t, moving_->credits(), moving_->forces(), moving_->values(), true);
        });
    Settling out = recorder.finish(moving_->energy() / static_cast<double>(rows));
    if (rise && descends()) out.remarks.push_back(rise->text());
    if (o_.mode == "epc" || euler_at_once()) out.stable_below = 2 / largest_curvature();
    return out;
  }

  void learn_at_arrival(double scale, Sink& sink) {
    const StateGraph& graph = pass_->graph();
    for (int now = 0; now <= farthest(); ++now) {
      Field arrived(graph.states.size());
      for (size_t s = 0; s < arrived.size(); ++s)
        if (moving_->hops()[s] == now) arrived[s] = moving_->credits()[s];
      pass_->deliver(arrived, scale / terms_.beta, exact_, sink);
      if (now == farthest()) break;
      moving_->descend(Order::Synchronous, 1, 0, false);
      moving_->refresh();
    }
  }

  /// Hops from the loss to the farthest state that is no input.
  int farthest() const {
    int most = 0;
    const StateGraph& graph = pass_->graph();
    for (size_t s = 0; s < graph.states.size(); ++s)
      if (!graph.states[s].input) most = std::max(most, moving_->hops()[s]);
    return most;
  }

  PredictiveCodingOptions o_;
  Notices notices_{"predictive-coding"};
  EnergyTerms terms_;
  HopFeedback exact_;
  std::unique_ptr<StatePass> pass_;
  std::unique_ptr<RowBlocks> blocks_;
  std::unique_ptr<LinearRelaxation> linear_;
  std::unique_ptr<ValueRelaxation> moving_;
};

const RegisterRule registered_predictive_coding{
    {.name = "predictive-coding",
     .aliases = {"pc"},
     .summary = "values relax to lower prediction errors, weights lower their own error",
     .assumes = "a value and an error unit per neuron, reciprocal weights",
     .source = "Millidge, Tschantz, Buckley 2020, arXiv 2006.04182",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<PredictiveCoding>(); },
     .order = 41}};

}  // namespace

}  // namespace altprop
