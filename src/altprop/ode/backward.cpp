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

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/crossing.h"
#include "altprop/ode/revolve.h"

namespace altprop::ode {

namespace {

using Stages = std::vector<std::shared_ptr<Activity>>;

Stages activities(Evaluations& k) {
  Stages out;
  for (Evaluation& one : k) out.push_back(std::move(one.activity));
  return out;
}

class ReversePass : private Crossing {
 public:
  using Crossing::Crossing;

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
    return finished();
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
        if (record_.keeps_slopes()) k[i].slope = slopes[n][i];
      }
      cross(static_cast<int64_t>(n), record_.keeps_slopes() ? begin_of_step(n, record_.states[n]) : Tensor(),
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
    if (record_.keeps_slopes()) record_.states.resize(record_.steps.size());
    record_.whole_states = false;
    const Observer observe = [&](Accepted step) {
      if (record_.keeps_slopes()) {
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
        // Of several stages one activity is kept at a time.
        return (s_ > 1 ? forgetting_ : keeping_)(stage_time(method_, step, i, end), x);
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
  if (record.steps.empty() && record.begin.defined() && record.begin.size(0) == 0) {
    record.of_times.assign(1, 0);  // of no sample
    return record.begin;
  }
  if (record.steps.empty() || !record.begin.defined())
    throw Error("ode: a pass can be credited once, because what it has kept was freed");
  return ReversePass(method, f, record, cots, sweep).run();
}

}  // namespace altprop::ode
