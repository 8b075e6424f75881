#include "altprop/rules/corinfomax/dynamics.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/tensor/linear.h"

namespace altprop {

double DynamicsSettings::eta_at(int64_t iteration) const {
  const auto it = static_cast<double>(iteration);
  if (step_rule == "slow") return std::max(eta / (1 + 0.01 * it), 0.001);
  if (step_rule == "loop") return std::max(eta / (1 + it), 0.001);
  return eta;
}

Dynamics::Dynamics(std::vector<int64_t> sizes, std::vector<RateDomain> domains,
                   DynamicsSettings settings)
    : sizes_(std::move(sizes)), domains_(std::move(domains)), settings_(std::move(settings)) {
  int64_t offset = 0;
  for (const int64_t size : sizes_) {
    offsets_.push_back(offset);
    offset += size;
  }
  const size_t turns = settings_.order == "gauss-seidel" ? sizes_.size()
                       : settings_.order == "red-black"  ? size_t{2}
                                                         : size_t{1};
  groups_.resize(turns);
  for (size_t k = 0; k < sizes_.size(); ++k) groups_[k % turns].push_back(k);
}

double Dynamics::decay_of(size_t layer) const {
  return settings_.leak + (is_output(layer) ? 1 / settings_.epsilon + 1 : 2 / settings_.epsilon);
}

void Dynamics::load(const DynamicsWeights& w) {
  const double per_error = 1 / settings_.epsilon;
  basal_ = w.forward[0].t();
  pieces_.resize(sizes_.size());
  lateral_.assign(sizes_.size(), 0);
  for (size_t k = 0; k < sizes_.size(); ++k) {
    const bool below = k > 0, above = !is_output(k), own = w.lateral[k].defined();
    lateral_[k] = own;
    std::vector<std::pair<int64_t, int64_t>> ranges;  // side by side if the layer itself is in
    auto range = [&](size_t layer) {
      if (!ranges.empty() && ranges.back().first + ranges.back().second == offsets_[layer]) {
        ranges.back().second += sizes_[layer];
      } else {
        ranges.push_back({offsets_[layer], sizes_[layer]});
      }
    };
    if (below) range(k - 1);
    if (own) range(k);
    if (above) range(k + 1);
    std::vector<Piece>& pieces = pieces_[k];
    const at::TensorOptions options = w.forward[k].options();
    const bool fits = pieces.size() == ranges.size() &&
                      std::equal(pieces.begin(), pieces.end(), ranges.begin(),
                                 [&](const Piece& piece, const auto& range) {
                                   return piece.from == range.first &&
                                          piece.weight.is_like(range.second, sizes_[k], options);
                                 });
    if (!fits) {
      pieces.clear();
      for (const auto& [from, width] : ranges)
        pieces.push_back({from, PackedMatrix(width, sizes_[k], options)});
    }
    const auto meeting = [&](size_t layer) {  // the piece, and the row of it, that its rates meet
      for (Piece& piece : pieces)
        if (const int64_t row = offsets_[layer] - piece.from; row >= 0 && row < piece.weight.rows())
          return std::pair(&piece.weight, row);
      throw Error("corinfomax: no piece of the drive meets a layer that drives");
    };
    const auto fill = [&](size_t layer, const Tensor& weight, double factor) {
      const auto [piece, row] = meeting(layer);
      piece->fill(row, weight, factor);
    };
    if (below) fill(k - 1, w.forward[k].t(), per_error);
    if (above) fill(k + 1, w.backward[k + 1].t(), per_error);
    if (own) {
      fill(k, w.lateral[k], is_output(k) ? w.gamma : 2 * w.gamma);
      const auto [piece, row] = meeting(k);
      piece->add_to_diagonal(row, settings_.leak);
    }
  }
}

void Dynamics::allocate(RateState& state, int64_t rows, const at::TensorOptions& options) const {
  if (state.rows() == rows && state.rates.options().type_equal(options)) return;
  state = RateState();
  state.rates = at::zeros({rows, offsets_.back() + sizes_.back()}, options);
  state.slack.resize(sizes_.size());
  state.mu.resize(sizes_.size());
  for (size_t k = 0; k < sizes_.size(); ++k) {
    state.layer.push_back(state.rates.narrow(1, offsets_[k], sizes_[k]));
    state.membrane.push_back(at::zeros({rows, sizes_[k]}, options));
    if (domains_[k] == RateDomain::AntiSparse) continue;
    state.slack[k] = at::zeros({rows, 1}, options);
    state.mu[k] = at::zeros({rows, 1}, options);
  }
  state.drive = at::empty({rows, sizes_[0]}, options);
}

void Dynamics::start(RateState& state, const Tensor& inputs) const {
  allocate(state, inputs.size(0), inputs.options());
  state.rates.zero_();
  for (const Tensor& mu : state.mu)
    if (mu.defined()) mu.zero_();
  gemm_into(state.drive, inputs, basal_, 0, 1 / settings_.epsilon);
}

void Dynamics::copy(const RateState& from, RateState& to, int64_t copies) const {
  const int64_t rows = from.rows();
  allocate(to, rows * copies, from.rates.options());
  for (int64_t i = 0; i < copies; ++i) {
    to.rates.narrow(0, i * rows, rows).copy_(from.rates);
    to.drive.narrow(0, i * rows, rows).copy_(from.drive);
    for (size_t k = 0; k < sizes_.size(); ++k)
      if (to.mu[k].defined()) to.mu[k].narrow(0, i * rows, rows).copy_(from.mu[k]);
  }
}

RateState RateState::of(const RowBlock& block) const {
  const auto all = [&](const std::vector<Tensor>& whole) {
    std::vector<Tensor> out;
    for (const Tensor& t : whole) out.push_back(block.of(t));
    return out;
  };
  return {block.of(rates), all(layer), all(membrane), all(slack), all(mu), block.of(drive)};
}

void Dynamics::settle(RateState& state, int64_t iterations, const OutputPull* nudge) const {
  const int64_t blocks = number_of_row_blocks(state.rates);
  if (blocks == 1) return settle_rows(state, iterations, nudge);
  for_row_blocks(state.rows(), blocks, [&](const RowBlock& block) {
    RateState rows = state.of(block);
    if (!nudge) return settle_rows(rows, iterations, nullptr);
    const OutputPull part{block.of(nudge->beta), block.of(nudge->target)};
    settle_rows(rows, iterations, &part);
  });
}

void Dynamics::settle_rows(RateState& state, int64_t iterations, const OutputPull* nudge) const {
  for (size_t k = 0; k < sizes_.size(); ++k) {
    state.membrane[k].copy_(state.layer[k]);
    if (state.mu[k].defined()) state.slack[k].copy_(state.mu[k]);
  }
  Tensor pull = nudge ? at::empty_like(state.membrane.back()) : Tensor();
  std::vector<std::vector<Tensor>> seen(sizes_.size());
  for (size_t k = 0; k < sizes_.size(); ++k)
    for (const Piece& piece : pieces_[k])
      seen[k].push_back(state.rates.narrow(1, piece.from, piece.weight.rows()));
  const auto iterate = [&](double eta) {
    for (const std::vector<size_t>& group : groups_) {
      for (const size_t k : group) charge(state, seen, k, eta, nudge, pull);
      for (const size_t k : group) fire(state, k);
    }
  };
  if (settings_.step_rule == "constant") {
    recorded_.run(iterations, {.step = [&] { iterate(settings_.eta); },
                               .carried = [&] { return std::vector<Tensor*>{&state.rates}; },
                               .forget = [] {}});
  } else {
    for (int64_t it = 0; it < iterations; ++it) iterate(settings_.eta_at(it));
  }
}

void Dynamics::charge(RateState& state, const std::vector<std::vector<Tensor>>& seen, size_t k,
                      double eta, const OutputPull* nudge, Tensor& pull) const {
  Tensor& u = state.membrane[k];
  double keep = 1 - eta * decay_of(k);
  Tensor from_inputs = k == 0 ? state.drive : Tensor();
  for (size_t i = 0; i < seen[k].size(); ++i) {
    pieces_[k][i].weight.multiply_into(u, seen[k][i], keep, eta, from_inputs);
    from_inputs = Tensor();
    keep = 1;
  }
  if (keep != 1) u.mul_(keep);
  if (!lateral_[k] && settings_.leak != 0) u.add_(state.layer[k], eta * settings_.leak);
  if (from_inputs.defined()) u.add_(from_inputs, eta);
  if (state.mu[k].defined()) u.sub_(state.mu[k], eta);
  if (!nudge || !is_output(k)) return;
  at::sub_out(pull, nudge->target, state.layer[k]);
  u.add_(pull.mul_(nudge->beta), eta);
}

void Dynamics::fire(RateState& state, size_t k) const {
  if (domains_[k] == RateDomain::AntiSparse) {
    at::clamp_out(state.layer[k], state.membrane[k], 0, 1);
    return;
  }
  at::clamp_min_out(state.layer[k], state.membrane[k], 0);
  const double rate = is_output(k) ? settings_.multiplier_output : settings_.multiplier_hidden;
  state.slack[k]
      .mul_(1 - rate)
      .add_(state.mu[k], rate)
      .add_(state.layer[k].sum(1, true).sub_(1), rate);
  at::clamp_min_out(state.mu[k], state.slack[k], 0);
}

double Dynamics::coupling() const {
  constexpr int kIterations = 30;
  const int64_t total = offsets_.back() + sizes_.back();
  Tensor v = at::ones({1, total}, basal_.options()).div_(std::sqrt(static_cast<double>(total)));
  double radius = 0;
  for (int i = 0; i < kIterations; ++i) {
    Tensor next = at::zeros_like(v);
    for (size_t k = 0; k < sizes_.size(); ++k) {
      Tensor drive = next.narrow(1, offsets_[k], sizes_[k]);
      if (!lateral_[k]) drive.add_(v.narrow(1, offsets_[k], sizes_[k]), settings_.leak);
      for (const Piece& piece : pieces_[k])
        drive.add_(at::mm(v.narrow(1, piece.from, piece.weight.rows()), piece.weight.unpacked()));
    }
    radius = next.norm().item<double>();
    if (radius == 0) return 0;
    v = next.div_(radius);
  }
  return radius / (settings_.leak + 2 / settings_.epsilon);
}

}  // namespace altprop
