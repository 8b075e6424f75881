#include "altprop/rules/relaxation/relax.h"

#include <algorithm>

#include "altprop/base/larger.h"

namespace altprop {

namespace {

double relative_move(const Tensor& from, const Tensor& to) {
  return (to - from).norm().item<double>() / (1 + to.norm().item<double>());
}

/// States in the groups that are updated together.
std::vector<std::vector<int>> groups_of(const StateGraph& graph, Order order) {
  const int n = static_cast<int>(graph.states.size());
  std::vector<std::vector<int>> groups;
  if (order == Order::Synchronous) {
    groups.emplace_back();
    for (int s = 0; s < n; ++s) groups[0].push_back(s);
  } else if (order == Order::GaussSeidel) {
    for (int s = n - 1; s >= 0; --s) groups.push_back({s});
  } else {
    const std::vector<int> hops = graph.hops_to_output();
    groups.resize(2);
    for (int s = 0; s < n; ++s)
      groups[static_cast<size_t>(hops[static_cast<size_t>(s)] % 2 == 0)].push_back(s);
  }
  return groups;
}

}  // namespace

std::vector<Tensor*> defined_in(Field& field) {
  std::vector<Tensor*> out;
  for (Tensor& t : field)
    if (t.defined()) out.push_back(&t);
  return out;
}

Relaxed relax(const StateGraph& graph, Field& field, Order order, const Stop& stop,
              const std::function<Tensor(int, const Field&)>& update, RelaxWatch* watch) {
  const auto groups = groups_of(graph, order);
  const bool measure = stop.tolerance > 0 || watch;
  Relaxed out;
  for (; out.steps < stop.steps && !out.converged; ++out.steps) {
    if (watch && watch->before_step) watch->before_step(out.steps);
    double residual = 0;
    for (const std::vector<int>& group : groups) {
      std::vector<std::pair<int, Tensor>> moved;
      for (int s : group)
        if (Tensor value = update(s, field); value.defined())
          moved.emplace_back(s, std::move(value));
      for (auto& [s, value] : moved) {
        Tensor& slot = field[static_cast<size_t>(s)];
        if (measure) residual = larger(residual, relative_move(slot, value));
        slot = std::move(value);
      }
    }
    out.residual = residual;
    if (watch) {
      watch->residual.push_back(residual);
      if (watch->after_step) watch->after_step(out.steps);
    }
    out.converged =
        stop.tolerance > 0 && residual < stop.tolerance && out.steps + 1 >= stop.least_steps;
  }
  return out;
}

}  // namespace altprop
