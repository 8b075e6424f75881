// A right-hand side that is the gradient of an energy: du/dt = S grad_u H(u) with H a network whose
// outputs are summed. With S antisymmetric the energy is conserved, with S negative semidefinite it
// is not increased (S. Greydanus, M. Dzamba, J. Yosinski, "Hamiltonian neural networks", 2019,
// arXiv 1906.01563; on a grid, T. Matsubara, A. Ishikawa, T. Yaguchi, "Deep energy-based modeling
// of discrete-time physics", 2020, arXiv 1905.08604). The field is made by a reverse pass through
// H, so that its own reverse pass is that of a tangent of H: with v = S^T cot, cot^T S grad H = dH
// v.
#pragma once

#include "altprop/network/graph.h"

namespace altprop::ode {

/// S, along the last dimension, which is a periodic grid for the differences.
enum class Structure {
  Identity,
  Canonical,   ///< (q, p) halves: (dH/dp, -dH/dq)
  Difference,  ///< D: (u_{i+1} - u_{i-1}) / (2 dx), antisymmetric
  Laplacian,   ///< D2: (u_{i+1} - 2 u_i + u_{i-1}) / dx^2, negative semidefinite
};
std::vector<std::string> structure_names();

/// A composite whose parts are H. Inputs: u [B, ...] and, if H has a second input, a time [1].
/// Output: of u's shape. The field is that of the weights whatever rule there is; a feedback rule's
/// tensors stand for them in its reverse pass.
class EnergyField : public Composite {
 public:
  /// @param dx spacing of the grid
  /// @throws UsageError if dx is not positive; Refusal if H is no function of u and t
  EnergyField(std::shared_ptr<Graph> h, Structure structure, double dx = 1);

  std::string type() const override { return "energy"; }
  std::string settings() const override;
  int arity() const override { return static_cast<int>(h_->input_nodes().size()); }
  Takes takes(int input) const override { return {.unbatched = input == 1}; }
  Spec infer(std::span<const Spec> inputs) const override;
  /// @throws Refusal naming an operation of H whose second derivatives are not known
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  /// Of input 0; that of the time is refused.
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  const Graph* parts() const override { return h_.get(); }
  std::vector<ParamPtr> params() const override { return h_->params(); }
  std::vector<std::pair<std::string, Tensor*>> buffers() override { return h_->buffers(); }
  void project() const override { h_->project(); }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  Traits traits() const override;

  /// H of every sample, [B], by a forward pass of its own.
  Tensor energy(std::span<const Tensor> inputs, const Pass& pass = {}) const;

 private:
  /// S x, or S^T x.
  Tensor structured(const Tensor& x, bool transposed) const;
  /// Credit of the inputs where that of grad H is v [M*B, ...].
  Credits back(Activity& activity, const Tensor& v, Wanted wanted, Sweep& sweep) const;

  std::shared_ptr<Graph> h_;
  Structure structure_;
  double dx_;
};

OpPtr energy_field(std::shared_ptr<Graph> h, Structure structure = Structure::Identity,
                   double dx = 1);

}  // namespace altprop::ode
