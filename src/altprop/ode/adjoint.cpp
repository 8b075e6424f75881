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
// Parameters learn by signals of the stages of accepted steps, with |h| b_i lambda as credit. The
// integral is left out of the error's norm (P. Kidger, R. Chen, T. Lyons, "Hey, that's not an ODE",
// 2020, arXiv 2009.09457), unless it is asked for: then it is integrated beside state and credit,
// for that norm alone, which is the largest of those of the three. Equal steps are all accepted, and
// so each stage sends its signal at once; of adaptive ones the activities of a trial stay until it
// is decided. At an output x is set to what the forward pass had there, and the output's credit is
// added.
#include <algorithm>
#include <cmath>

#include "altprop/network/gradients.h"
#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

/// State and credit as one vector, for one stepper, and behind them the gradient where its error
/// counts.
struct Pair {
  std::vector<int64_t> of_state, of_credit;
  int64_t values, credits;  ///< of the state, of its credit

  Pair(const Tensor& x, const Tensor& lambda)
      : of_state(x.sizes().vec()),
        of_credit(lambda.sizes().vec()),
        values(x.numel()),
        credits(lambda.numel()) {}
  /// @param gradient flat; undefined: it is left out
  static Tensor join(const Tensor& x, const Tensor& lambda, const Tensor& gradient) {
    std::vector<Tensor> parts = {x.reshape({-1}), lambda.reshape({-1})};
    if (gradient.defined()) parts.push_back(gradient);
    return at::cat(parts);
  }
  Tensor state(const Tensor& y) const { return y.narrow(0, 0, values).view(of_state); }
  Tensor credit(const Tensor& y) const { return y.narrow(0, values, credits).view(of_credit); }
  Tensor gradient(const Tensor& y) const {
    const int64_t from = values + credits;
    return y.numel() > from ? y.narrow(0, from, y.numel() - from) : Tensor();
  }
};

}  // namespace

namespace {

class AdjointPass {
 public:
  AdjointPass(const Tableau& method, const Graph& f, const StepSizes& sizes, Record& record,
              const std::vector<Tensor>& cots, const Sweep& sweep)
      : method_(method),
        f_(f),
        sizes_(sizes),
        record_(record),
        cots_(cots),
        sweep_(sweep),
        evaluate_(field_of(f, record.pass, true, record.constants)),
        wanted_(f.input_nodes().size(), 0),
        constants_wanted_(f.input_nodes().size(), 1) {
    wanted_[0] = 1;
    constants_wanted_[0] = 0;
    if (wanted_.size() > 1) constants_wanted_[1] = 0;
    const AdjointSteps& own = record.method.adjoint;
    if (own.rtol > 0) sizes_.rtol = own.rtol;
    if (own.atol > 0) sizes_.atol = own.atol;
    if (!own.seminorm)
      for (const ParamPtr& param : f.params())
        if (param->learnt) normed_.push_back(param);
    record.of_constants.assign(record.constants.size(), {});
  }

  Tensor run() {
    const bool equal = !sizes_.is_adaptive();
    record_.backward = {};
    Tensor lambda, gradient = normed_.empty() ? Tensor() : flat_gradient(Gradients());
    // Outputs that were read on the way are ends of steps here.
    std::vector<Stop> stops = record_.spans.at(0).stops;
    stops.insert(stops.end(), record_.spans[0].reads.begin(), record_.spans[0].reads.end());
    std::sort(stops.begin(), stops.end(),
              [](const Stop& a, const Stop& b) { return a.time < b.time; });
    for (size_t k = stops.size(); k-- > 0;) {
      const Stop& from = stops[k];
      const double to = k > 0 ? stops[k - 1].time : record_.spans[0].begin;
      if (from.output >= 0) {
        x_ = record_.outputs.at(static_cast<size_t>(from.output));
        const Tensor& cot = cots_.at(static_cast<size_t>(from.output));
        lambda = lambda.defined() ? lambda + cot : cot;
        if (record_.times) of_output(static_cast<size_t>(from.output), from.time);
      }
      const Pair pair(x_, lambda);
      if (gradient.defined()) sizes_.parts = {pair.values, pair.credits, gradient.numel()};
      const Field backwards = equal ? at_once(pair, to - from.time) : later(pair);
      const Observer signals = [&](Accepted step) {
        if (!equal && later_is_wanted()) send(pair, step);
        first_use_ += method_.stages();
      };
      const Span span{from.time, {{to}}};
      const Journey journey{.observe = signals, .costs = record_.backward};
      const Tensor y =
          travel(method_, backwards, Pair::join(x_, lambda, gradient), {&span, 1}, sizes_, journey);
      x_ = pair.state(y);
      lambda = pair.credit(y);
      gradient = pair.gradient(y);
    }
    if (record_.reads_begin) lambda = lambda + cots_.at(0);
    return lambda;
  }

 private:
  /// Signals go with the credits, in one sweep for each stage. Stages come in turn.
  Field at_once(const Pair& pair, double distance) {
    auto next = std::make_shared<int>(0);
    return [this, pair, distance, next](double t, const Tensor& y) {
      const int i = *next % method_.stages(), n = (*next)++ / method_.stages();
      const double weight = std::abs(sizes_.length(distance, n)) * method_.b(i);
      Sweep own = sweep_;
      if (weight == 0) own.sink = nullptr;
      own.scale *= weight;
      own.use = first_use_ + i;
      const Evaluation at_state = evaluate_(t, pair.state(y));
      return slopes(pair, y, at_state, own, weight);
    };
  }

  /// Credits alone; the activity stays for the signals.
  Field later(const Pair& pair) {
    return [this, pair](double t, const Tensor& y) {
      Evaluation at_state = evaluate_(t, pair.state(y));
      Sweep own = sweep_;
      Gradients of_stage;  // of the summed loss, as the credit is
      own.sink = normed_.empty() ? nullptr : &of_stage;
      own.scale = 1;
      own.release = false;
      Evaluation out = slopes(pair, y, at_state, own, 0);
      if (!normed_.empty()) out.slope = at::cat({out.slope, -flat_gradient(of_stage)});
      if (later_is_wanted()) out.activity = std::move(at_state.activity);
      return out;
    };
  }

  /// @param weight of the stage in the integral of the constants' credits; 0: they come later
  Evaluation slopes(const Pair& pair, const Tensor& y, const Evaluation& at_state, Sweep& own,
                    double weight) {
    std::vector<char> wanted = wanted_;
    if (weight != 0)
      for (size_t i = 2; i < wanted.size(); ++i) wanted[i] = 1;
    const Credits out =
        f_.sweep(*at_state.activity, {{f_.output_node(), pair.credit(y)}}, own, wanted);
    if (weight != 0) add_constants(out, weight);
    const Tensor& xi = out[0];
    return {Pair::join(at_state.slope, xi.defined() ? -xi : at::zeros_like(pair.credit(y)), {})};
  }

  /// Signals and credits of constants are of the steps that are accepted.
  bool later_is_wanted() const { return sweep_.sink || !record_.constants.empty(); }

  /// Of the parameters whose gradients' errors count.
  Tensor flat_gradient(const Gradients& gradients) const {
    std::vector<Tensor> out;
    for (const ParamPtr& param : normed_) out.push_back(gradients.or_zeros(*param).flatten());
    return at::cat(out);
  }

  void send(const Pair& pair, const Accepted& step) {
    for (int i = method_.stages(); i-- > 0;) {
      const Evaluation& k = step.result.k[static_cast<size_t>(i)];
      if (method_.b(i) == 0) continue;
      const Tensor y = method_.stage_state(step.begin, step.h, step.result.k, i);
      Sweep own = sweep_;
      own.use = first_use_ + i;
      add_constants(
          f_.sweep(*k.activity,
                   {{f_.output_node(), pair.credit(y) * (std::abs(step.h) * method_.b(i))}}, own,
                   record_.constants.empty() ? Wanted() : Wanted(constants_wanted_)),
          1);
    }
  }

  void add_constants(const Credits& credits, double weight) {
    for (size_t j = 0; j < record_.of_constants.size(); ++j) {
      const Tensor& part = credits[j + 2];
      if (!part.defined()) continue;
      Tensor& sum = record_.of_constants[j];
      sum = sum.defined() ? at::add(sum, part, weight) : part * weight;
    }
  }

  /// Credit of an output's time: what it moves the output by.
  void of_output(size_t output, double time) {
    record_.of_times.resize(cots_.size() + (record_.reads_begin ? 0 : 1), 0);
    const Tensor slope = field_of(f_, record_.pass, false, record_.constants)(time, x_).slope;
    ++record_.backward.evaluations;
    record_.of_times[output + (record_.reads_begin ? 0 : 1)] =
        (slope * fold_rows(cots_[output], slope.size(0))).sum().item<double>();
  }

  const Tableau& method_;
  const Graph& f_;
  StepSizes sizes_;  ///< backwards
  Record& record_;
  const std::vector<Tensor>& cots_;
  const Sweep& sweep_;
  Field evaluate_;
  std::vector<char> wanted_, constants_wanted_;
  std::vector<ParamPtr> normed_;  ///< whose gradients' errors count
  Tensor x_;
  int first_use_ = 0;
};

}  // namespace

Tensor adjoint_back(const Scheme& method, const Graph& f, const StepSizes& sizes, Record& record,
                    const std::vector<Tensor>& cots, Sweep& sweep) {
  const auto& table = dynamic_cast<const Tableau&>(method);  // see objection()
  return AdjointPass(table, f, sizes, record, cots, sweep).run();
}

}  // namespace altprop::ode
