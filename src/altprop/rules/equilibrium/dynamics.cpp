#include "altprop/rules/equilibrium/dynamics.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/larger.h"
#include "altprop/rules/equilibrium/fields.h"

namespace altprop {

namespace {

/// The activation as the fused passes know it; none if they do not. No activation: the identity.
std::optional<Squash> squash_of(const Activation* sigma) {
  if (!sigma) return Squash{};
  return sigma->bounded() ? sigma->bounded()->squash : std::nullopt;
}

/// Slope of the part of a clamp between its borders; 0 for what is no clamp.
double slope_of_clamp(const Activation* sigma) {
  if (!sigma) return 1;
  const std::optional<Squash> squash = squash_of(sigma);
  return squash && squash->kind == Squash::Kind::Clamp ? static_cast<double>(squash->gain) : 0;
}

}  // namespace

ConvergentDynamics::ConvergentDynamics(const ConvergentNetwork& net, const BackwardWeights* back,
                                       Timing timing, double epsilon)
    : net_(net), back_(back), timing_(timing), epsilon_(epsilon), work_(net.graph.edges.size()) {
  const StateGraph& graph = net.graph;
  groups_.resize(timing == Timing::Alternating ? 2 : 1);
  for (size_t s = 0; s < graph.states.size(); ++s) {
    const int state = static_cast<int>(s);
    edge_to_.push_back(graph.edge_to(state));
    edges_from_.push_back(graph.edges_from(state));
    squash_.push_back(squash_of(net.sigma[s].get()));
    if (!net.moves(state)) continue;
    groups_[timing == Timing::Alternating && net.nudged_after[s] % 2 == 0].push_back(state);
    if (timing == Timing::GradientFlow && slope_of_clamp(net.sigma[s].get()) == 0)
      throw Refusal("node '" + net.name(state) + "'",
                    "gradient flow is defined for clamped states, not for " + net.sigma[s]->type(),
                    "use hard-sigmoid, or ep.dynamics=alternating");
  }
  if (groups_.back().empty()) groups_.pop_back();
  int64_t weights = 0;  // that every step reads
  for (size_t e = 0; e < work_.size(); ++e) {
    if (net.from_inputs[e]) continue;
    for (int p : graph.edges[e].from) inputs_mix_ |= graph.states[at(p)].input;
    for (const ParamPtr& param : graph.edges[e].map.params()) weights += param->value.numel();
  }
  by_rows_ = weights <= kMostWeightsByRows;
  for (size_t e = 0; e < work_.size(); ++e) {
    const int linear = net.matrix(static_cast<int>(e));
    if (linear < 0) continue;
    Work& w = work_[e];
    const DenseMap map = *graph.edges[e].map.node(linear).op->dense();
    w.weight = w.back_weight = map.weight;
    w.bias = map.bias;
    if (const Graph* own = back ? back->map(static_cast<int>(e)) : nullptr)
      w.back_weight = own->node(linear).op->weight();
  }
  find_pair();
}

void ConvergentDynamics::begin(const Tensor& inputs, const Stream* draws, const RowIds& ids) {
  const StateGraph& graph = net_.graph;
  rows_ = inputs.size(0);
  inputs_ = inputs;
  s_.resize(graph.states.size());
  spare_.resize(s_.size());
  base_.assign(s_.size(), Tensor());
  const EdgeMasks before = std::move(masks_);
  masks_ = draws ? EdgeMasks(graph, *draws, rows_, ids, inputs.options()) : EdgeMasks();
  masks_here_ = masks_;
  for (size_t e = 0; e < work_.size(); ++e) {
    work_[e].outdate();
    work_[e].up = work_[e].down = PackedMatrix();
    if (before.on(e) || masks_.on(e)) work_[e].activity = work_[e].back_activity = {};
  }
  for (size_t s = 0; s < s_.size(); ++s)
    if (graph.states[s].input) s_[s] = inputs;
  drive_from_inputs();
  for (size_t s = 0; s < s_.size(); ++s) {
    if (!net_.moves(static_cast<int>(s))) continue;
    std::vector<int64_t> shape = graph.states[s].spec.shape;
    shape.insert(shape.begin(), rows_);
    s_[s] = base_[s].defined() ? at::zeros_like(base_[s]) : at::zeros(shape, inputs.options());
  }
}

void ConvergentDynamics::drive_from_inputs() {
  const StateGraph& graph = net_.graph;
  for (size_t e = 0; e < work_.size(); ++e) {
    const size_t to = at(graph.edges[e].to);
    if (!net_.from_inputs[e] || !net_.moves(graph.edges[e].to)) continue;
    const Tensor drive =
        masks_.run(e, graph.edges[e].map, std::span(&inputs_, 1), work_[e].activity);
    work_[e].activity.values.clear();
    base_[to] = repeated(drive, rows_ / inputs_.size(0));
  }
}

void ConvergentDynamics::weights_changed() {
  drive_from_inputs();
  for (Work& w : work_) {
    w.outdate();
    w.up = w.down = PackedMatrix();
  }
}

void ConvergentDynamics::sweep_up() {
  for (size_t s = 0; s < s_.size(); ++s) {
    if (!net_.moves(static_cast<int>(s))) continue;
    Tensor a = base_[s].defined() ? base_[s].clone() : forward(at(edge_to_[s]), Tensor());
    if (net_.sigma[s]) a = net_.sigma[s]->forward(std::span(&a, 1), scratch_, {.overwrite = true});
    commit(s, a);
  }
}

void ConvergentDynamics::stack(int64_t times) {
  rows_ *= times;
  masks_here_ = masks_here_.repeated(times);
  for (size_t s = 0; s < s_.size(); ++s) {
    if (net_.moves(static_cast<int>(s))) {
      s_[s] = times == 1 ? s_[s].clone() : repeated(s_[s], times);
    } else if (inputs_mix_ && s_[s].defined()) {
      s_[s] = repeated(s_[s], times);
    }
    if (base_[s].defined()) base_[s] = repeated(base_[s], times);
  }
  for (Work& w : work_) w.outdate();
}

void ConvergentDynamics::set_states(const Field& states) {
  for (size_t s = 0; s < s_.size(); ++s)
    if (net_.moves(static_cast<int>(s))) commit(s, states[s].clone());
}

Field ConvergentDynamics::copy() const {
  Field out = s_;
  for (size_t s = 0; s < out.size(); ++s)
    if (net_.moves(static_cast<int>(s))) out[s] = out[s].clone();
  return out;
}

std::vector<Tensor> ConvergentDynamics::parents(const StateGraph::Edge& edge) const {
  std::vector<Tensor> out;
  for (int p : edge.from) out.push_back(s_[at(p)]);
  return out;
}

/// Runs an edge at the present states. The result may share memory with a state.
Tensor ConvergentDynamics::run(size_t e) {
  Work& w = work_[e];
  const StateGraph::Edge& edge = net_.graph.edges[e];
  Tensor out = masks_here_.run(e, edge.map, parents(edge), w.activity);
  w.activity.values.clear();
  w.valid = true;
  return out;
}

/// What an edge drives its state with, in memory that the caller may write into: `into` if it fits.
Tensor ConvergentDynamics::forward(size_t e, Tensor into) {
  Work& w = work_[e];
  if (is_matrix(e)) {
    const Tensor x = flat_rows(s_[at(net_.graph.edges[e].from[0])]);
    const Tensor& weight = w.weight->value;
    const bool few = gather_fits(x, weight);
    if (!few && w.up.defined()) {
      if (!into.defined() || into.sizes() != IntArrayRef({x.size(0), weight.size(0)}))
        into = at::empty({x.size(0), weight.size(0)}, x.options());
      w.up.multiply_into(into, x, 0, 1, w.bias ? w.bias->value.expand_as(into) : Tensor());
      return into;
    }
    if (!few && linear_backend() != LinearBackend::Aten)
      return linear_forward(x, weight, w.bias ? w.bias->value : Tensor());
    if (!into.defined() || into.sizes() != IntArrayRef({x.size(0), weight.size(0)}))
      into = at::empty({x.size(0), weight.size(0)}, x.options());
    if (few) {
      gather_into(into, x, weight, w.bias ? w.bias->value : Tensor());
      return into;
    }
    return w.bias ? at::addmm_out(into, w.bias->value, x, weight.t())
                  : at::mm_out(into, x, weight.t());
  }
  if (!w.valid || !w.value.defined()) w.value = run(e);
  Tensor out = std::move(w.value);
  w.value = Tensor();
  return out.storage().use_count() > 1 ? out.clone() : out;
}

void ConvergentDynamics::add_feedback(size_t e, size_t state, const Tensor& cot, Tensor& drive) {
  Work& w = work_[e];
  const StateGraph::Edge& edge = net_.graph.edges[e];
  if (is_matrix(e)) {
    if (drive.is_contiguous()) {
      Tensor view = drive.view({drive.size(0), -1});
      if (w.down.defined()) return w.down.multiply_into(view, cot, 1, 1);
      gemm_into(view, cot, w.back_weight->value, 1, 1);
    } else {
      drive.add_(gemm(cot, w.back_weight->value).view(drive.sizes()));
    }
    return;
  }
  const Graph* own = back_ ? back_->map(static_cast<int>(e)) : nullptr;
  const Graph& map = own ? *own : edge.map;
  Activity& activity = own ? w.back_activity : w.activity;
  bool& valid = own ? w.back_valid : w.valid;
  // Without max pooling the derivative is the same everywhere: any pass of these rows will do.
  if (net_.bends[e] ? !valid : activity.batch != rows_ || activity.saved.empty()) {
    if (own) {
      masks_here_.run(e, map, parents(edge), activity);
      activity.values.clear();
      valid = true;
    } else {
      w.value = run(e);
    }
  }
  Feedback exact;
  std::vector<Tensor> pulled;
  map.sweep(activity, {{map.output_node(), cot}}, exact, nullptr, {.input_credits = &pulled});
  for (size_t i = 0; i < edge.from.size(); ++i)
    if (at(edge.from[i]) == state && pulled[i].defined()) drive.add_(pulled[i]);
}

/// -beta dLoss/doutput.
Tensor ConvergentDynamics::push_of(const Nudge& nudge) {
  return nudge.loss.gradient(output(), nudge.targets).mul_(nudge.beta).neg_();
}

/// drive <- sigma(drive + feedback) in one pass, where the state has at most one source of feedback
/// and that is a few units. An undefined drive stands for the one from inputs.
/// @returns false, with nothing done, where this is not so
bool ConvergentDynamics::spread_at_once(size_t state, const Tensor& pushed, Tensor& drive) {
  const Tensor& base = drive.defined() ? drive : base_[state];
  if (!squash_[state] || (timing_ == Timing::GradientFlow && epsilon_ != 1) || !settle_fits(base))
    return false;
  const Work* source = nullptr;
  const Tensor* cot = nullptr;
  for (int child : edges_from_[state]) {
    const int to = net_.graph.edges[at(child)].to;
    const bool reads = net_.readout && to == net_.output;
    if (reads && !pushed.defined()) continue;
    if (source || !is_matrix(at(child))) return false;
    source = &work_[at(child)];
    cot = reads ? &pushed : &s_[at(to)];
  }
  if (source && !spread_fits(base, *cot, source->back_weight->value)) return false;
  Tensor out = drive;
  if (!out.defined()) {
    const Tensor& spare = spare_[state];
    out = spare.defined() && spare.sizes() == base.sizes() && spare.strides() == base.strides()
              ? spare
              : at::empty_like(base);
  }
  if (source) {
    spread_and_squash(out, base, *cot, source->back_weight->value, *squash_[state]);
  } else {
    if (!drive.defined()) out.copy_(base);
    altprop::squash_(out, *squash_[state]);
  }
  drive = out;
  return true;
}

Tensor ConvergentDynamics::updated(size_t state, const Nudge* nudge, const Tensor& pushed) {
  const bool nudged_here = nudge && !net_.readout && static_cast<int>(state) == net_.output;
  Tensor a;
  if (!base_[state].defined()) a = forward(at(edge_to_[state]), spare_[state]);
  if (nudged_here) {
    if (!a.defined()) a = base_[state].clone();
    a.add_(pushed);
  }
  if (spread_at_once(state, nudge ? pushed : Tensor(), a)) return a;
  if (!a.defined())
    a = spare_[state].defined() && spare_[state].sizes() == base_[state].sizes()
            ? spare_[state].copy_(base_[state])
            : base_[state].clone();
  for (int child : edges_from_[state]) {
    const int to = net_.graph.edges[at(child)].to;
    if (net_.moves(to)) add_feedback(at(child), state, s_[at(to)], a);
    if (nudge && net_.readout && to == net_.output) add_feedback(at(child), state, pushed, a);
  }
  const Activation* sigma = net_.sigma[state].get();
  if (timing_ == Timing::GradientFlow && epsilon_ != 1)
    a.mul_(epsilon_).add_(s_[state], share_of_state(static_cast<int>(state)));
  if (squash_[state] && settle_fits(a)) {
    altprop::squash_(a, *squash_[state]);
    return a;
  }
  return sigma ? sigma->forward(std::span(&a, 1), scratch_, {.overwrite = true}) : a;
}

void ConvergentDynamics::commit(size_t state, Tensor value) {
  spare_[state] = std::move(s_[state]);
  s_[state] = std::move(value);
  for (int e : edges_from_[state]) work_[at(e)].outdate();
}

double ConvergentDynamics::share_of_state(int state) const {
  const double rest = 1 - share_of_drive();
  return rest == 0 ? 0 : rest / slope_of_clamp(net_.sigma[at(state)].get());
}

double ConvergentDynamics::take_turn(size_t turn, const Nudge* nudge, bool measure) {
  const std::vector<int>& group = groups_[turn];
  double largest = 0;
  std::vector<Tensor> values;
  Tensor pushed;  // of the nudged states, which are in one group
  if (nudge &&
      std::any_of(group.begin(), group.end(), [&](int s) { return net_.nudged_after[at(s)] == 1; }))
    pushed = push_of(*nudge);
  for (int s : group) values.push_back(updated(at(s), nudge, pushed));
  for (size_t i = 0; i < group.size(); ++i) {
    const size_t s = at(group[i]);
    if (measure) largest = larger(largest, (values[i] - s_[s]).abs_().max().item<double>());
    commit(s, std::move(values[i]));
  }
  return largest;
}

double ConvergentDynamics::step(const Nudge* nudge, bool measure) {
  double largest = 0;
  for (size_t turn = 0; turn < groups_.size(); ++turn)
    largest = larger(largest, take_turn(turn, nudge, measure));
  return largest;
}

Tensor ConvergentDynamics::output() {
  return net_.readout ? forward(at(edge_to_[at(net_.output)]), Tensor()) : s_[at(net_.output)];
}

}  // namespace altprop
