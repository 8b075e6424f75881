// The reverse pass through one step, whatever its activities come from, and what it sums up on its
// way through all of them. For the formulas see backward.cpp.
#pragma once

#include <map>

#include "altprop/ode/dense.h"
#include "altprop/ode/record.h"

namespace altprop::ode {

class Crossing {
 public:
  Crossing(const Scheme& method, const Graph& f, Record& record, const std::vector<Tensor>& cots,
           const Sweep& sweep)
      : method_(method),
        f_(f),
        record_(record),
        cots_(cots),
        sweep_(sweep),
        keeping_(field_of(f, record.pass, true, record.constants)),
        forgetting_(field_of(f, record.pass, false, record.constants)),
        s_(method.stages()),
        dim_(method.rows_dim()),
        wanted_(f.input_nodes().size(), 1),
        of_constants_(record.constants.size()) {
    if (wanted_.size() > 1) wanted_[1] = record.times;
    record.of_times.assign(record.times ? record.steps.size() + 1 : 0, 0);
    record.of_steps.assign(record.times && record.per_sample() ? record.steps.size() : 0, {});
    record.of_begin.clear();
    record.of_reads.clear();
    // A sample's credit begins with its last output, whenever that is.
    if (record.per_sample()) lambda_ = WholeBatch(at::zeros_like(method.lift(cots.at(0))), dim_);
  }

 protected:
  /// The activity of stage i, which is freed here; evaluated once more if it was not kept.
  std::shared_ptr<Activity> stage(const TimeStep& step, const Tensor& y, Evaluations& k, int i) {
    Evaluation& one = k[static_cast<size_t>(i)];
    if (one.activity) return std::move(one.activity);
    ++record_.backward.evaluations;
    return keeping_(stage_time(method_, step, i, y), method_.stage_state(y, step.length(), k, i))
        .activity;
  }

  /// Adds what arrives at the end of a step from the outputs that are read there.
  void add_outputs(const TimeStep& step) {
    if (!step.each) {
      if (step.output < 0) return;
      const Tensor arriving = method_.lift(cots_.at(static_cast<size_t>(step.output)));
      lambda_ = WholeBatch(lambda_.all().defined() ? lambda_.all() + arriving : arriving, dim_);
      return;
    }
    std::map<int, std::shared_ptr<SampleSteps>> reading;
    for (size_t i = 0; i < step.each->size(); ++i) {
      const int output = step.each->output[i];
      if (output < 0) continue;
      std::shared_ptr<SampleSteps>& rows = reading[output];
      if (!rows) rows = std::make_shared<SampleSteps>();
      rows->batch = step.each->batch;
      rows->add(step.each->rows[i], 0, 0, output, false);
    }
    for (const auto& [output, rows] : reading) {
      rows->close(record_.begin);
      const TimeStep those = TimeStep::of_samples(rows);
      const WholeBatch arriving(method_.lift(cots_.at(static_cast<size_t>(output))), dim_);
      lambda_.put(those, lambda_.of(those) + arriving.of(those));
    }
  }

  /// Replaces lambda, the credit of y_{n+1}, by that of y_n.
  /// @param y y_n; may be undefined where all activities are there and no times are wanted
  /// @param k slopes, where activities or times need them, and the activities that there are
  void cross(int64_t n, const Tensor& y, Evaluations& k) {
    const TimeStep& step = record_.steps[static_cast<size_t>(n)];
    const Length h = step.length();
    add_outputs(step);
    Tensor lambda = lambda_.of(step);
    std::vector<Tensor> xi(static_cast<size_t>(s_));
    TimeSum of_begin, of_length;
    ReadCredits reads;
    if (step.reads) reads = cross_reads(n, y, k, lambda, of_begin, of_length);
    for (int i = s_; i-- > 0;) {
      Tensor kappa = method_.credit_of_slope(i, h, lambda, xi);
      if (const Tensor part = reads.of_slope(i); part.defined())
        kappa = kappa.defined() ? kappa + part : part;
      if (!kappa.defined()) continue;
      const std::shared_ptr<Activity> activity = stage(step, y, k, i);
      // Slopes go as the credits of stages come, so that there are never more than s of both.
      if (!record_.times) k.resize(static_cast<size_t>(i));
      Tensor of_time;
      xi[static_cast<size_t>(i)] = pull(*activity, std::move(kappa), use_of(n, i), step, of_time);
      of_begin.add(of_time);
      of_length.add(of_time, method_.c(i));
    }
    if (record_.times) {
      const bool each = step.each != nullptr;
      if (const Tensor by = method_.by_length(y, h, k, s_); by.defined())
        of_length.add(products(lambda, by, dim_, each));
      for (int i = 0; i < s_; ++i)
        if (const Tensor& part = xi[static_cast<size_t>(i)]; part.defined())
          if (const Tensor by = method_.by_length(y, h, k, i); by.defined())
            of_length.add(products(part, by, 0, each));
      credit_times(n, of_begin, of_length);
    }
    Tensor before = method_.credit_of_begin(h, lambda, xi);
    if (reads.begin.defined()) before = before + reads.begin;
    lambda_.put(step, std::move(before));
  }

  /// What outputs between begin and end send back. @param lambda that of y_{n+1}, to which f at the
  /// end adds
  ReadCredits cross_reads(int64_t n, const Tensor& y, const Evaluations& k, Tensor& lambda,
                          TimeSum& of_begin, TimeSum& of_length) {
    const TimeStep& step = record_.steps[static_cast<size_t>(n)];
    const Evaluation at_end =
        keeping_(end_time(step, y), method_.state(method_.end(y, step.length(), k)));
    ++record_.backward.evaluations;
    ReadCredits out = credits_of_reads(method_, step, slopes_of(k, at_end.slope), cots_, record_);
    of_begin.add(out.of_begin);
    of_length.add(out.of_length);
    if (!out.end.defined()) return out;
    Tensor of_time;
    const Tensor xi = pull(*at_end.activity, std::move(out.end), use_of(n, s_), step, of_time);
    of_begin.add(of_time);
    of_length.add(of_time);
    if (xi.defined()) lambda = lambda + xi;
    return out;
  }

  /// Number of an evaluation: stages of a step in turn, and behind them f at its end where that is
  /// read.
  int use_of(int64_t n, int i) const {
    return static_cast<int>(n) * (s_ + (record_.dense ? 1 : 0)) + i;
  }

  /// The end of a step moves its length, and the begin both its length and its stages.
  void credit_times(int64_t number, const TimeSum& of_begin, const TimeSum& of_length) {
    const auto n = static_cast<size_t>(number);
    const auto& each = record_.steps[n].each;
    const size_t count = each ? each->size() : 1;
    const std::vector<double> whole = of_begin.values(count), end = of_length.values(count);
    if (!each) {
      record_.of_times[n + 1] += end[0];
      record_.of_times[n] += whole[0] - end[0];
      return;
    }
    record_.of_steps[n].end = end;
    for (size_t i = 0; i < count; ++i) record_.of_steps[n].begin.push_back(whole[i] - end[i]);
  }

  /// Credit of the state that an evaluation saw. @param of_time filled with that of the time, where
  /// that is wanted: of all samples together, or of each that takes part
  Tensor pull(Activity& activity, Tensor kappa, int use, const TimeStep& step, Tensor& of_time) {
    Sweep own = sweep_;
    own.use = use;
    own.release = release_;
    Credits out = f_.sweep(activity, {{f_.output_node(), std::move(kappa)}}, own, wanted_);
    if (record_.times && out.size() > 1 && out[1].defined())
      of_time = step.each ? fold_rows(out[1], step.sequences()).sum(1) : out[1].sum();
    for (size_t j = 0; j < of_constants_.size(); ++j) add_constant(j, out[j + 2], step);
    return out[0];
  }

  void add_constant(size_t j, const Tensor& part, const TimeStep& step) {
    if (!part.defined()) return;
    WholeBatch& sum = of_constants_[j];
    if (!step.each || !f_.node(f_.input_nodes()[j + 2]).spec.batched) {  // of the whole batch
      sum = WholeBatch(sum.all().defined() ? sum.all() + part : part);
      return;
    }
    if (!sum.all().defined()) {
      std::vector<int64_t> shape = part.sizes().vec();
      shape[0] = shape[0] / step.sequences() * step.each->batch;
      sum = WholeBatch(at::zeros(shape, part.options()));
    }
    sum.put(step, sum.of(step) + part);
  }

  Tensor credit_of_begin() {
    const Tensor& lambda = lambda_.all();
    // What is carried begins with the state and f there, or with several copies of the state.
    Tensor of_state = method_.carries_slope() ? method_.state(lambda)
                      : method_.carried() > 1 ? lambda.sum(0)
                                              : lambda;
    if (method_.carries_slope()) {
      std::shared_ptr<Activity> first = record_.first;
      if (!first) {
        first = keeping_(record_.begin_time(), record_.begin).activity;
        ++record_.backward.evaluations;
      }
      const Tensor xi = pull_begin(*first, method_.credit_of_first(lambda));
      if (xi.defined()) of_state = of_state + xi;
    }
    return of_state;
  }

  /// Through f at the begin, of all samples.
  Tensor pull_begin(Activity& activity, Tensor kappa) {
    TimeStep everyone{0, 0};
    if (record_.per_sample()) {
      auto all = std::make_shared<SampleSteps>();
      all->batch = record_.begin.size(0);
      for (int64_t b = 0; b < all->batch; ++b) all->add(b, 0, 0, -1, false);
      everyone.each = std::move(all);
    }
    Tensor of_time;
    Tensor xi = pull(activity, std::move(kappa),
                     use_of(static_cast<int64_t>(record_.steps.size()), 0), everyone, of_time);
    if (!of_time.defined()) return xi;
    TimeSum sum;
    sum.add(of_time);
    if (everyone.each) {
      record_.of_begin = sum.values(everyone.each->size());
    } else {
      record_.of_times[0] += sum.values(1)[0];
    }
    return xi;
  }

  /// Credit of the begin, when all steps have been crossed; fills record.of_constants.
  Tensor finished() {
    Tensor out = credit_of_begin();
    if (record_.reads_begin) out = out + cots_.at(0);
    record_.of_constants.clear();
    for (const WholeBatch& one : of_constants_) record_.of_constants.push_back(one.all());
    return out;
  }

  const Scheme& method_;
  const Graph& f_;
  Record& record_;
  const std::vector<Tensor>& cots_;
  const Sweep& sweep_;
  Field keeping_, forgetting_;
  int s_, dim_;
  std::vector<char> wanted_;
  bool release_ = true;  ///< activities are nobody else's
  WholeBatch lambda_;
  std::vector<WholeBatch> of_constants_;  ///< credits so far
};

}  // namespace altprop::ode
