// The exact reverse pass through explicit Runge-Kutta steps, in a form that divides by nothing. For
// one step, with lambda the credit of x_{n+1}, for the stages i = s .. 1:
//
//   kappa_i = h (b_i lambda + sum_{j>i} a_ji xi_j)      credit of k_i
//   xi_i    = J_x(t_n + c_i h, X_i)^T kappa_i           and a signal with kappa_i to f's operations
//   credit of x_n = lambda + sum_i xi_i
//
// It equals the partitioned symplectic Runge-Kutta method of T. Matsubara, Y. Miyatake, T. Yaguchi,
// "Symplectic adjoint method for exact gradient of neural ODE with minimal memory", 2021, arXiv
// 2102.09750, whose coefficients divide by b_i, and the derivative of the unrolled solver; methods
// differ in where the activity of a stage comes from. "J^T" is whatever feedback there is.
#include "altprop/base/error.h"
#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

using Stages = std::vector<std::shared_ptr<Activity>>;
/// Hands over the activity of stage i; asked once for each, from the last to the first.
using StageSource = std::function<std::shared_ptr<Activity>(int i)>;

struct StepBack {
  const Tableau& method;
  const Graph& f;
  Sweep& sweep;

  /// h (b_i lambda + sum_{j>i} a_ji xi_j); undefined where no result depends on the stage.
  Tensor credit_of_slope(int i, double h, const Tensor& lambda,
                         const std::vector<Tensor>& xi) const {
    Tensor out;
    bool own = false;  // `out` was made here and may be written to
    if (const double w = h * method.b(i); w != 0) {
      out = w == 1 ? lambda : lambda * w;
      own = w != 1;
    }
    for (int j = i + 1; j < method.stages(); ++j) {
      const double w = h * method.a(j, i);
      const Tensor& part = xi[static_cast<size_t>(j)];
      if (w == 0 || !part.defined()) continue;
      if (!out.defined()) {
        out = part * w;
      } else if (own) {
        out.add_(part, w);
      } else {
        out = at::add(out, part, w);
      }
      own = true;
    }
    return out;
  }

  Tensor run(int64_t number, const TimeStep& step, Tensor lambda, const StageSource& stage) const {
    const int s = method.stages();
    std::vector<Tensor> xi(static_cast<size_t>(s));
    std::vector<char> wanted(f.input_nodes().size(), 0);
    wanted[0] = 1;
    for (int i = s; i-- > 0;) {
      const std::shared_ptr<Activity> activity = stage(i);
      Tensor kappa = credit_of_slope(i, step.h, lambda, xi);
      if (!kappa.defined()) continue;
      Sweep own = sweep;
      own.use = static_cast<int>(number) * s + i;
      xi[static_cast<size_t>(i)] =
          f.sweep(*activity, {{f.output_node(), std::move(kappa)}}, own, wanted)[0];
    }
    for (const Tensor& part : xi)
      if (part.defined()) lambda = lambda + part;
    return lambda;
  }
};

/// Activities that are there already.
StageSource taken_from(Stages& stages, bool release) {
  return [&stages, release](int i) {
    std::shared_ptr<Activity>& one = stages[static_cast<size_t>(i)];
    return release ? std::move(one) : one;
  };
}

Stages activities(std::vector<Evaluation> k) {
  Stages out;
  for (Evaluation& one : k) out.push_back(std::move(one.activity));
  return out;
}

/// Keeps the slopes of a step and evaluates a stage once more when it is asked for. Slopes go as
/// the credits of stages come, so that there are never more than s of both.
struct OneStageAtATime {
  const Tableau& method;
  const Field& keeping;
  const TimeStep& step;
  const Tensor& begin;
  std::vector<Evaluation> k;
  Costs& costs;

  std::shared_ptr<Activity> operator()(int i) {
    k.resize(static_cast<size_t>(i));
    ++costs.evaluations;
    return keeping(step.t + method.c(i) * step.h, stage_state(method, begin, step.h, k, i))
        .activity;
  }
};

}  // namespace

Tensor record_back(const Tableau& method, const Graph& f, const StepSizes& sizes, Record& record,
                   const Tensor& cot, Sweep& sweep) {
  // Stages are evaluated again from the weights of the forward pass, and each weight is used in
  // many of them.
  if (sweep.order == SweepOrder::SignalFirst)
    throw Refusal("ode",
                  "the rule changes weights while credit travels, and the stages of a step are "
                  "evaluated with one set of weights",
                  "use the rule's explicit form, or another rule");
  if (record.gradient == Gradient::Adjoint)
    return adjoint_back(method, f, sizes, record, cot, sweep);
  if (record.steps.empty() || !record.begin.defined())
    throw Error("ode: a pass can be credited once, because what it has kept was freed");
  const int s = method.stages();
  const Field keeping = field_of(f, record.pass, true),
              forgetting = field_of(f, record.pass, false);
  const StepBack back{method, f, sweep};
  record.backward = {};
  std::vector<Stages> again;
  std::vector<Stages>* all = record.gradient == Gradient::Naive ? &record.stages : nullptr;
  if (record.gradient == Gradient::OneCheckpoint) {
    all = &again;
    integrate_along(
        method, keeping, record.begin, record.steps,
        [&](Accepted step) { again.push_back(activities(std::move(step.result.k))); },
        &record.backward);
  }
  Tensor lambda = cot;
  for (int64_t n = static_cast<int64_t>(record.steps.size()); n-- > 0;) {
    const TimeStep& step = record.steps[static_cast<size_t>(n)];
    if (all) {
      Stages& stages = (*all)[static_cast<size_t>(n)];
      lambda = back.run(n, step, lambda, taken_from(stages, sweep.release || all == &again));
      continue;
    }
    Tensor& begin = record.states[static_cast<size_t>(n)];
    if (record.gradient == Gradient::Aca) {
      Stages stages =
          activities(evaluate_stages(method, keeping, step.t, step.h, begin, s, nullptr));
      record.backward.evaluations += s;
      lambda = back.run(n, step, lambda, taken_from(stages, true));
    } else {
      OneStageAtATime source{
          method,
          keeping,
          step,
          begin,
          evaluate_stages(method, forgetting, step.t, step.h, begin, s - 1, nullptr),
          record.backward};
      record.backward.evaluations += s - 1;
      lambda = back.run(n, step, lambda, std::ref(source));
    }
    if (sweep.release) begin.reset();
  }
  return lambda;
}

}  // namespace altprop::ode
