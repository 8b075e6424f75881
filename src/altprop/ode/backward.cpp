// The exact reverse pass through explicit Runge-Kutta steps, in a form that divides by nothing. For
// one step, with lambda the credit of x_{n+1}, for the stages i = s .. 1:
//
//   kappa_i = h (b_i lambda + sum_{j>i} a_ji xi_j)      credit of k_i
//   xi_i    = J_x(t_n + c_i h, X_i)^T kappa_i           and a signal with kappa_i to f's operations
//   credit of x_n = lambda + sum_i xi_i
//
// (for Runge-Kutta methods; see Scheme for others). It equals the partitioned symplectic Runge-Kutta
// method of T. Matsubara, Y. Miyatake, T. Yaguchi, "Symplectic adjoint method for exact gradient of
// neural ODE with minimal memory", 2021, arXiv 2102.09750, whose coefficients divide by b_i, and the
// derivative of the unrolled solver; methods differ in where the activity of a stage comes from.
// "J^T" is whatever feedback there is.
//
// Where samples have steps of their own, h is a number for each, and a step is of those that took
// it: the credits of the others wait.
#include <cmath>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/record.h"
#include "altprop/ode/revolve.h"
#include "altprop/ode/time_sum.h"

namespace altprop::ode {

namespace {

using Stages = std::vector<std::shared_ptr<Activity>>;

Stages activities(Evaluations& k) {
  Stages out;
  for (Evaluation& one : k) out.push_back(std::move(one.activity));
  return out;
}

class ReversePass {
 public:
  ReversePass(const Scheme& method, const Graph& f, Record& record, const std::vector<Tensor>& cots,
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
    // A sample's credit begins with its last output, whenever that is.
    if (record.per_sample())
      lambda_ = WholeBatch(at::zeros_like(method.lift(cots.at(0))), dim_);
  }

  Tensor run() {
    const Gradient kind = record_.method.kind;
    record_.backward = {};
    if (kind == Gradient::Mali) {
      invert_steps();
    } else if (kind == Gradient::Naive && !record_.stages.empty()) {
      release_ = sweep_.release;
      cross_kept(record_.stages, record_.slopes);
    } else if (kind == Gradient::Naive || kind == Gradient::OneCheckpoint) {
      run_again();
    } else {
      cross_from_states();
    }
    Tensor out = credit_of_begin();
    if (record_.reads_begin) out = out + cots_.at(0);
    record_.of_constants.clear();
    for (const WholeBatch& one : of_constants_) record_.of_constants.push_back(one.all());
    return out;
  }

 private:
  // ---- where stages come from ----

  /// All stages of all steps are there.
  void cross_kept(std::vector<Stages>& stages,
                  const std::vector<std::vector<Tensor>>& slopes) {
    for (size_t n = record_.steps.size(); n-- > 0;) {
      Evaluations k(static_cast<size_t>(s_));
      for (size_t i = 0; i < k.size(); ++i) {
        k[i].activity = release_ ? std::move(stages[n][i]) : stages[n][i];
        if (record_.times) k[i].slope = slopes[n][i];
      }
      cross(static_cast<int64_t>(n), record_.times ? begin_of_step(n, record_.states[n]) : Tensor(),
            k);
    }
  }

  /// Of the samples that take part, from a state that was kept.
  Tensor begin_of_step(size_t n, const Tensor& state) const {
    return record_.whole_states ? WholeBatch(state, dim_).of(record_.steps[n]) : state;
  }

  void run_again() {
    std::vector<Stages> again;
    std::vector<std::vector<Tensor>> slopes;
    if (record_.times) record_.states.resize(record_.steps.size());
    record_.whole_states = false;
    const Observer observe = [&](Accepted step) {
      if (record_.times) {
        record_.states[static_cast<size_t>(step.number)] = step.begin;
        slopes.emplace_back();
        for (const Evaluation& k : step.result.k) slopes.back().push_back(k.slope);
      }
      again.push_back(activities(step.result.k));
    };
    travel_along(method_, keeping_, record_.begin, record_.begin_time(), record_.steps,
                 {.observe = observe, .costs = record_.backward});
    cross_kept(again, slopes);
  }

  /// Some states are there; others are found by steps from those, and kept while there is room.
  void cross_from_states() {
    struct Kept {
      int64_t number;
      Tensor y;
    };
    std::vector<Kept> kept;
    for (size_t n = 0; n < record_.states.size(); ++n)
      if (Tensor& y = record_.states[n]; y.defined())
        kept.push_back({static_cast<int64_t>(n), sweep_.release ? std::move(y) : y});
    int64_t end = static_cast<int64_t>(record_.steps.size());
    if (record_.last.defined() && kept.back().number < end - 1)
      cross_again(--end, sweep_.release ? std::move(record_.last) : record_.last);
    while (end > 0) {
      while (end - kept.back().number > 1) {
        const Kept& last = kept.back();
        const int64_t free = record_.slots - static_cast<int64_t>(kept.size());
        if (free <= 0) {
          cross_again(end - 1, advance(last.y, last.number, end - 1));
          --end;
        } else {
          const int64_t next = last.number + first_part(end - last.number, free + 1);
          kept.push_back({next, advance(last.y, last.number, next)});
        }
      }
      const Kept last = std::move(kept.back());
      kept.pop_back();
      cross_again(last.number, last.y);
      end = last.number;
    }
  }

  Tensor advance(const Tensor& from_state, int64_t from, int64_t to) {
    WholeBatch y(from_state, dim_);
    for (int64_t n = from; n < to; ++n) {
      const TimeStep& step = record_.steps[static_cast<size_t>(n)];
      y.put(step, take_step(method_, forgetting_, step, y.of(step), nullptr, false).end);
      record_.backward.evaluations += s_;
      ++record_.backward.repeated;
    }
    return y.all();
  }

  /// A step from its begin: the last g stages with their graphs, those before without.
  void cross_again(int64_t n, const Tensor& state) {
    const TimeStep& step = record_.steps[static_cast<size_t>(n)];
    const Tensor y = begin_of_step(static_cast<size_t>(n), state);
    const int without = s_ - record_.method.graphs(s_);
    Evaluations k;
    evaluate_more(method_, forgetting_, step, y, without, k);
    evaluate_more(method_, keeping_, step, y, s_, k);
    record_.backward.evaluations += s_;
    cross(n, y, k);
  }

  void invert_steps() {
    WholeBatch y(record_.end, dim_);
    for (int64_t n = static_cast<int64_t>(record_.steps.size()); n-- > 0;) {
      const TimeStep& step = record_.steps[static_cast<size_t>(n)];
      const Tensor end = y.of(step);
      const StageField at_stage = [&](int i, const Tensor& x) {
        return keeping_(stage_time(method_, step, i, end), x);
      };
      Scheme::Inverted before = method_.invert(at_stage, step.length(), end);
      record_.backward.evaluations += s_;
      cross(n, before.begin, before.k);
      y.put(step, std::move(before.begin));
    }
    expect_found(method_.state(y.all()));
  }

  /// Steps backwards lose digits where the equation or the damping makes errors grow.
  void expect_found(const Tensor& begin) const {
    constexpr double kTooFar = 1e-3;
    const double size = record_.begin.norm().item<double>(),
                 off = (begin - record_.begin).norm().item<double>();
    if (off <= kTooFar * size) return;
    throw Diverged(text::cat("ode: ", record_.steps.size(),
                             " steps backwards from the end find the block's input with a relative "
                             "error of ",
                             text::from_number(off / size),
                             ", so that the gradient of mali is wrong; take ode.gradient=symplectic "
                             "or binomial, float64, or eta=1"));
  }

  // ---- one step ----

  /// The activity of stage i, which is freed here; evaluated once more if it was not kept.
  std::shared_ptr<Activity> stage(const TimeStep& step, const Tensor& y, Evaluations& k, int i) {
    Evaluation& one = k[static_cast<size_t>(i)];
    if (one.activity) return std::move(one.activity);
    ++record_.backward.evaluations;
    return keeping_(stage_time(method_, step, i, y),
                    method_.stage_state(y, step.length(), k, i))
        .activity;
  }

  /// Adds what arrives at the end of a step from the outputs that are read there.
  void add_outputs(const TimeStep& step) {
    if (!step.each) {
      if (step.output < 0) return;
      const Tensor arriving = method_.lift(cots_.at(static_cast<size_t>(step.output)));
      lambda_ = WholeBatch(
          lambda_.all().defined() ? lambda_.all() + arriving : arriving, dim_);
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
    const Tensor lambda = lambda_.of(step);
    std::vector<Tensor> xi(static_cast<size_t>(s_));
    TimeSum of_begin, of_length;
    for (int i = s_; i-- > 0;) {
      Tensor kappa = method_.credit_of_slope(i, h, lambda, xi);
      if (!kappa.defined()) continue;
      const std::shared_ptr<Activity> activity = stage(step, y, k, i);
      // Slopes go as the credits of stages come, so that there are never more than s of both.
      if (!record_.times) k.resize(static_cast<size_t>(i));
      Tensor of_time;
      xi[static_cast<size_t>(i)] =
          pull(*activity, std::move(kappa), static_cast<int>(n) * s_ + i, step, of_time);
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
    lambda_.put(step, method_.credit_of_begin(h, lambda, xi));
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
    Tensor of_state = method_.state(lambda);
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
    Tensor xi = pull(activity, std::move(kappa), static_cast<int>(record_.steps.size()) * s_,
                     everyone, of_time);
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

}  // namespace

Tensor record_back(const Scheme& method, const Graph& f, const StepSizes& sizes, Record& record,
                   const std::vector<Tensor>& cots, Sweep& sweep) {
  // Stages are evaluated again from the weights of the forward pass, and each weight is used in
  // many of them.
  if (sweep.order == SweepOrder::SignalFirst)
    throw Refusal("ode",
                  "the rule changes weights while credit travels, and the stages of a step are "
                  "evaluated with one set of weights",
                  "use the rule's explicit form, or another rule");
  if (record.method.kind == Gradient::Adjoint)
    return adjoint_back(method, f, sizes, record, cots, sweep);
  if (record.steps.empty() && record.begin.defined() && record.begin.size(0) == 0) return record.begin;
  if (record.steps.empty() || !record.begin.defined())
    throw Error("ode: a pass can be credited once, because what it has kept was freed");
  return ReversePass(method, f, record, cots, sweep).run();
}

}  // namespace altprop::ode
