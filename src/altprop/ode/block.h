// An ODE as an operation of a network: z(T) of dz/dt = f(t, z), z(0) = the input, with f a graph.
//
//   auto f = std::make_shared<Graph>();
//   const int z = f->input({{2}}, "z"), t = f->input(ode::time_spec(), "t");
//   ...
//   net.add(ode::block(f, {.solver = "dopri5", .sizes = {.rtol = 1e-3}}), {x}, "ode");
#pragma once

#include "altprop/ode/record.h"

namespace altprop::ode {

/// What belongs to the network; how gradients are made does not.
struct Problem {
  std::string solver = "dopri5";
  double end_time = 1;  ///< T, in the unit of f's time
  StepSizes sizes = {};
};

/// A time: one number for the whole batch, [1].
Spec time_spec();

/// A composite: f's operations are sites of their own, and every evaluation sends their signals, so
/// that whatever feedback there is learns inside. Saved.extra = the Record.
class Block : public Op {
 public:
  /// @param f of the input z and, if it wants one, t (time_spec); its output has z's shape
  /// @throws UsageError if there is no such solver, T is not positive, or the solver takes no
  /// adaptive steps and their number is not given; Refusal if f has another number of inputs or
  /// outputs
  Block(std::shared_ptr<Graph> f, Problem problem);

  std::string type() const override { return "ode"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  const Graph* parts() const override { return f_.get(); }
  std::vector<ParamPtr> params() const override { return f_->params(); }
  std::vector<std::pair<std::string, Tensor*>> buffers() override { return f_->buffers(); }
  void project() const override { f_->project(); }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  /// The record may hold it: x(T), and states that are it.
  bool keeps_output() const override { return true; }
  Traits traits() const override;

  const Problem& problem() const { return problem_; }
  Gradient gradient() const { return gradient_; }
  /// For the forward passes that follow.
  void set_gradient(Gradient gradient) { gradient_ = gradient; }
  /// What the last forward pass into `saved` has recorded, its costs among it.
  static const Record& record(const Saved& saved);

 private:
  void expect_repeatable(const Tensor& x, const Record& record) const;

  std::shared_ptr<Graph> f_;
  Problem problem_;
  const Tableau* method_;
  Gradient gradient_ = Gradient::Symplectic;
};

OpPtr block(std::shared_ptr<Graph> f, Problem problem = {});

/// Of all ODE blocks of a network, those inside of its graphs too. @returns how many there are
int set_gradient(const Graph& net, Gradient gradient);

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
