// The continuous adjoint (R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary
// differential equations", 2018, arXiv 1806.07366): state and credit are integrated backwards in
// time from T to 0,
//
//   dx/dt = f(t, x),   dlambda/dt = -J_x^T lambda,   gradient = int_0^T J_theta^T lambda dt,
//
// with the same solver and tolerances. Nothing is stored but x(T). It is the derivative of the
// equation and not of the steps that were taken, so it is wrong by O(tolerance), and where the
// equation contracts x(t) cannot be found again by going backwards.
//
// The integral is left out of the error's norm (P. Kidger, R. Chen, T. Lyons, "Hey, that's not an
// ODE", 2020, arXiv 2009.09457): parameters learn by signals of the stages of accepted steps, with
// |h| b_i lambda as credit.
#include <cmath>

#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

/// State and credit as one vector, for one stepper.
struct Pair {
  std::vector<int64_t> of_state, of_credit;
  int64_t values;  ///< of the state

  Pair(const Tensor& x, const Tensor& lambda)
      : of_state(x.sizes().vec()), of_credit(lambda.sizes().vec()), values(x.numel()) {}
  static Tensor join(const Tensor& x, const Tensor& lambda) {
    return at::cat({x.reshape({-1}), lambda.reshape({-1})});
  }
  Tensor state(const Tensor& y) const { return y.narrow(0, 0, values).view(of_state); }
  Tensor credit(const Tensor& y) const {
    return y.narrow(0, values, y.numel() - values).view(of_credit);
  }
};

}  // namespace

Tensor adjoint_back(const Tableau& method, const Graph& f, const StepSizes& sizes, Record& record,
                    const Tensor& cot, Sweep& sweep) {
  const Pair pair(record.end, cot);
  const Field evaluate = field_of(f, record.pass, true);
  std::vector<char> wanted(f.input_nodes().size(), 0);
  wanted[0] = 1;
  const Field backwards = [&](double t, const Tensor& y) {
    Evaluation at_state = evaluate(t, pair.state(y));
    Sweep own = sweep;
    own.sink = nullptr;
    own.use = 0;
    const Tensor xi =
        f.sweep(*at_state.activity, {{f.output_node(), pair.credit(y)}}, own, wanted)[0];
    return Evaluation{
        Pair::join(at_state.slope, xi.defined() ? -xi : at::zeros_like(pair.credit(y)))};
  };
  const int s = method.stages();
  record.backward = {};
  int64_t for_signals = 0;
  const Observer signals = [&](Accepted step) {
    if (!sweep.sink) return;
    for (int i = s; i-- > 0;) {
      if (method.b(i) == 0) continue;
      const Tensor y = stage_state(method, step.begin, step.h, step.result.k, i);
      Evaluation at_state = evaluate(step.t + method.c(i) * step.h, pair.state(y));
      ++for_signals;
      Sweep own = sweep;
      own.use = static_cast<int>(step.number) * s + i;
      f.sweep(*at_state.activity,
              {{f.output_node(), pair.credit(y) * (std::abs(step.h) * method.b(i))}}, own, {});
    }
  };
  const Tensor begin = integrate(method, backwards, Pair::join(record.end, cot), record.end_time, 0,
                                 sizes, signals, &record.backward);
  record.backward.evaluations += for_signals;
  return pair.credit(begin);
}

}  // namespace altprop::ode
