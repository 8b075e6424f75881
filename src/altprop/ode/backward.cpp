// The exact reverse pass through explicit Runge-Kutta steps, in a form that divides by nothing. For
// one step, with lambda the credit of x_{n+1}, for the stages i = s .. 1:
//
//   kappa_i = h (b_i lambda + sum_{j>i} a_ji xi_j)      credit of k_i
//   xi_i    = J_x(t_n + c_i h, X_i)^T kappa_i           and a signal with kappa_i to f's operations
//   credit of x_n = lambda + sum_i xi_i
//
// (for Runge-Kutta methods; see Scheme for others). It equals the partitioned symplectic Runge-Kutta method of T. Matsubara, Y. Miyatake, T. Yaguchi,
// "Symplectic adjoint method for exact gradient of neural ODE with minimal memory", 2021, arXiv
// 2102.09750, whose coefficients divide by b_i, and the derivative of the unrolled solver; methods
// differ in where the activity of a stage comes from. "J^T" is whatever feedback there is.
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/record.h"
#include "altprop/ode/revolve.h"

namespace altprop::ode {

namespace {

using Stages = std::vector<std::shared_ptr<Activity>>;

Stages activities(Evaluations& k) {
  Stages out;
  for (Evaluation& one : k) out.push_back(std::move(one.activity));
  return out;
}

/// <credit, tangent>, where the credit may be that of K cotangents and have K times the rows.
double dot_of(const Tensor& credit, const Tensor& tangent) {
  if (!credit.defined() || !tangent.defined()) return 0;
  for (int64_t d = 0; d < tangent.dim(); ++d) {
    const int64_t rows = tangent.size(d);
    if (credit.size(d) == rows) continue;
    std::vector<int64_t> parted = credit.sizes().vec();
    parted[static_cast<size_t>(d)] = rows;
    parted.insert(parted.begin() + d, credit.size(d) / rows);
    return (credit.reshape(parted).sum(d) * tangent).sum().item<double>();
  }
  return (credit * tangent).sum().item<double>();
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
        keeping_(field_of(f, record.pass, true)),
        forgetting_(field_of(f, record.pass, false)),
        s_(method.stages()),
        wanted_(f.input_nodes().size(), 0) {
    wanted_[0] = 1;
    if (record.times) {
      record.of_times.assign(record.steps.size() + 1, 0);
      if (wanted_.size() > 1) wanted_[1] = 1;
    }
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
    if (record_.reads_begin) lambda_ = lambda_ + method_.lift(cots_.at(0));
    return credit_of_begin();
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
      cross(static_cast<int64_t>(n), record_.times ? record_.states[n] : Tensor(), k);
    }
  }

  void run_again() {
    std::vector<Stages> again;
    std::vector<std::vector<Tensor>> slopes;
    if (record_.times) record_.states.resize(record_.steps.size());
    const Observer observe = [&](Accepted step) {
      if (record_.times) {
        record_.states[static_cast<size_t>(step.number)] = step.begin;
        slopes.emplace_back();
        for (const Evaluation& k : step.result.k) slopes.back().push_back(k.slope);
      }
      again.push_back(activities(step.result.k));
    };
    travel_along(method_, keeping_, record_.begin, record_.steps,
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

  Tensor advance(Tensor y, int64_t from, int64_t to) {
    for (int64_t n = from; n < to; ++n) {
      y = take_step(method_, forgetting_, record_.steps[static_cast<size_t>(n)], y, nullptr, false)
              .end;
      record_.backward.evaluations += s_;
      ++record_.backward.repeated;
    }
    return y;
  }

  /// A step from its begin: the last g stages with their graphs, those before without.
  void cross_again(int64_t n, const Tensor& y) {
    const TimeStep& step = record_.steps[static_cast<size_t>(n)];
    const int without = s_ - record_.method.graphs(s_);
    Evaluations k;
    evaluate_more(method_, forgetting_, step, y, without, k);
    evaluate_more(method_, keeping_, step, y, s_, k);
    record_.backward.evaluations += s_;
    cross(n, y, k);
  }

  void invert_steps() {
    Tensor y = record_.end;
    for (int64_t n = static_cast<int64_t>(record_.steps.size()); n-- > 0;) {
      const TimeStep& step = record_.steps[static_cast<size_t>(n)];
      Scheme::Inverted before = method_.invert(keeping_, step.t, step.h, y);
      record_.backward.evaluations += s_;
      cross(n, before.begin, before.k);
      y = std::move(before.begin);
    }
    expect_found(method_.state(y));
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
    return keeping_(stage_time(method_, step, i, y), method_.stage_state(y, step.h, k, i)).activity;
  }

  /// Replaces lambda, the credit of y_{n+1}, by that of y_n.
  /// @param y y_n; may be undefined where all activities are there and no times are wanted
  /// @param k slopes, where activities or times need them, and the activities that there are
  void cross(int64_t n, const Tensor& y, Evaluations& k) {
    const TimeStep& step = record_.steps[static_cast<size_t>(n)];
    if (step.output >= 0) {
      const Tensor arriving = method_.lift(cots_.at(static_cast<size_t>(step.output)));
      lambda_ = lambda_.defined() ? lambda_ + arriving : arriving;
    }
    std::vector<Tensor> xi(static_cast<size_t>(s_));
    double of_begin = 0, of_length = 0;
    for (int i = s_; i-- > 0;) {
      Tensor kappa = method_.credit_of_slope(i, step.h, lambda_, xi);
      if (!kappa.defined()) continue;
      const std::shared_ptr<Activity> activity = stage(step, y, k, i);
      // Slopes go as the credits of stages come, so that there are never more than s of both.
      if (!record_.times) k.resize(static_cast<size_t>(i));
      double of_time = 0;
      xi[static_cast<size_t>(i)] =
          pull(*activity, std::move(kappa), static_cast<int>(n) * s_ + i, of_time);
      of_begin += of_time;
      of_length += method_.c(i) * of_time;
    }
    if (record_.times) {
      of_length += dot_of(lambda_, method_.by_length(y, step.h, k, s_));
      for (int i = 0; i < s_; ++i)
        if (const Tensor& part = xi[static_cast<size_t>(i)]; part.defined())
          of_length += dot_of(part, method_.by_length(y, step.h, k, i));
      record_.of_times[static_cast<size_t>(n) + 1] += of_length;
      record_.of_times[static_cast<size_t>(n)] += of_begin - of_length;
    }
    lambda_ = method_.credit_of_begin(step.h, lambda_, xi);
  }

  /// Credit of the state that an evaluation saw. @param of_time filled with that of the time
  Tensor pull(Activity& activity, Tensor kappa, int use, double& of_time) {
    Sweep own = sweep_;
    own.use = use;
    own.release = release_;
    Credits out = f_.sweep(activity, {{f_.output_node(), std::move(kappa)}}, own, wanted_);
    if (wanted_.size() > 1 && wanted_[1] && out[1].defined())
      of_time = out[1].sum().item<double>();
    return out[0];
  }

  Tensor credit_of_begin() {
    Tensor of_state = method_.state(lambda_);
    if (!method_.carries_slope()) return of_state;
    std::shared_ptr<Activity> first = record_.first;
    if (!first) {
      first = keeping_(record_.steps.front().t, record_.begin).activity;
      ++record_.backward.evaluations;
    }
    double of_time = 0;
    const Tensor xi = pull(*first, method_.credit_of_first(lambda_),
                           static_cast<int>(record_.steps.size()) * s_, of_time);
    if (record_.times) record_.of_times[0] += of_time;
    return xi.defined() ? of_state + xi : of_state;
  }

  const Scheme& method_;
  const Graph& f_;
  Record& record_;
  const std::vector<Tensor>& cots_;
  const Sweep& sweep_;
  Field keeping_, forgetting_;
  int s_;
  std::vector<char> wanted_;
  bool release_ = true;  ///< activities are nobody else's
  Tensor lambda_;
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
  if (record.steps.empty() || !record.begin.defined())
    throw Error("ode: a pass can be credited once, because what it has kept was freed");
  return ReversePass(method, f, record, cots, sweep).run();
}

}  // namespace altprop::ode
