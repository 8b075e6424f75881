// An ODE as an operation of a network: z(T) of dz/dt = f(t, z), z(0) = the input, with f a graph.
//
//   auto f = std::make_shared<Graph>();
//   const int z = f->input({{2}}, "z"), t = f->input(ode::time_spec(), "t");
//   ...
//   net.add(ode::block(f, {.solver = "dopri5", .sizes = {.rtol = 1e-3}}), {x}, "ode");
#pragma once

#include "altprop/ode/record.h"

namespace altprop::ode {

/// How the end T is a parameter: not at all, as it is, or as the square of one, which stays positive.
enum class LearntTime { No, Plain, Square };

/// What belongs to the network; how gradients are made does not.
struct Problem {
  std::string solver = "dopri5";
  double end_time = 1;  ///< T, in the unit of f's time
  StepSizes sizes = {};
  /// Ascending times at which the state is read, the last one T, the first one perhaps 0: the
  /// output is [times, ...state]. Empty: the state at T alone.
  std::vector<double> outputs = {};
  std::vector<double> jumps = {};  ///< ascending times between 0 and T at which f jumps
  /// T is learnt, and outputs and jumps are moved in proportion.
  LearntTime learnt_time = LearntTime::No;
  double eta = 1;  ///< damping of solver alf
  /// Above 0: the solver, a Runge-Kutta method, is made reversible with this coupling (Reversible).
  double coupling = 0;
  /// Outputs lie on the way of steps, which do not end there, and are read from the polynomial of the
  /// step (dense output). Equal steps are those to the end or a jump.
  bool interpolate = false;
};

/// A time: one number for the whole batch, [1].
Spec time_spec();
/// The same for each sample, [B, 1]: of an f whose samples have steps of their own.
Spec sample_time_spec();

/// What passes through a block have cost since somebody began to count.
struct Tally {
  int64_t passes = 0;  ///< forward
  Costs forward, backward;
  bool watch_noise = true;  ///< Costs::noise, too
};

/// A composite: f's operations are sites of their own, and every evaluation sends their signals, so
/// that whatever feedback there is learns inside. Saved.extra = the Record.
class Block : public Composite {
 public:
  /// @param f of the input z and, if it wants one, t (time_spec, or sample_time_spec where samples
  /// have steps of their own), and behind these of any number of constants: further inputs of the
  /// block, which are the same in all evaluations. Its output has z's shape
  /// @throws UsageError if there is no such solver, times are not ascending and positive, or the
  /// solver takes no adaptive steps and their number is not given; Refusal if f's inputs and output
  /// are not these
  Block(std::shared_ptr<Graph> f, Problem problem);

  std::string type() const override { return "ode"; }
  std::string settings() const override;
  int arity() const override { return static_cast<int>(1 + constants()); }
  Takes takes(int input) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  /// Of a Runge-Kutta solve whose gradient method is naive and whose T is not learnt, if f knows its
  /// own; see second_order.cpp.
  bool has_jvp_vjp() const override;
  Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                 int input) const override {
    return jvp_vjp_by_sweep(saved, tangents, cot, input);
  }
  void jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                      double scale, Store& store) const override {
    jvp_accumulate_by_sweep(saved, tangents, cot, scale, store);
  }
  TangentCredits credit_of_tangent(const Saved& saved, std::span<const Tensor> tangents,
                                   const Tensor& cot, Wanted values, Wanted of_tangents,
                                   Sweep& sweep) const override;
  const Graph* parts() const override { return f_.get(); }
  /// Those of f, then T where it is learnt.
  std::vector<ParamPtr> params() const override;
  std::vector<std::pair<std::string, Tensor*>> buffers() override { return f_->buffers(); }
  void project() const override { f_->project(); }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  /// The record may hold it: x(T), and states that are it.
  bool keeps_output() const override { return true; }
  Traits traits() const override;

  const Problem& problem() const { return problem_; }
  const Scheme& solver() const { return *scheme_; }
  const std::shared_ptr<const Scheme>& scheme() const { return scheme_; }
  /// Stretches between the times at which steps have to end.
  int64_t stretches() const { return static_cast<int64_t>(span_.stops.size()); }
  /// Steps of a pass where they are equal; 0 where they are adaptive.
  int64_t equal_steps() const;
  /// Inputs behind the state.
  size_t constants() const;
  /// Why there is no such gradient here and what to do instead; "" if there is.
  std::string objection_to(const GradientMethod& method) const;
  /// T as it is now. @throws Diverged if it was learnt and is not positive any more
  double end_time() const;

  const GradientMethod& gradient() const { return gradient_; }
  /// For the forward passes that follow. @throws UsageError if the solver has no such method
  void set_gradient(const GradientMethod& gradient);
  /// Forward passes in training mode that follow have credits of times, too, also where T is not
  /// learnt: see credits_of_output_times.
  void set_time_credits(bool wanted) { time_credits_ = wanted; }
  /// Passes that follow are counted there; null: nowhere.
  void count_into(std::shared_ptr<Tally> tally) { tally_ = std::move(tally); }
  /// What the last forward pass into `saved` has recorded, its costs among it.
  static const Record& record(const Saved& saved);

 private:
  void expect_repeatable(const Tensor& x, const Record& record) const;
  void expect_times() const;
  void expect_inputs() const;
  /// The graph's input that is the block's input number `input`.
  const Spec& spec_of(int input) const;
  /// Credits of the inputs; sends the signals of f's parts and of T.
  Credits back(const Saved& saved, const Tensor& cot, Sweep& sweep) const;
  bool stacks() const { return !problem_.outputs.empty(); }
  /// The outputs as they leave the block, and the other way round.
  Tensor joined(const std::vector<Tensor>& outputs) const;
  std::vector<Tensor> parted(const Tensor& cot) const;

  std::shared_ptr<Graph> f_;
  Problem problem_;
  std::shared_ptr<const Scheme> scheme_;
  Span span_;  ///< of problem_.end_time
  ParamPtr learnt_time_;     ///< null: T is fixed
  GradientMethod gradient_;
  bool time_credits_ = false;
  std::shared_ptr<Tally> tally_;
};

OpPtr block(std::shared_ptr<Graph> f, Problem problem = {});

/// True if an operation of f is known to let samples depend on each other, or may and keeps
/// statistics. A function that nobody has looked into passes: it is asked where it is evaluated.
bool takes_statistics(const Graph& f);

/// The ODE blocks of a network, those inside of its graphs and blocks too, in the order of its sites.
std::vector<Block*> blocks_of(const Graph& net);

/// Of all ODE blocks of a network. @returns how many there are
int set_gradient(const Graph& net, const GradientMethod& gradient);

/// While it lives, the passes of all blocks are counted.
class Counting {
 public:
  explicit Counting(const Graph& net);
  ~Counting();
  Counting(const Counting&) = delete;
  Tally& tally() { return *tally_; }

 private:
  std::vector<Block*> blocks_;
  std::shared_ptr<Tally> tally_ = std::make_shared<Tally>();
};

/// While it lives, blocks whose gradient is that of the continuous adjoint have the exact one: what
/// a rule's gradients are compared with is exact.
class ExactGradients {
 public:
  explicit ExactGradients(const Graph& net);
  ~ExactGradients();
  ExactGradients(const ExactGradients&) = delete;

 private:
  std::vector<Block*> changed_;
};

}  // namespace altprop::ode
