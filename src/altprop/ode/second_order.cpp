// Second derivatives of a solve: the reverse pass of tangents that were carried along the steps.
//
// State and tangent (x, xdot) are a solution of one equation, d(x, xdot)/dt = (f, J xdot), so that
// its reverse pass is that of backward.cpp with two credits, lambda of the state and mu of the
// tangent; in each stage both cross f together (Graph::sweep of values and tangents). All stages
// have to be there at once with their tangents, so that it is for the method `naive` alone.
#include "altprop/base/error.h"
#include "altprop/ode/block.h"

namespace altprop::ode {

namespace {

/// A stage with the tangents at the nodes of f.
struct TangentStage {
  std::shared_ptr<Activity> activity;
  std::vector<Tensor> tangents;
};

/// Stages of all steps, with their tangents.
std::vector<std::vector<TangentStage>> stages_with_tangents(const Scheme& method, const Graph& f,
                                                            const Record& record,
                                                            const Tensor& tangent) {
  const Field keeping = field_of(f, record.pass, true);
  std::vector<std::vector<TangentStage>> out;
  Tensor y = record.begin, moved = tangent;
  for (const TimeStep& step : record.steps) {
    std::vector<TangentStage> stages;
    Evaluations k, along;
    for (int i = 0; i < method.stages(); ++i) {
      k.push_back(keeping(stage_time(method, step, i, y), method.stage_state(y, step.h, k, i)));
      TangentStage stage{k.back().activity, {}};
      const Tensor of_state = method.stage_state(moved, step.h, along, i);
      const Tensor slope = f.push(*stage.activity, Push{.inputs = {of_state}}, &stage.tangents);
      along.push_back({slope.defined() ? slope : at::zeros_like(of_state)});
      stages.push_back(std::move(stage));
    }
    moved = method.end(moved, step.h, along);
    y = method.end(y, step.h, k);
    out.push_back(std::move(stages));
  }
  return out;
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? a + b : a;
}

}  // namespace

TangentCredits tangents_back(const Scheme& method, const Graph& f, const Record& record,
                             const Tensor& tangent, const std::vector<Tensor>& cots, Sweep& sweep) {
  auto steps = stages_with_tangents(method, f, record, tangent);
  const size_t s = static_cast<size_t>(method.stages());
  std::vector<char> wanted(f.input_nodes().size(), 0);
  wanted[0] = 1;
  Tensor lambda, mu;
  for (size_t n = record.steps.size(); n-- > 0;) {
    const TimeStep& step = record.steps[n];
    if (step.output >= 0) mu = sum_of(mu, cots.at(static_cast<size_t>(step.output)));
    std::vector<Tensor> of_values(s), of_tangents(s);
    for (size_t i = s; i-- > 0;) {
      const int stage = static_cast<int>(i);
      const Tensor kappa = method.credit_of_slope(stage, step.h, lambda, of_values),
                   of_slope = method.credit_of_slope(stage, step.h, mu, of_tangents);
      if (!kappa.defined() && !of_slope.defined()) continue;
      TangentStage& here = steps[n][i];
      std::vector<Seed> seeds;
      if (kappa.defined()) seeds.push_back({f.output_node(), kappa});
      TangentSweep second{.tangents = here.tangents, .wanted = wanted};
      if (of_slope.defined() && here.tangents[static_cast<size_t>(f.output_node())].defined())
        second.seeds.push_back({f.output_node(), of_slope});
      Sweep own = sweep;
      own.use = static_cast<int>(n * s + i);
      own.release = true;  // they are nobody else's
      TangentCredits found = f.sweep(*here.activity, std::move(seeds), second, own, wanted);
      of_values[i] = std::move(found.of_values[0]);
      of_tangents[i] = std::move(found.of_tangents[0]);
      here = {};
    }
    lambda = method.credit_of_begin(step.h, lambda, of_values);
    mu = method.credit_of_begin(step.h, mu, of_tangents);
  }
  if (record.reads_begin) mu = sum_of(mu, cots.at(0));
  return {{lambda}, {mu}};
}

bool Block::has_jvp_vjp() const {
  return gradient_.kind == Gradient::Naive && scheme_->carried() == 1 && !learnt_time_ &&
         !problem_.interpolate && constants() == 0 && !problem_.sizes.per_sample &&
         f_->has_jvp_vjp();
}

TangentCredits Block::credit_of_tangent(const Saved& saved, std::span<const Tensor> tangents,
                                        const Tensor& cot, Wanted values, Wanted of_tangents,
                                        Sweep& sweep) const {
  if (!has_jvp_vjp())
    throw Refusal(
        "ode",
        "second derivatives of a solve are those of all its stages at once, of a "
        "Runge-Kutta method with a T that is not learnt, without constants, coupling, outputs "
        "between steps and steps of their own for each sample, and of an f that knows its own",
        "use ode.gradient=naive, or keep ODE blocks out of flows and energies");
  TangentCredits found =
      tangents_back(*scheme_, *f_, record(saved), tangents[0], parted(cot), sweep);
  if (values.empty() || !values[0]) found.of_values[0] = Tensor();
  if (of_tangents.empty() || !of_tangents[0]) found.of_tangents[0] = Tensor();
  return found;
}

}  // namespace altprop::ode
