// Integration of any function, and its gradients, without a network around: what `ode::block` does,
// with times, records and credits in the caller's hands.
//
//   auto f = ode::function({.value = [](const Tensor& t, const Tensor& x, auto) { return -x; }},
//   {2}); const ode::Solution solved = ode::odeint(f, x0, {0, 0.5, 1}); const ode::Pulled pulled =
//   ode::ode_vjp(solved, 2 * solved.outputs);
#pragma once

#include "altprop/network/ops/autograd.h"
#include "altprop/ode/block.h"

namespace altprop::ode {

/// A right-hand side that is no graph.
struct Function {
  /// dx/dt, of x's shape. @param t of each sample, [B, 1] @param x [B, ...] @param p the
  /// parameters' values, in their order
  std::function<Tensor(const Tensor& t, const Tensor& x, std::span<const Tensor> p)> value;
  std::vector<ParamPtr> params = {};

  struct Pulled {
    Tensor of_t;                    ///< [B, 1]; undefined: f does not depend on it
    Tensor of_x;                    ///< [B, ...]; undefined: likewise
    std::vector<Tensor> of_params;  ///< of the parameters' shapes, summed over the samples
  };
  /// J^T cot; null: autograd differentiates `value`.
  std::function<Pulled(const Tensor& t, const Tensor& x, std::span<const Tensor> p,
                       const Tensor& cot)>
      vjp = nullptr;
  /// Apart: rows of dx/dt follow from their own rows, so that a network with it around may be
  /// trained on parts of a batch.
  Samples samples = Samples::Unknown;
};

/// Its graph of z and t, as `odeint` and `block` take it. Nothing but t and x is kept of an
/// evaluation, and the reverse pass evaluates again. @param shape of the state of one sample
/// @throws Refusal if a value has another shape than the state
std::shared_ptr<Graph> function(Function f, std::vector<int64_t> shape);

struct OdeintOptions {
  std::string solver = "dopri5";
  StepSizes sizes = {};
  GradientMethod gradient = {};
  std::vector<double> jumps = {};  ///< times between the first and the last at which f jumps
  double eta = 1;                  ///< damping of solver alf
  double coupling = 0;             ///< see Problem
  /// Outputs lie on the way of steps, which do not end there.
  bool interpolate = false;
  bool of_times = true;                ///< credits of times will be wanted
  std::vector<Tensor> constants = {};  ///< further inputs of f, behind state and time
  Pass pass = {Mode::Train};           ///< Mode::Eval keeps nothing but the begin
};

/// What was solved, for `ode_vjp`. Copies share it.
class Solution {
 public:
  Tensor outputs;  ///< [B, times, ...]: x at all times, the begin first; zeros where a time is NAN
  const Record& record() const { return *record_; }
  const Costs& costs() const { return record_->forward; }

 private:
  friend struct SolutionParts;
  bool each_ = false;  ///< samples have times of their own
  std::shared_ptr<Graph> f_;
  std::shared_ptr<const Scheme> scheme_;
  StepSizes sizes_;
  std::shared_ptr<Record> record_;
};

/// x(t_1), ..., x(t_K) of dx/dt = f(t, x), x(t_0) = x0.
/// @param f a graph of z and, if it wants them, t (time_spec or sample_time_spec) and constants;
/// has to outlive nothing: the solution keeps it
/// @param x0 [B, ...], of the type of f's parameters
/// @param times t_0, t_1, ...: ascending or descending
/// @throws UsageError if times are not so, or options do not fit; Diverged as `integrate` does
Solution odeint(const std::shared_ptr<Graph>& f, const Tensor& x0, const std::vector<double>& times,
                const OdeintOptions& options = {});
/// The same with times of each sample, [B, K + 1] float64, NAN where a sample has no such output,
/// and steps of its own. t_0 is there for all.
Solution odeint(const std::shared_ptr<Graph>& f, const Tensor& x0, const Tensor& times,
                OdeintOptions options = {});

struct Pulled {
  Tensor of_x0;  ///< [B, ...]
  Tensor
      of_times;  ///< [K + 1], or with times of each sample [B, K + 1], float64; undefined: unwanted
  std::vector<Tensor> of_constants;
};
/// Credits of all that went in, from those of the outputs. Once for each solution: what it has kept
/// is freed. @param cot of `outputs`, of the loss summed over the batch @param store receives
/// gradients of f's parameters; may be null
Pulled ode_vjp(const Solution& solved, const Tensor& cot, Store* store = nullptr);

// ---- events ----

/// What ends the integration of a sample: a number changes its sign.
struct Event {
  /// Of the inputs z and t (sample_time_spec); one number for each sample, [1].
  std::shared_ptr<Graph> g;
  int direction = 0;    ///< 1, -1: only where it rises, falls
  double latest = 1e6;  ///< time at which a sample ends without it
};

struct Arrival {
  Tensor times;  ///< [B] float64
  Tensor x;      ///< [B, ...]: the states there
  Tensor found;  ///< [B]: false where `latest` came first

 private:
  friend struct ArrivalParts;
  Solution solved_;
  Event event_;
  Tensor rates_;  ///< [B, ...]: dx/dt there, of the steps' polynomials
};

/// From t0 to where g changes its sign, of each sample with steps of its own; on the polynomial of
/// the step in which it does, halved down to the last digit. Where g is 0 at the begin its sign is
/// that of the first step's end; a step in which it changes twice is not noticed (max_step).
/// @param t0 of all samples, or a tensor [B] of each
Arrival odeint_until(const std::shared_ptr<Graph>& f, const Tensor& x0, const Tensor& t0,
                     const Event& event, OdeintOptions options = {});
inline Arrival odeint_until(const std::shared_ptr<Graph>& f, const Tensor& x0, double t0,
                            const Event& event, const OdeintOptions& options = {}) {
  return odeint_until(f, x0, at::full({x0.size(0)}, t0, at::kDouble), event, options);
}

/// Credits from those of the states and times of the event. The time is an implicit function,
/// dt = -(g_x dx) / (g_t + g_x dx/dt). @param of_x, of_times may be undefined
/// @param store receives gradients of f's parameters and g's
/// @throws Diverged if g only touches zero, so that the time has no derivative
Pulled ode_vjp(const Arrival& arrival, const Tensor& of_x, const Tensor& of_times,
               Store* store = nullptr);

}  // namespace altprop::ode
