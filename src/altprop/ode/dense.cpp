#include "altprop/ode/dense.h"

#include <algorithm>
#include <cmath>

#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

bool all_zero(const std::vector<double>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double one) { return one == 0; });
}

}  // namespace

Between::Between(const Scheme& method, const TimeStep& step, std::vector<Read> reads)
    : step_(step), reads_(std::move(reads)) {
  std::vector<std::vector<double>> weights, rates;
  for (const Read& read : reads_) {
    weights.push_back(method.between(read.theta));
    rates.push_back(method.between_rate(read.theta));
  }
  for (size_t i = 0; i < weights[0].size(); ++i) {
    if (!step.each) {
      weights_.emplace_back(weights[0][i]);
      lengths_.emplace_back(step.h * weights[0][i]);
      rates_.emplace_back(rates[0][i]);
      continue;
    }
    std::vector<double> w, hw, rate;
    for (size_t m = 0; m < reads_.size(); ++m) {
      w.push_back(weights[m][i]);
      hw.push_back(weights[m][i] * step.each->h[static_cast<size_t>(reads_[m].place)]);
      rate.push_back(rates[m][i]);
    }
    const auto length = [&](const std::vector<double>& numbers) {
      return all_zero(numbers)
                 ? Length(0)
                 : Length(at::tensor(numbers, at::kDouble).to(step.each->lengths.options()));
    };
    weights_.push_back(length(w));
    lengths_.push_back(length(hw));
    rates_.push_back(length(rate));
  }
}

namespace {
bool is_zero(const Length& length) { return length.is_shared() && length.number() == 0; }
}  // namespace

Tensor Between::index(int64_t blocks) const {
  const auto rows = static_cast<int64_t>(step_.each->size());
  std::vector<int64_t> places;
  for (int64_t k = 0; k < blocks; ++k)
    for (const Read& read : reads_) places.push_back(k * rows + read.place);
  return at::tensor(places, at::kLong).to(step_.each->index.device());
}

Tensor Between::gathered(const Tensor& values) const {
  if (!step_.each) return values;
  return values.index_select(0, index(values.size(0) / static_cast<int64_t>(step_.each->size())));
}

Tensor Between::scattered(const Tensor& of_reads) const {
  if (!step_.each) return of_reads;
  const int64_t blocks = of_reads.size(0) / static_cast<int64_t>(reads_.size());
  std::vector<int64_t> shape = of_reads.sizes().vec();
  shape[0] = blocks * static_cast<int64_t>(step_.each->size());
  return at::zeros(shape, of_reads.options()).index_add_(0, index(blocks), of_reads);
}

Tensor Between::scattered_numbers(const Tensor& of_reads) const {
  return step_.each ? scattered(of_reads.to(step_.each->index.device())) : of_reads;
}

Length Between::lengths(const Length& of_step) const {
  if (!step_.each) return of_step;
  return Length(step_.each->lengths.index_select(0, index(1)));
}

Tensor Between::thetas() const {
  std::vector<double> out;
  for (const Read& read : reads_) out.push_back(read.theta);
  return at::tensor(out, at::kDouble);
}

Tensor Between::states(const Tensor& begin, const std::vector<Tensor>& slopes) const {
  Tensor out = gathered(begin);
  for (size_t i = 0; i < slopes.size(); ++i)
    if (!is_zero(lengths_[i])) out = lengths_[i].plus(out, gathered(slopes[i]));
  return out;
}

Tensor Between::sum(const std::vector<Length>& weights, const std::vector<Tensor>& slopes) const {
  Tensor out;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (is_zero(weights[i])) continue;
    const Tensor slope = gathered(slopes[i]);
    out = out.defined() ? weights[i].plus(out, slope) : weights[i].times(slope);
  }
  return out.defined() ? out : at::zeros_like(gathered(slopes[0]));
}

Tensor Between::credit_of_slope(size_t i, const Tensor& of_reads) const {
  return is_zero(lengths_[i]) ? Tensor() : scattered(lengths_[i].times(of_reads));
}

Tensor Between::rows_of_outputs(const std::vector<Tensor>& of_outputs) const {
  const auto& output = [&](const Read& read) -> const Tensor& {
    return of_outputs.at(static_cast<size_t>(read.output));
  };
  if (!step_.each) return output(reads_[0]);
  const int64_t batch = step_.each->batch, blocks = of_outputs.at(0).size(0) / batch;
  std::vector<Tensor> rows;
  for (int64_t k = 0; k < blocks; ++k)
    for (const Read& read : reads_)
      rows.push_back(
          output(read).select(0, k * batch + step_.each->rows[static_cast<size_t>(read.place)]));
  return at::stack(rows);
}

void Between::put(const Tensor& rows, const std::function<Tensor&(int)>& output,
                  int64_t blocks) const {
  if (!step_.each) {
    output(reads_[0].output) = rows;
    return;
  }
  const auto count = static_cast<int64_t>(reads_.size());
  for (int64_t k = 0; k < blocks; ++k)
    for (int64_t m = 0; m < count; ++m) {
      const Read& read = reads_[static_cast<size_t>(m)];
      output(read.output)
          .select(0, k * step_.each->batch + step_.each->rows[static_cast<size_t>(read.place)])
          .copy_(rows.select(0, k * count + m));
    }
}

std::vector<Between> reads_of(const Scheme& method, const TimeStep& step) {
  std::vector<Between> out;
  if (!step.reads || step.reads->empty()) return out;
  if (step.each) {
    out.emplace_back(method, step, *step.reads);
  } else {
    for (const Read& read : *step.reads) out.emplace_back(method, step, std::vector<Read>{read});
  }
  return out;
}

std::vector<Tensor> slopes_of(const Evaluations& k, const Tensor& at_end) {
  std::vector<Tensor> out;
  for (const Evaluation& one : k) out.push_back(one.slope);
  out.push_back(at_end);
  return out;
}

namespace {

void add_part(Tensor& to, const Tensor& part) {
  if (part.defined()) to = to.defined() ? to + part : part;
}

/// The state at a read moves with its time.
void credit_read_times(const Between& between, const Tensor& rate, Record& record) {
  const Tensor flat = rate.reshape({-1});
  const bool each = between.step().each != nullptr;
  for (size_t m = 0; m < between.reads().size(); ++m) {
    const Read& read = between.reads()[m];
    std::vector<double>& to = record.of_reads[read.output];
    if (to.empty()) to.assign(each ? static_cast<size_t>(record.begin.size(0)) : 1, 0);
    const int64_t row = each ? between.step().each->rows[static_cast<size_t>(read.place)] : 0;
    to[static_cast<size_t>(row)] += flat[static_cast<int64_t>(m)].item<double>();
  }
}

}  // namespace

ReadCredits credits_of_reads(const Scheme& method, const TimeStep& step,
                             const std::vector<Tensor>& slopes, const std::vector<Tensor>& cots,
                             Record& record) {
  ReadCredits out;
  const size_t stages = slopes.size() - 1;
  out.slopes.resize(stages);
  const bool each = step.each != nullptr;
  for (const Between& between : reads_of(method, step)) {
    const Tensor arriving = between.rows_of_outputs(cots);
    add_part(out.begin, between.credit_of_begin(arriving));
    for (size_t i = 0; i < stages; ++i)
      add_part(out.slopes[i], between.credit_of_slope(i, arriving));
    add_part(out.end, between.credit_of_slope(stages, arriving));
    if (!record.times) continue;
    // The time of a read stands: where the step moves, it lies elsewhere between the ends.
    const auto product = [&](const Tensor& tangent) {
      return products(arriving, tangent, 0, each).to(at::kCPU, at::kDouble);
    };
    const Tensor rate = product(between.rates(slopes)),
                 stretch = product(between.by_length(slopes));
    add_part(out.of_begin, between.scattered_numbers(-rate));
    add_part(out.of_length, between.scattered_numbers(stretch - rate * between.thetas()));
    credit_read_times(between, rate, record);
  }
  return out;
}

}  // namespace altprop::ode
