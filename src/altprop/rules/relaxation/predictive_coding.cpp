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
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/rules/relaxation/arrival.h"
#include "altprop/rules/relaxation/linear_relaxation.h"
#include "altprop/rules/relaxation/value_relaxation.h"

namespace altprop {

namespace {

class PredictiveCoding : public Rule {
 public:
  void declare(Options& o) override {
    o.choice("pc.mode", mode_, {"fixed", "exact", "strict", "zil", "ipc", "epc"},
             {"what is frozen while values relax"});
    o.number("pc.eta", eta_, {.min = 0, .max = 2, .min_excluded = true},
             {"step size of the relaxation; mode zil takes unit steps", "1",
              "code of arXiv 2006.04182 and arXiv 2106.13082"});
    o.integer("pc.steps", steps_, {.min = 0},
              {"relaxation steps per batch; 0: 100 in mode fixed, 20 in the others", "steps",
               "code of arXiv 2006.04182 and arXiv 2106.13082"});
    o.choice("pc.schedule", schedule_, {"synchronous", "gauss-seidel", "red-black"},
             {"all states from the same old values; each with its newest children; or odd and even "
              "distances from the loss in turn"});
    o.number("pc.momentum", momentum_, {.min = 0, .max = 1},
             {"momentum of the value steps in modes strict and ipc", "1"});
    o.number("pc.tolerance", tolerance_, {.min = 0},
             {"stop when no state is pulled by more than this part of 1 + its norm (mode fixed: of "
              "its norm); 0: never before pc.steps",
              "1"});
    o.number("pc.beta", beta_, {.min = 0, .min_excluded = true},
             {"weight of the loss in the energy (precision of the output); credits are divided by "
              "it",
              "1"});
    o.choice("pc.values", values_, {"post", "pre"},
             {"a value is what a layer's activation returns, or what enters it"});
    o.integer("pc.ipc-warmup", ipc_warmup_, {.min = 0},
              {"mode ipc: value steps before the first weight step", "steps"});
    o.integer("pc.ipc-interval", ipc_interval_, {.min = 1},
              {"mode ipc: value steps per weight step", "steps"});
    o.choice("pc.engine", engine_, {"auto", "loop", "fast-forward"},
             {"mode fixed: iterate, or compute the exact result of all steps at once"});
  }

  void admit(const Graph& net, const Loss&) const override {
    net.output_node();
    if (net.params().empty())
      throw Refusal("network", "it has no parameters", "add a layer that can learn");
  }

  void bind(Graph& net, const Loss& loss, uint64_t) override {
    admit(net, loss);
    pass_ = std::make_unique<StatePass>(net, values_ == "pre" ? Cut::PreActivation : Cut::Blocks);
    const StateGraph& graph = pass_->graph();
    const bool linear = mode_ == "fixed" || mode_ == "exact";
    if (!linear && !graph.edges_from(pass_->output()).empty())
      throw Refusal("node '" + graph.states[static_cast<size_t>(pass_->output())].name + "'",
                    "the output also feeds other layers, so it cannot be a free prediction",
                    "use pc.mode=fixed");
    if (mode_ == "fixed" && engine_ == "fast-forward" && !can_jump())
      throw Refusal("predictive-coding",
                    "pc.engine=fast-forward needs a known number of steps in one order",
                    "use pc.engine=loop, or pc.tolerance=0 and a schedule other than red-black");
    if (mode_ == "zil") require_levels();
    linear_.reset();
    moving_.reset();
    if (linear) {
      linear_ = std::make_unique<LinearRelaxation>(graph);
    } else {
      moving_ = std::make_unique<ValueRelaxation>(*pass_);
    }
  }

  bool allows_in_place() const override { return mode_ != "zil" && mode_ != "ipc"; }

  void assign(Step& step, Sink& sink) override {
    pass_->forward(step);
    const double scale = 1.0 / static_cast<double>(step.batch());
    if (linear_) {
      linear_->freeze(pass_->activity(), exact_, step.loss.gradient(step.output, step.targets));
      pass_->deliver(relax_linearly(), scale, exact_, sink);
    } else {
      moving_->begin(step, beta_);
      if (mode_ == "zil") {
        learn_at_arrival(scale, sink);
      } else {
        settle();
        pass_->deliver(moving_->credits(), scale / beta_, exact_, sink);
      }
    }
    pass_->release();
  }

  void step(Step& step) override {
    if (mode_ != "ipc") return Rule::step(step);
    pass_->forward(step);
    moving_->begin(step, beta_);
    const double scale = 1.0 / static_cast<double>(step.batch()) / beta_;
    for (int64_t t = 0; t <= steps(); ++t) {
      const bool learn = t == steps() || (t >= ipc_warmup_ && t % ipc_interval_ == 0);
      if (learn) {
        moving_->refresh();
        pass_->deliver(moving_->credits(), scale, exact_, *step.updater);
      }
      if (t < steps()) moving_->descend(order(), eta_, momentum_, false);
      if (!learn) continue;
      step.updater->apply();
      step.net.project();
      after_update(step.net, step.updater->facts(), step);
      moving_->forget_predictions();
    }
    pass_->release();
  }

  std::vector<std::string> warnings(const OptimizerSettings&) const override {
    std::vector<std::string> out;
    if (mode_ != "fixed" || !linear_ || schedule_ == "red-black") return out;
    const std::string short_of =
        arrival_warning("predictive-coding", "pc.steps", pass_->graph(), *linear_,
                        {eta_, steps(), schedule_ == "gauss-seidel"});
    if (!short_of.empty()) out.push_back(short_of);
    return out;
  }

 private:
  int64_t steps() const { return steps_ > 0 ? steps_ : mode_ == "fixed" ? 100 : 20; }
  Order order() const {
    return schedule_ == "synchronous"    ? Order::Synchronous
           : schedule_ == "gauss-seidel" ? Order::GaussSeidel
                                         : Order::RedBlack;
  }
  bool can_jump() const { return tolerance_ == 0 && schedule_ != "red-black"; }

  Field relax_linearly() {
    if (mode_ == "exact") return linear_->fixed_point();
    if (engine_ == "fast-forward" || (engine_ == "auto" && can_jump() &&
                                      (linear_->levelled() || linear_->depth() < steps() ||
                                       linear_->arrives(order(), eta_, steps()))))
      return linear_->fast_forward(nullptr, order(), eta_, steps());
    Field u = linear_->start(pass_->values(), true);
    linear_->iterate(u, order(), eta_, {.steps = steps(), .tolerance = tolerance_});
    return u;
  }

  /// Modes strict, ipc (as an instrument sees it: without weight steps in between) and epc.
  void settle() {
    const double before = moving_->energy();
    if (mode_ == "epc") {
      for (int64_t t = 0; t < steps(); ++t) moving_->descend_errors(eta_);
    } else {
      const bool measure = tolerance_ > 0;
      const int depth = farthest();
      for (int64_t t = 0; t < steps(); ++t)
        if (moving_->descend(order(), eta_, momentum_, measure) < tolerance_ && t + 1 >= depth)
          break;  // not before credit has arrived everywhere
      moving_->refresh();
    }
    const double after = moving_->energy();
    if (after <= before * (1 + 1e-6) + 1e-12) return;
    const double curvature = mode_ == "epc" ? 0 : moving_->curvature();
    throw Error(text::cat("predictive-coding: inference diverges, the energy grew from ", before,
                          " to ", after, " in ", steps(), " steps; ",
                          curvature > 0 && std::isfinite(curvature)
                              ? text::cat("its largest curvature is about ", curvature,
                                          ", so use pc.eta below ", 2 / curvature)
                              : std::string("use a smaller pc.eta")));
  }

  void learn_at_arrival(double scale, Sink& sink) {
    const StateGraph& graph = pass_->graph();
    for (int now = 0; now <= farthest(); ++now) {
      Field arrived(graph.states.size());
      for (size_t s = 0; s < arrived.size(); ++s)
        if (moving_->hops()[s] == now) arrived[s] = moving_->credits()[s];
      pass_->deliver(arrived, scale / beta_, exact_, sink);
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

  void require_levels() const {
    const StateGraph& graph = pass_->graph();
    const std::vector<int> longest = graph.hops_to_output(true),
                           shortest = graph.hops_to_output(false);
    for (size_t s = 0; s < graph.states.size(); ++s)
      if (!graph.states[s].input && longest[s] != shortest[s])
        throw Refusal("node '" + graph.states[s].name + "'",
                      text::cat("its paths to the output have ", shortest[s], " and ", longest[s],
                                " hops, so credit arrives twice"),
                      "insert identity layers on the short path, or use pc.mode=fixed");
  }

  std::string mode_ = "fixed", schedule_ = "synchronous", values_ = "post", engine_ = "auto";
  double eta_ = 0.1, momentum_ = 0, tolerance_ = 0, beta_ = 1;
  int64_t steps_ = 0, ipc_warmup_ = 0, ipc_interval_ = 1;
  HopFeedback exact_;
  std::unique_ptr<StatePass> pass_;
  std::unique_ptr<LinearRelaxation> linear_;
  std::unique_ptr<ValueRelaxation> moving_;
};

const RegisterRule registered{
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
