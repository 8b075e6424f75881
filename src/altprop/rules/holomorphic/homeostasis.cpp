#include "altprop/rules/holomorphic/homeostasis.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "altprop/base/index.h"
#include "altprop/rules/holomorphic/dynamics.h"

namespace altprop {

namespace {

/// A signal for the weight that makes a map's output: this input, this credit.
void send_weight(const PlanarMap& map, const Tensor& input, const Tensor& credit, double scale,
                 Sink& sink) {
  const Node& node = map.graph().node(map.graph().output_node());
  const Site site = map.graph().site(node.id);
  LocalSignal signal{node.op.get(), &site, nullptr, credit, scale, 0, {node.op->weight().get()}};
  signal.input = input;
  sink.take(signal);
}

/// ... whose gradient is to be `gradient`: unit inputs.
void send_matrix(const Coupling& c, const Tensor& gradient, double scale, Sink& sink) {
  send_weight(c.map, at::eye(gradient.size(1), gradient.options()), gradient.t().contiguous(),
              scale, sink);
}

}  // namespace

Homeostasis::Homeostasis(const VectorField& field) : field_(field) {
  const std::vector<Coupling>& all = field.couplings();
  std::set<const Coupling*> paired;
  for (const Coupling& c : all) {
    if (!c.forth || c.back || paired.count(&c)) continue;
    Pair pair{&c};
    for (const Coupling& other : all) {
      if (&other == &c || paired.count(&other)) continue;
      const bool same = other.back && !other.forth && other.to == c.to && other.from == c.from;
      const bool opposite = other.forth && !other.back && c.dense() && other.dense() &&
                            other.from[0] == c.to && other.to == c.from[0];
      if (!same && !opposite) continue;
      pair.partner = &other;
      pair.transposed = opposite;
      paired.insert(&other);
      break;
    }
    paired.insert(&c);
    pairs_.push_back(pair);
  }
}

bool Homeostasis::closed() const {
  return std::all_of(pairs_.begin(), pairs_.end(), [](const Pair& p) { return p.closed(); });
}

/// first + sign partner, in the orientation of the first.
Tensor Homeostasis::difference(const Pair& pair, double sign) const {
  const Tensor& w = pair.first->weight->value;
  if (!pair.partner) return w;
  const Tensor& v = pair.partner->weight->value;
  return w.add(pair.transposed ? v.t() : v, sign);
}

double Homeostasis::closed_square(const Pair& pair, double sign) const {
  const double square = difference(pair, sign).square().sum().item<double>();
  // A matrix from a layer to itself is its own partner.
  if (!pair.partner && pair.first->from[0] == pair.first->to) {
    const Tensor& w = pair.first->weight->value;
    return w.add(w.t(), sign).square().sum().item<double>() / 2;
  }
  return square;
}

Homeostasis::Drawn Homeostasis::draw(const Pair& pair, const Field& rest, const SampleDraws& draws,
                                     int64_t count, double sign) {
  Drawn out;
  std::vector<Tensor> inputs;
  const Coupling& c = *pair.first;
  for (int p : c.from) {
    inputs.push_back(rest[at(p)]);
    const Tensor& state = rest[at(p)];
    std::vector<int64_t> shape = state.sizes().vec();
    shape[0] *= count;
    out.e.push_back(field_.moves(p) ? normal_by_sample(draws.stream.at(c.to).at(p), draws.ids,
                                                       shape, state.size(0), state.options())
                                    : Tensor());
  }
  Activity activity;
  c.map.graph().run(inputs, activity, {Mode::Eval});
  out.difference = c.map.graph().push(activity, out.e);
  if (!pair.partner) return out;
  const Graph& other = pair.partner->map.graph();
  if (!pair.transposed) {
    other.run(inputs, activity, {Mode::Eval});
    out.difference = out.difference.add(other.push(activity, out.e), sign);
  } else {
    out.difference = out.difference.add(out.e[0].flatten(1).mm(pair.partner->weight->value), sign);
  }
  return out;
}

double Homeostasis::drawn_square(const Pair& pair, const Field& rest, const SampleDraws& draws,
                                 int64_t count, double sign) {
  const Tensor d = draw(pair, rest, draws, count, sign).difference;
  return d.square().sum().item<double>() / static_cast<double>(d.size(0));
}

double Homeostasis::loss(const Field& rest, const SampleDraws& draws, int64_t count,
                         bool estimate) {
  double sum = 0;
  for (const Pair& pair : pairs_)
    sum += pair.closed() && !estimate ? closed_square(pair, -1)
                                      : drawn_square(pair, rest, draws, count, -1);
  return sum / static_cast<double>(field_.units());
}

double Homeostasis::symmetry(const Field& rest, const SampleDraws& draws, int64_t count) {
  // Blocks of (J +- J^T)/2 come in pairs; of J - I only the symmetric part sees the leak.
  double even = 0, odd = 0;
  for (const Pair& pair : pairs_) {
    const auto square = [&](double sign) {
      return pair.closed() ? closed_square(pair, sign)
                           : drawn_square(pair, rest, draws, count, sign);
    };
    const bool loop = pair.closed() && !pair.partner && pair.first->from[0] == pair.first->to;
    even += square(1) / 2;
    odd += square(-1) / 2;
    if (loop) even -= 2 * pair.first->weight->value.trace().item<double>();
  }
  for (const Coupling& c : field_.couplings())
    if (c.forth && c.back) {
      const Pair alone{&c};
      even +=
          2 * (c.dense() ? closed_square(alone, 1) : drawn_square(alone, rest, draws, count, 1));
    }
  const double s = std::sqrt(even + static_cast<double>(field_.units())), a = std::sqrt(odd);
  return s / (s + a);
}

void Homeostasis::deliver(const Field& rest, const SampleDraws& draws, int64_t count,
                          double coefficient, Sink& sink, bool estimate) {
  const double scale = 2 * coefficient / static_cast<double>(field_.units());
  for (const Pair& pair : pairs_) {
    const Coupling& c = *pair.first;
    if (pair.closed() && !estimate) {
      const Tensor d = difference(pair, -1);
      const bool loop = !pair.partner && c.from[0] == c.to;
      send_matrix(c, loop ? c.weight->value - c.weight->value.t() : d, scale, sink);
      if (pair.partner) send_matrix(*pair.partner, pair.transposed ? d.t() : d, -scale, sink);
      continue;
    }
    // < d, dJ/dtheta e > is the derivative of < d, map(r + h e) > along the imaginary axis.
    const Drawn drawn = draw(pair, rest, draws, count, -1);
    const Tensor& d = drawn.difference;
    const int64_t rows = d.size(0);
    const double h = imaginary_step(d.scalar_type());
    std::vector<Tensor> inputs;
    for (size_t k = 0; k < c.from.size(); ++k) {
      const Tensor here = match_rows(rest[at(c.from[k])], d);
      inputs.push_back(
          at::cat({here, drawn.e[k].defined() ? drawn.e[k] * h : at::zeros_like(here)}));
    }
    const Tensor cot = at::cat({d, at::zeros_like(d)});
    PlanarMap::Passed first, second;
    c.map.run(inputs, {0, rows}, first);
    if (pair.partner && !pair.transposed) pair.partner->map.run(inputs, {0, rows}, second);
    const double each = scale / static_cast<double>(rows) / h;
    const PlanarMap::Delivery plus{sink, each, PlanarMap::Part::Imaginary},
        minus{sink, -each, PlanarMap::Part::Imaginary};
    c.map.sweep(first, cot, nullptr, &plus);
    if (!pair.partner) continue;
    if (!pair.transposed) {
      pair.partner->map.sweep(second, cot, nullptr, &minus);
    } else {
      send_weight(pair.partner->map, d, drawn.e[0].flatten(1), -each * h, sink);
    }
  }
}

}  // namespace altprop
