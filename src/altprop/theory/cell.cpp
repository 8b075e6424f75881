#include "altprop/theory/cell.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/base/text.h"

namespace altprop::theory {

namespace {

constexpr int64_t kRecords = 200;

/// What becomes of one repetition.
struct Outcome {
  double alignment = NAN, loss = NAN, first_loss = NAN, last_look = 0;
  int64_t steps = 0;
  bool settled = false, diverged = false, unsettled = false;
};

/// NaN, which is recorded as null, where the matrix has none.
double smallest_eigenvalue(const Tensor& symmetric) {
  const auto found = spectrum(symmetric);
  return found ? found->smallest : NAN;
}

nlohmann::json number(double x) {
  return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(nullptr);
}

nlohmann::json statistics(const std::vector<double>& values) {
  nlohmann::json list = nlohmann::json::array();
  double sum = 0, square = 0, low = std::numeric_limits<double>::infinity(), high = -low;
  for (double v : values) {
    list.push_back(number(v));
    sum += v;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const double mean = sum / static_cast<double>(values.size());
  for (double v : values) square += (v - mean) * (v - mean);
  return {{"mean", number(mean)},
          {"std", number(std::sqrt(square / static_cast<double>(values.size())))},
          {"min", number(low)},
          {"max", number(high)},
          {"values", list}};
}

class CellRun {
 public:
  CellRun(const CellSettings& settings, const CellTrace& trace) : s_(settings), trace_(trace) {
    outcomes_.resize(static_cast<size_t>(s_.repetitions));
    const int64_t gap = std::max<int64_t>(1, s_.stop.steps / kRecords);
    for (int64_t t = 0; t <= s_.stop.steps; t += gap) grid_.push_back(t);
    losses_.assign(outcomes_.size(), {});
    alignments_.assign(outcomes_.size(), {});
  }

  nlohmann::json run() {
    for (int64_t first = 0; first < s_.repetitions; first += group()) run_group(first);
    return result();
  }

 private:
  double eta() const { return 2 * s_.eta / static_cast<double>(s_.size.samples); }

  /// Repetitions stepped together: as many as keep the arrays of one step in the cache.
  int64_t group() const {
    if (s_.form == Form::Reduced) return s_.repetitions;
    const int64_t numbers = s_.size.samples * s_.size.width;
    return std::clamp<int64_t>((1 << 16) / numbers, 1, s_.repetitions);
  }

  Draw draw_of(int64_t repetition) const {
    const Stream stream = Stream(s_.seed).at("two-layer theory").at(s_.size.width).at(repetition);
    return draw(s_.psi, s_.teacher, s_.size, stream, s_.dtype);
  }

  void measure_gammas(const Dynamics& dynamics, int64_t first, int64_t count) {
    const Tensor grams = dynamics.gram();
    for (int64_t r = 0; r < count; ++r) {
      gamma_start_.push_back(smallest_eigenvalue(grams[r]));
      const auto expected = expected_gram(s_.psi, draw_of(first + r).x.to(at::kDouble));
      gamma_.push_back(expected ? smallest_eigenvalue(*expected) : NAN);
    }
  }

  void run_group(int64_t first) {
    const int64_t count = std::min(group(), s_.repetitions - first);
    auto dynamics = make_dynamics(s_.form, s_.psi, s_.exact, count,
                                  [&](int64_t r) { return draw_of(first + r); });
    measure_gammas(*dynamics, first, count);
    std::vector<int64_t> active;
    for (int64_t r = 0; r < count; ++r) active.push_back(first + r);
    const double lambda_sum = s_.lambda * static_cast<double>(s_.size.samples) / 2;
    size_t record = 0;
    for (int64_t t = 0; !active.empty(); ++t) {
      const bool recorded = record < grid_.size() && t == grid_[record],
                 looked = s_.stop.looks_at(t);
      if (t >= s_.stop.steps || recorded || looked) {
        if (recorded) ++record;
        inspect(t, recorded, looked, active, *dynamics);
        if (active.empty()) break;
      }
      if (t % 64 == 0) {
        if (trace_.stop_requested && trace_.stop_requested()) throw Interrupted("interrupted");
        if (trace_.progress)
          trace_.progress(first * s_.stop.steps + std::min(t, s_.stop.steps) * count,
                          s_.repetitions * s_.stop.steps);
      }
      dynamics->step(eta(), s_.lambda_cutoff > 0 && t >= s_.lambda_cutoff ? 0 : lambda_sum);
    }
  }

  /// Before step t: records, looks, and drops what has ended. In the published order a repetition
  /// ends before it looks.
  void inspect(int64_t t, bool recorded, bool looked, std::vector<int64_t>& active,
               Dynamics& dynamics) {
    const bool may_end = t >= s_.stop.steps;
    bool any_ends = false;
    if (may_end && !recorded && !looked && t < s_.max_steps) {
      for (int64_t r : active) any_ends = any_ends || done(r);
      if (!any_ends) return;
    }
    const Tensor loss = dynamics.error().to(at::kDouble).square().mean(1);
    const Tensor alignment = dynamics.alignment().to(at::kDouble);
    std::vector<int64_t> kept;
    for (size_t i = 0; i < active.size(); ++i) {
      const size_t r = static_cast<size_t>(active[i]);
      Outcome& o = outcomes_[r];
      o.loss = loss[static_cast<int64_t>(i)].item<double>();
      o.alignment = alignment[static_cast<int64_t>(i)].item<double>();
      o.steps = t;
      if (t == 0) o.first_loss = o.loss;
      o.diverged = !(o.loss <= 1e6 * o.first_loss);
      if (recorded) {
        losses_[r].push_back(o.loss);
        alignments_[r].push_back(o.alignment);
      }
      const bool ends = may_end && done(active[i]);
      o.unsettled = !ends && t >= s_.max_steps;
      if (looked && !ends) {
        o.settled = o.settled || std::abs(o.loss - o.last_look) < s_.stop.change;
        o.last_look = o.loss;
      }
      if (!ends && !o.diverged && !o.unsettled) kept.push_back(static_cast<int64_t>(i));
    }
    if (kept.size() == active.size()) return;
    std::vector<int64_t> still;
    for (int64_t i : kept) still.push_back(active[static_cast<size_t>(i)]);
    active = still;
    if (!active.empty()) dynamics.keep(at::tensor(kept, at::kLong));
  }

  bool done(int64_t r) const {
    return !s_.stop.settle || outcomes_[static_cast<size_t>(r)].settled;
  }

  /// Decay rate of |e| over the second half of what lies above rounding, in units of eta.
  double rate(size_t r) const {
    const std::vector<double>& loss = losses_[r];
    const double floor = (s_.dtype == at::kFloat ? 1e-9 : 1e-18) * loss[0];
    size_t last = 0;
    while (last + 1 < loss.size() && loss[last + 1] > floor) ++last;
    const size_t middle = last / 2;
    if (last == middle) return NAN;
    return std::log(loss[middle] / loss[last]) / 2 /
           static_cast<double>(grid_[last] - grid_[middle]) / eta();
  }

  bool bound_held(size_t r) const {
    const double factor = std::log1p(-eta() * gamma_[r] / 4);
    // In float32 the error ends at its rounding; 1e-12 of the loss is where it may.
    const double floor = (s_.dtype == at::kFloat ? 1e-9 : 1e-24) * losses_[r][0];
    for (size_t i = 0; i < losses_[r].size(); ++i)
      if (losses_[r][i] >
          std::exp(2 * factor * static_cast<double>(grid_[i])) * losses_[r][0] * (1 + 1e-9) + floor)
        return false;
    return true;
  }

  nlohmann::json curve(const std::vector<size_t>& whole) const {
    nlohmann::json out{{"step", nlohmann::json::array()}};
    for (size_t i = 0; i < grid_.size(); ++i) {
      std::vector<double> loss, alignment;
      for (size_t r : whole) {
        loss.push_back(losses_[r][i]);
        alignment.push_back(alignments_[r][i]);
      }
      const nlohmann::json l = statistics(loss);
      out["step"].push_back(grid_[i]);
      for (const char* key : {"mean", "std", "min", "max"})
        out[text::cat("loss_", key)].push_back(l[key]);
      out["alignment_mean"].push_back(statistics(alignment)["mean"]);
    }
    return out;
  }

  nlohmann::json result() const {
    std::vector<size_t> whole;
    std::vector<double> alignment, loss, steps, rates;
    int64_t unsettled = 0, first_divergence = std::numeric_limits<int64_t>::max();
    double held = 0;
    for (size_t r = 0; r < outcomes_.size(); ++r) {
      const Outcome& o = outcomes_[r];
      if (o.diverged) {
        first_divergence = std::min(first_divergence, o.steps);
        continue;
      }
      whole.push_back(r);
      alignment.push_back(o.alignment);
      loss.push_back(o.loss);
      steps.push_back(static_cast<double>(o.steps));
      rates.push_back(rate(r));
      held += bound_held(r);
      unsettled += o.unsettled;
    }
    const int64_t diverged = s_.repetitions - static_cast<int64_t>(whole.size());
    const bool bounded = s_.lambda == 0 && std::isfinite(gamma_[0]) && !whole.empty();
    nlohmann::json out{
        {"p", s_.size.width},
        {"lambda", s_.lambda},
        {"repetitions", s_.repetitions},
        {"diverged", diverged},
        {"unsettled", unsettled},
        {"gamma", std::isfinite(gamma_[0]) ? statistics(gamma_) : nlohmann::json(nullptr)},
        {"gamma_start", statistics(gamma_start_)},
        {"bound_held", bounded ? nlohmann::json(held / static_cast<double>(whole.size()))
                               : nlohmann::json(nullptr)}};
    for (const auto& [key, values] :
         {std::pair{"alignment", &alignment}, {"loss", &loss}, {"steps", &steps}, {"rate", &rates}})
      out[key] = whole.empty() ? nlohmann::json(nullptr) : statistics(*values);
    out["curve"] = whole.empty() ? nlohmann::json(nullptr) : curve(whole);
    if (diverged)
      out["message"] = text::cat(
          diverged, " of ", s_.repetitions, " repetitions diverged, the first by step ",
          first_divergence,
          ": the steps were too long for the curvature of the loss there; use a smaller eta",
          s_.lambda > 0 ? " or end the decay with lambda-cutoff" : "");
    return out;
  }

  const CellSettings& s_;
  const CellTrace& trace_;
  std::vector<Outcome> outcomes_;
  std::vector<int64_t> grid_;
  std::vector<std::vector<double>> losses_,
      alignments_;  ///< of every repetition at the steps of the grid
  std::vector<double> gamma_, gamma_start_;
};

}  // namespace

StopRule StopRule::published(int64_t width) {
  StopRule rule;
  rule.steps = static_cast<int64_t>(std::floor(5000 * std::sqrt(static_cast<double>(width)) / 14));
  return rule;
}

nlohmann::json run_cell(const CellSettings& settings, const CellTrace& trace) {
  return CellRun(settings, trace).run();
}

}  // namespace altprop::theory
