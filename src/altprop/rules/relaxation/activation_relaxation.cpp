// Activation relaxation: the credit of every layer as the fixed point of a leaky linear system that
// runs on the layers' own activity variables. Millidge, Tschantz, Seth, Buckley 2020, arXiv
// 2009.05359 (the rule; learnt backward weights; no derivatives) and arXiv 2010.06219
// (convolutions; the frozen forward pass partly relaxed).
//
//   x_L = dLoss/da_L;   x_l <- x_l + eta ((x_{l+1} . f'_{l+1}) W_{l+1} - x_l), T times
//   dW_l = (x_l . f'_l)^T a_{l-1}
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/activation.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/real_values.h"
#include "altprop/rules/registry.h"
#include "altprop/rules/relaxation/arrival.h"
#include "altprop/rules/relaxation/row_blocks.h"
#include "altprop/rules/relaxation/state_pass.h"
#include "altprop/rules/relaxation/watch.h"

namespace altprop {

namespace {

Order order_of(const std::string& name) {
  return name == "synchronous" ? Order::Synchronous
         : name == "red-black" ? Order::RedBlack
                               : Order::GaussSeidel;
}

class ActivationRelaxation : public FeedbackRule {
 public:
  void declare(Options& o) override {
    o.number("ar.eta", eta_, {.min = 0, .max = 2, .min_excluded = true},
             {"step size of the relaxation; from 2 on it diverges for every network", "1",
              "code of arXiv 2009.05359"});
    o.integer("ar.steps", steps_, {.min = 1},
              {"relaxation steps per batch", "steps", "code of arXiv 2009.05359"});
    o.choice("ar.schedule", schedule_, {"gauss-seidel", "synchronous", "red-black"},
             {"each state with its newest children, as in the authors' training code; all from the "
              "same old field; or odd and even distances from the loss in turn"});
    o.number("ar.tolerance", tolerance_, {.min = 0},
             {"stop when every state's residual is below this part of its norm; 0: never before "
              "ar.steps",
              "1"});
    o.choice("ar.init", init_state_, {"zero", "activation"},
             {"where hidden states start; activation is the authors' choice, whose remainder "
              "contaminates the credit"});
    o.choice("ar.feedback", feedback_, {"transpose", "learned", "fixed"},
             {"backward weights: the forward weights; own ones that take the same steps; own "
              "random ones"});
    o.flag("ar.derivative-in-relaxation", derivative_in_relaxation_,
           {"credit meets the activations' derivatives on its way"});
    o.flag("ar.derivative-in-plasticity", derivative_in_plasticity_,
           {"weight updates contain the derivative of the activation; biases always do"});
    o.choice("ar.plasticity-pre", plasticity_pre_, {"frozen", "current"},
             {"presynaptic activity in weight updates: of the forward pass, or the relaxed states",
              "", "arXiv 2010.06219"});
    o.choice("ar.derivative-x", derivative_x_, {"frozen", "current", "child"},
             {"where the relaxation takes derivatives: at the forward pass, at what the relaxing "
              "states would cause, or at the receiving states themselves",
              "", "arXiv 2010.06219"});
    o.choice("ar.derivative-w", derivative_w_, {"frozen", "current", "child"},
             {"where weight updates take derivatives", "", "arXiv 2010.06219"});
    o.choice("ar.granularity", granularity_, {"block", "op"},
             {"a relaxing state per block of operations, or per operation"});
    o.choice("ar.engine", engine_, {"auto", "loop", "fast-forward"},
             {"iterate, or compute the exact result of all steps at once where the relaxation is "
              "linear"});
    FeedbackRule::declare(o);
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    if (feedback_ == "transpose")
      for (const char* option : {"feedback.init", "feedback.scale", "feedback.density",
                                 "feedback.seed", "feedback.exact-last", "feedback.skip"})
        out.push_back({option, "ar.feedback=transpose"});
    // An activation and a weight are then never in one edge.
    unless(granularity_ == "block", out, "ar.derivative-w", "ar.granularity=op");
    unless(linear(), out, "ar.engine",
           derivative_x_ != "frozen"   ? "ar.derivative-x=" + derivative_x_
           : schedule_ == "red-black"  ? "ar.schedule=red-black"
           : tolerance_ > 0            ? "ar.tolerance above 0"
                                       : "feedback.grad-clip above 0");
    return out;
  }

  void admit(const Graph& net, const Loss& loss) const override {
    if (feedback_ == "transpose") {
      require_parameters(net);
    } else {
      FeedbackRule::admit(net, loss);
    }
    require_real_values(net, !frozen());
    if (net.has_composites()) (void)net.flattened();  // refuses parts whose values come and go
    const Sites sites(net);
    if (!takes_all_derivatives_at_the_forward_pass())
      for (const SiteInfo& site : sites.all())
        if (site.is_leaf() && site.op()->traits().holds_state)
          throw Refusal("node '" + site.name + "'",
                        "its activations are part of '" + site.op()->type() +
                            "', so that their derivatives cannot be left out or taken elsewhere",
                        "use a network of plain activations, or leave the ar.derivative options "
                        "alone");
    if (frozen()) return;
    for (const SiteInfo& site : sites.all())
      if (site.is_leaf() && !site.op()->traits().substitutable)
        throw Refusal("node '" + site.name + "'",
                      "what happens inside is hidden, so its activity cannot be replaced in parts",
                      "leave ar.plasticity-pre, ar.derivative-x and ar.derivative-w at frozen");
  }

  void set_up() override {
    if (engine_ == "fast-forward" && !linear())
      throw Refusal("activation-relaxation",
                    "ar.engine=fast-forward needs a linear relaxation of a known number of steps",
                    "use ar.engine=loop, or ar.derivative-x=frozen, ar.tolerance=0, "
                    "feedback.grad-clip=0 and a schedule other than red-black");
    FeedbackRule::set_up();
    pass_ = std::make_unique<StatePass>(net(), granularity_ == "op" ? Cut::EveryNode : Cut::Blocks);
    blocks_ = std::make_unique<RowBlocks>(*pass_);
    relaxation_ = std::make_unique<LinearRelaxation>(pass_->graph());
    learnt_.clear();
    leaves_.clear();
    const Sites sites(net());
    for (int leaf : sites.leaves()) leaves_.emplace_back(sites[leaf].op(), leaf);
    if (feedback_ == "learned")
      for (Path& path : paths_) {
        auto psi = std::make_shared<Param>(path.weight->name + ".feedback", path.m);
        psi->twin = path.weight.get();
        psi->group = path.weight->group;
        psi->decay = path.weight->decay;
        learnt_.push_back(psi);
      }
    if (derivative_x_ == "child" || derivative_w_ == "child") refuse_hidden_activations();
  }

  std::vector<ParamPtr> owned() override { return learnt_; }
  bool allows_in_place() const override {
    return derivative_in_plasticity_ && !looks_at_gradients();
  }

  std::optional<Settling> watch(const Step& step) override {
    require_bound(step);
    freeze(pass_->forward(step), objective(step));
    Field u = relaxation_->start(pass_->values(), init_state_ == "zero");
    Moves moves{*this};
    Settling out = altprop::watch(*relaxation_, pass_->graph(), u, order_of(schedule_), eta_,
                                  {.steps = steps_, .tolerance = tolerance_}, false,
                                  derivative_x_ == "frozen" ? nullptr : &moves);
    pass_->release();
    return out;
  }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override;

 protected:
  std::vector<int> substituted(const Sites& sites) const override {
    return feedback_ == "transpose" ? std::vector<int>{} : FeedbackRule::substituted(sites);
  }
  bool keeps_substitutes() const override { return feedback_ == "fixed"; }
  bool keeps_last_pass() const override { return true; }

  TracePtr run(const Look& look) override { return trace_of(pass_->forward(look)); }

  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    freeze(trace.output, objective);
    const Field credit = relax(trace.look);
    Credits to_inputs;
    within_bounds(sink,
                  [&](Sink& to) { to_inputs = deliver(credit, objective.scale(), wanted, to); });
    pass_->release();
    return to_inputs;
  }

 private:
  /// The activity of the forward pass stays as it is throughout.
  bool frozen() const {
    return plasticity_pre_ == "frozen" && derivative_x_ == "frozen" && derivative_w_ == "frozen";
  }
  bool takes_all_derivatives_at_the_forward_pass() const {
    return derivative_in_relaxation_ && derivative_in_plasticity_ && derivative_x_ == "frozen" &&
           derivative_w_ == "frozen";
  }
  /// The result of the relaxation is known in closed form.
  bool linear() const {
    return derivative_x_ == "frozen" && tolerance_ == 0 && grad_clip_ == 0 &&
           schedule_ != "red-black";
  }

  struct Moves : LinearRelaxation::Moving {
    ActivationRelaxation& rule;
    explicit Moves(ActivationRelaxation& rule) : rule(rule) {}
    Activity* through(int edge, const Field& u) override {
      return rule.mixed(edge, u, rule.derivative_x_, false);
    }
  };

  /// Everything that stays as it is while states relax.
  void freeze(const Tensor& output, const Objective& objective) {
    for (size_t i = 0; i < learnt_.size(); ++i) paths_[i].m = learnt_[i]->value;
    relaxing_.derivatives = derivative_in_relaxation_;
    relaxing_.clamp = grad_clip_ * objective.samples();
    relaxing_.substitutes.clear();
    for (const auto& [op, site] : leaves_)
      if (const Tensor& t = substitute_at(site); t.defined()) relaxing_.substitutes[op] = t;
    relaxation_->freeze(pass_->activity(), relaxing_, objective.gradient(output));
  }

  Field relax(const Look& look) {
    const Order order = order_of(schedule_);
    const bool zero = init_state_ == "zero";
    const bool jump =
        engine_ == "fast-forward" || (engine_ == "auto" && linear() &&
                                      (relaxation_->levelled() || relaxation_->depth() < steps_ ||
                                       relaxation_->arrives(order, eta_, steps_)));
    if (jump) {
      const Field initial = zero ? Field() : relaxation_->start(pass_->values(), false);
      return relaxation_->fast_forward(zero ? nullptr : &initial, order, eta_, steps_);
    }
    Field u = relaxation_->start(pass_->values(), zero);
    if (derivative_x_ == "frozen" && tolerance_ == 0 && blocks_->number(look) > 1) {
      iterate_by_rows(*blocks_, look, *relaxation_, relaxing_, u, order, eta_, steps_);
      return u;
    }
    Moves moves{*this};
    relaxation_->iterate(u, order, eta_, {.steps = steps_, .tolerance = tolerance_}, nullptr,
                         derivative_x_ == "frozen" ? nullptr : &moves);
    return u;
  }

  /// The activity of an edge of which parts are those of the relaxing states; null: the forward
  /// pass's.
  /// @param slope where derivatives are taken: "frozen", "current", "child"
  /// @param pre   presynaptic activities are those of the relaxing states
  Activity* mixed(int edge, const Field& u, const std::string& slope, bool pre) {
    if (slope == "frozen" && !pre) return nullptr;
    const StateGraph::Edge& e = pass_->graph().edges[static_cast<size_t>(edge)];
    const Activity& frozen = pass_->activity()[static_cast<size_t>(edge)];
    Activity& out = pass_->replay(edge, u);
    for (const Node& node : e.map.nodes()) {
      if (!node.op) continue;
      Saved& saved = out.saved[static_cast<size_t>(node.id)];
      const bool activation = node.op->traits().activation;
      if (activation && slope == "child" && relaxation_->hidden(e.to)) {
        const Tensor& child = u[static_cast<size_t>(e.to)];
        node.op->forward(std::span<const Tensor>(&child, 1), saved, {Mode::Replay});
      } else if (!(activation ? slope == "current" : pre)) {
        saved = frozen.saved[static_cast<size_t>(node.id)];
      }
    }
    return &out;
  }

  /// Passes on the part of each signal that is for the operation's weight, or for everything else.
  struct Part : PassingSink {
    bool weights;
    Part(Sink& next, bool weights) : PassingSink(next), weights(weights) {}
    using PassingSink::take;
    void take(const LocalSignal& signal) override {
      LocalSignal part = signal;
      part.only.clear();
      for (const ParamPtr& param : signal.op->params())
        if ((param == signal.op->weight()) == weights && signal.teaches(*param))
          part.only.push_back(param.get());
      if (!part.only.empty()) next.take(part);
    }
  };

  Credits deliver(const Field& credit, double scale, Wanted wanted, Sink& sink) {
    const bool pre = plasticity_pre_ == "current";
    const auto where = [&](int edge) { return mixed(edge, credit, derivative_w_, pre); };
    HopFeedback inside;
    inside.substitutes = relaxing_.substitutes;
    if (derivative_in_plasticity_) return pass_->deliver(credit, scale, inside, sink, wanted, where);
    Part biases(sink, false), weights(sink, true);
    Credits to_inputs = pass_->deliver(credit, scale, inside, biases, wanted, where);
    inside.derivatives = false;
    pass_->deliver(credit, scale, inside, weights, {}, where);
    return to_inputs;
  }

  void refuse_hidden_activations() const {
    for (const StateGraph::Edge& edge : pass_->graph().edges)
      for (const Node& node : edge.map.nodes())
        if (node.op && node.op->traits().activation &&
            node.spec != pass_->graph().states[static_cast<size_t>(edge.to)].spec)
          throw Refusal("node '" + node.name + "'",
                        "its output is not the shape of a state, so that a state cannot take its "
                        "place in the derivative",
                        "use ar.granularity=op, or current in place of child");
  }

  double eta_ = 0.1, tolerance_ = 0;
  int64_t steps_ = 100;
  std::string schedule_ = "gauss-seidel", init_state_ = "zero", feedback_ = "transpose",
              plasticity_pre_ = "frozen", derivative_x_ = "frozen", derivative_w_ = "frozen",
              granularity_ = "block", engine_ = "auto";
  bool derivative_in_relaxation_ = true, derivative_in_plasticity_ = true;
  std::unique_ptr<StatePass> pass_;
  std::unique_ptr<RowBlocks> blocks_;
  std::unique_ptr<LinearRelaxation> relaxation_;
  HopFeedback relaxing_;
  std::vector<ParamPtr> learnt_;                   ///< one per path
  std::vector<std::pair<const Op*, int>> leaves_;  ///< operations with their sites
};

std::vector<std::string> ActivationRelaxation::warnings(const OptimizerSettings& settings) const {
  std::vector<std::string> out;
  if (relaxation_ && schedule_ != "red-black") {
    const std::string short_of =
        arrival_warning("activation-relaxation", "ar.steps", pass_->graph(), *relaxation_,
                        {eta_, steps_, schedule_ == "gauss-seidel"});
    if (!short_of.empty()) out.push_back(short_of);
  }
  if (feedback_ == "learned" && settings.weight_decay == 0)
    out.push_back(
        "activation-relaxation: without weight decay the learnt backward weights keep their first "
        "difference from the forward weights; set weight-decay above 0");
  if (plasticity_pre_ == "current")
    out.push_back(
        "activation-relaxation: ar.plasticity-pre=current puts credit in the place of presynaptic "
        "activity, which breaks learning; it is offered to show that");
  return out;
}

const RegisterRule registered_activation_relaxation{
    {.name = "activation-relaxation",
     .aliases = {"ar"},
     .summary = "credit as the fixed point of a leaky linear system over the layers' states",
     .assumes = "states that hold credit after a frozen forward pass",
     .source = "Millidge, Tschantz, Seth, Buckley 2020, arXiv 2009.05359",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<ActivationRelaxation>(); },
     .order = 40}};

}  // namespace

}  // namespace altprop
