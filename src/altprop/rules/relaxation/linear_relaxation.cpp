#include "altprop/rules/relaxation/linear_relaxation.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/larger.h"

namespace altprop {

LinearRelaxation::LinearRelaxation(const StateGraph& graph) : graph_(graph), pull_back_(graph) {
  const size_t n = graph.states.size();
  for (size_t s = 0; s < n; ++s)
    if (graph.states[s].output) output_ = static_cast<int>(s);
  output_relaxes_ = !graph.edges_from(output_).empty();
  const std::vector<int> hops = graph.hops_to_output(true);
  levelled_ = graph.levelled();
  source_.resize(n);
  for (size_t s = 0; s < n; ++s) {
    const StateGraph::State& state = graph.states[s];
    hidden_.push_back(!state.input && (!state.output || output_relaxes_));
    hops_.push_back(hops[s] + (output_relaxes_ ? 1 : 0));
    if (hidden_[s]) depth_ = std::max(depth_, hops_[s]);
    odd_.push_back(hidden_[s] && hops_[s] % 2 == 1);
    even_.push_back(hidden_[s] && hops_[s] % 2 == 0);
    edge_to_.push_back(graph.edge_to(static_cast<int>(s)));
  }
  all_ = hidden_;
}

void LinearRelaxation::freeze(std::vector<Activity>& activity, HopFeedback& feedback,
                              const Tensor& output_credit) {
  pull_back_.freeze(activity, feedback);
  output_credit_ = output_credit;
  source_.assign(graph_.states.size(), Tensor());
  if (output_relaxes_) {
    source_[at(output_)] = output_credit;
    return;
  }
  const int edge = edge_to_[at(output_)];
  receivers_.clear();
  bool any = false;
  for (int p : graph_.edges[at(edge)].from) {
    receivers_.push_back({hidden_[at(p)] ? &source_[at(p)] : nullptr, 1});
    any |= hidden_[at(p)];
  }
  if (any) pull_back_.pull(edge, output_credit, 1, receivers_);
}

Field LinearRelaxation::start(const Field& values, bool zero) const {
  Field u(graph_.states.size());
  for (size_t s = 0; s < u.size(); ++s)
    if (hidden_[s]) u[s] = zero ? at::zeros_like(values[s]) : values[s].clone();
  if (!output_relaxes_) u[at(output_)] = output_credit_;
  return u;
}

Field LinearRelaxation::fixed_point() {
  Field g(graph_.states.size());
  for (size_t s = g.size(); s-- > 0;) {
    if (!hidden_[s]) continue;
    if (source_[s].defined()) g[s] = g[s].defined() ? g[s].add_(source_[s]) : source_[s];
    if (!g[s].defined()) continue;
    receivers_.clear();
    bool any = false;
    for (int p : graph_.edges[at(edge_to_[s])].from) {
      receivers_.push_back({hidden_[at(p)] ? &g[at(p)] : nullptr, 1});
      any |= hidden_[at(p)];
    }
    if (any) pull_back_.pull(edge_to_[s], g[s], 1, receivers_);
  }
  if (!output_relaxes_) g[at(output_)] = output_credit_;
  return g;
}

/// N r: a field with nothing (undefined) where no credit comes from.
Field LinearRelaxation::wave(const Field& r) {
  Field next(r.size());
  for (size_t s = r.size(); s-- > 0;) {
    if (!hidden_[s] || !r[s].defined()) continue;
    receivers_.clear();
    bool any = false;
    for (int p : graph_.edges[at(edge_to_[s])].from) {
      receivers_.push_back({hidden_[at(p)] ? &next[at(p)] : nullptr, 1});
      any |= hidden_[at(p)];
    }
    if (any) pull_back_.pull(edge_to_[s], r[s], 1, receivers_);
  }
  return next;
}

Field LinearRelaxation::fast_forward(const Field* initial, Order order, double eta, int64_t steps) {
  if (arrives(order, eta, steps)) return fixed_point();
  const Travel travel{eta, steps, order == Order::GaussSeidel};
  Field u(graph_.states.size());
  auto add = [&](const Field& part, double coefficient) {
    bool any = false;
    for (size_t s = 0; s < u.size(); ++s) {
      if (!hidden_[s] || !part[s].defined()) continue;
      any = true;
      if (u[s].defined()) {
        u[s].add_(part[s], coefficient);
      } else {
        u[s] = part[s] * coefficient;
      }
    }
    return any;
  };
  Field part = source_;
  for (int64_t j = 0; add(part, travel.arrived(j + 1)) && j + 1 < depth_; ++j) part = wave(part);
  if (initial) {
    part = *initial;
    for (int64_t j = 0; add(part, travel.left(j)) && j + 1 < depth_; ++j) part = wave(part);
  }
  if (!output_relaxes_) u[at(output_)] = output_credit_;
  return u;
}

void LinearRelaxation::send(int edge, const Field& u, double eta, const Field* seen,
                            Moving* moving) {
  Activity* through = moving ? moving->through(edge, *seen) : nullptr;
  const Tensor& credit = u[at(graph_.edges[at(edge)].to)];
  if (through) {
    pull_back_.pull_through(edge, *through, credit, eta, receivers_);
  } else {
    pull_back_.pull(edge, credit, eta, receivers_);
  }
}

// A state is multiplied by 1 - eta when its first child's credit is added to it, by the same
// product. Its children come behind it, so from the front to the back every state still sends its
// old value (synchronous), and from the back to the front its new one (Gauss-Seidel).
void LinearRelaxation::sweep(Field& u, Order order, double eta, const std::vector<char>& chosen,
                             Moving* moving) {
  const bool forward = order != Order::GaussSeidel;
  waiting_ = chosen;
  Field old;
  if (moving && forward)
    for (const Tensor& t : u) old.push_back(t.defined() ? t.clone() : t);
  const Field& seen = old.empty() ? u : old;
  const auto settle = [&](size_t s) {
    if (!chosen[s]) return;
    const double step = eta * rate(s);
    if (source_[s].defined()) {
      if (waiting_[s]) {
        u[s].lerp_(source_[s], step);
      } else {
        u[s].add_(source_[s], step);
      }
      waiting_[s] = 0;
    } else if (!forward && waiting_[s]) {
      u[s].mul_(1 - step);
      waiting_[s] = 0;
    }
  };
  const size_t n = u.size();
  for (size_t k = 0; k < n; ++k) {
    const size_t s = forward ? k : n - 1 - k;
    if (!hidden_[s]) continue;
    if (!forward) settle(s);
    receivers_.clear();
    bool any = false;
    for (int p : graph_.edges[at(edge_to_[s])].from) {
      const bool wanted = chosen[at(p)];
      receivers_.push_back({wanted ? &u[at(p)] : nullptr,
                            wanted && waiting_[at(p)] ? 1 - eta * rate(at(p)) : 1, rate(at(p))});
      if (wanted) waiting_[at(p)] = 0;
      any |= wanted;
    }
    if (any) send(edge_to_[s], u, eta, &seen, moving);
    if (forward) settle(s);
  }
}

void LinearRelaxation::step(Field& u, Order order, double eta, Moving* moving) {
  if (order != Order::RedBlack) return sweep(u, order, eta, all_, moving);
  sweep(u, Order::Synchronous, eta, odd_, moving);
  sweep(u, Order::Synchronous, eta, even_, moving);
}

Relaxed LinearRelaxation::iterate(Field& u, Order order, double eta, const Stop& stop, RelaxWatch* watch,
                                  Moving* moving) {
  if (stop.steps >= kManySteps) pull_back_.prepare_for_many_steps();
  const bool measure = stop.tolerance > 0 || watch;
  if (!measure && !moving) {
    recorded_.run(stop.steps, {.step = [&] { step(u, order, eta, nullptr); },
                               .carried = [&] { return defined_in(u); },
                               .forget = [] {}});
    return {.steps = stop.steps};
  }
  const int64_t least = std::max(stop.least_steps, depth_);
  Field before;
  if (measure)
    for (size_t s = 0; s < u.size(); ++s)
      before.push_back(hidden_[s] ? at::empty_like(u[s]) : Tensor());
  Relaxed out;
  for (; out.steps < stop.steps && !out.converged; ++out.steps) {
    if (watch && watch->before_step) watch->before_step(out.steps);
    if (measure)
      for (size_t s = 0; s < u.size(); ++s)
        if (hidden_[s]) before[s].copy_(u[s]);
    step(u, order, eta, moving);
    if (measure) {
      out.residual = 0;
      for (size_t s = 0; s < u.size(); ++s)
        if (hidden_[s])
          out.residual =
              larger(out.residual, (u[s] - before[s]).norm().item<double>() / (eta * rate(s)) /
                                       (u[s].norm().item<double>() + 1e-30));
    }
    if (watch) {
      watch->residual.push_back(out.residual);
      if (watch->after_step) watch->after_step(out.steps);
    }
    out.converged = stop.tolerance > 0 && out.residual < stop.tolerance && out.steps + 1 >= least;
  }
  return out;
}

Field LinearRelaxation::residual(const Field& u) {
  Field r = wave(u);
  for (size_t s = 0; s < r.size(); ++s) {
    if (!hidden_[s]) continue;
    if (source_[s].defined()) r[s] = r[s].defined() ? r[s].add_(source_[s]) : source_[s].clone();
    r[s] = r[s].defined() ? r[s].sub_(u[s]) : -u[s];
  }
  return r;
}

}  // namespace altprop
