#include "altprop/rules/relaxation/watch.h"

#include <cmath>
#include <numeric>

#include "altprop/base/text.h"

namespace altprop {

bool worth_a_look(int64_t step, int64_t last) {
  if (step <= 8 || step == last) return true;
  const double octaves = std::log2(static_cast<double>(step)) * 4;
  return std::floor(octaves) > std::floor(std::log2(static_cast<double>(step - 1)) * 4);
}

SettlingRecorder::SettlingRecorder(const StateGraph& graph, const std::vector<int64_t>& hops,
                                   Field exact, std::string compared_with)
    : exact_(std::move(exact)) {
  out_.compared_with = std::move(compared_with);
  for (size_t s = 0; s < exact_.size(); ++s) {
    if (!exact_[s].defined()) continue;
    std::vector<std::string> layers;
    const int edge = graph.edge_to(static_cast<int>(s));
    if (edge >= 0)
      for (const Node& node : graph.edges[static_cast<size_t>(edge)].map.nodes())
        if (node.op && !node.op->params().empty()) layers.push_back(node.name);
    of_.push_back(s);
    out_.states.push_back(
        {.name = graph.states[s].name, .layer = text::join(layers, " and "), .hops = hops[s]});
  }
}

SettlingRecorder::SettlingRecorder(std::vector<Settling::State> states, Field exact,
                                   std::string compared_with)
    : exact_(std::move(exact)), of_(exact_.size()) {
  std::iota(of_.begin(), of_.end(), 0);
  out_.compared_with = std::move(compared_with);
  out_.states = std::move(states);
}

void SettlingRecorder::expect(const Travel& travel) {
  for (Settling::State& state : out_.states) {
    state.expected = state.hops > 0 ? travel.arrived(state.hops) : 1;
    state.steps_needed =
        state.hops > 0 ? steps_for(travel.eta, travel.in_one_sweep, state.hops, 0.999) : 0;
  }
}

void SettlingRecorder::take(int64_t step, const Field& credit, const Field& force,
                            const Field& against, bool energetic, const Field* through_time) {
  out_.steps.push_back(step);
  for (size_t i = 0; i < of_.size(); ++i) {
    const size_t s = of_[i];
    Settling::State& state = out_.states[i];
    const Tensor c = credit[s].to(at::kDouble), g = exact_[s].to(at::kDouble);
    const double product = (c * g).sum().item<double>(), length = g.square().sum().item<double>(),
                 norm = c.square().sum().item<double>();
    state.scale.push_back(length > 0 ? product / length : NAN);
    state.cosine.push_back(norm > 0 && length > 0 ? product / std::sqrt(norm * length) : NAN);
    if (through_time) {
      const Tensor& other = (*through_time)[s];
      const double long_as = other.defined() ? other.to(at::kDouble).norm().item<double>() : 0;
      state.apart.push_back(long_as > 0 ? (c - other).norm().item<double>() / long_as : NAN);
    }
    if (energetic) state.energy.push_back(0.5 * norm / static_cast<double>(c.size(0)));
    if (force.empty()) continue;
    const double size = against[s].norm().item<double>();  // zero before anything has arrived
    state.residual.push_back(force[s].defined() && size > 0 ? force[s].norm().item<double>() / size
                                                            : NAN);
  }
}

Settling SettlingRecorder::finish(double energy_per_sample) {
  out_.energy_per_sample = energy_per_sample;
  return std::move(out_);
}

Settling watch(LinearRelaxation& relaxation, const StateGraph& graph, Field& u, Order order,
               double eta, const Stop& stop, bool energetic, LinearRelaxation::Moving* moving) {
  Field exact = relaxation.fixed_point();
  std::vector<int64_t> hops;
  for (size_t s = 0; s < exact.size(); ++s) {
    hops.push_back(relaxation.hops(static_cast<int>(s)));
    if (!relaxation.hidden(static_cast<int>(s))) exact[s] = Tensor();
    if (exact[s].defined()) exact[s] = exact[s].clone();
  }
  SettlingRecorder recorder(graph, hops, exact, "fixed point");
  if (order != Order::RedBlack && relaxation.even())
    recorder.expect({eta, stop.steps, order == Order::GaussSeidel});
  RelaxWatch seen;
  seen.after_step = [&](int64_t step) {
    if (worth_a_look(step + 1, stop.steps))
      recorder.take(step + 1, u, relaxation.residual(u), u, energetic);
  };
  const int64_t steps = relaxation.iterate(u, order, eta, stop, &seen, moving).steps;
  if (steps < stop.steps && !worth_a_look(steps, stop.steps))
    recorder.take(steps, u, relaxation.residual(u), u, energetic);
  return recorder.finish();
}

}  // namespace altprop
