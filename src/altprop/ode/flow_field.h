// The right-hand side of a continuous normalising flow: with the velocity g(t, z) of a sample goes
// the rate at which the logarithm of its density changes,
//
//   d(z, l)/dt = (g(t, z), -tr dg/dz),   log p(z(0)) = log p(z(T)) - (l(T) - l(0)),
//
// the instantaneous change of variables (R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural
// ordinary differential equations", 2018, arXiv 1806.07366, equation 8). The trace is exact, by one
// tangent for each value of z, or Hutchinson's estimate e^T (dg/dz) e with E e e^T = I (W.
// Grathwohl, R. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD", 2019, arXiv 1810.01367,
// equation 8). Its derivative is one of second order: Graph::sweep of values and tangents.
#pragma once

#include "altprop/network/graph.h"

namespace altprop::ode {

/// Exact: d tangents; the others one tangent of noise for each sample.
enum class Trace { Exact, Gaussian, Rademacher };
std::vector<std::string> trace_names();

struct FlowSettings {
  Trace trace = Trace::Exact;
  /// Outside of training the trace is exact whatever `trace` is.
  bool exact_in_evaluation = true;
  /// Tangents at once: those of as many samples as have this many numbers in the widest value of g.
  int64_t numbers_at_once = int64_t{1} << 23;
};

/// A composite whose parts are g. Inputs: (z, l) as one value [B, d + 1] and, if g has a second
/// input, a time [1]. Output [B, d + 1]. Noise belongs to a pass and a sample (Pass::draws,
/// Pass::ids), so that all evaluations of a solve have the same, whichever way they are repeated.
///
/// A feedback rule's tensors stand for the weights in the reverse pass, of the velocity and of the
/// trace alike; the trace itself is that of the weights.
class FlowField : public Composite {
 public:
  /// @param g of z [d] and, if it wants one, t (one number for the batch); its output is [d]
  /// @throws Refusal if it is not such a function
  explicit FlowField(std::shared_ptr<Graph> g, FlowSettings settings = {});

  std::string type() const override { return "flow"; }
  std::string settings() const override;
  int arity() const override { return static_cast<int>(g_->input_nodes().size()); }
  Takes takes(int input) const override { return {.unbatched = input == 1}; }
  Spec infer(std::span<const Spec> inputs) const override;
  /// @throws Refusal naming an operation of g whose second derivatives are not known
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  /// Of input 0; that of the time is refused.
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  const Graph* parts() const override { return g_.get(); }
  std::vector<ParamPtr> params() const override { return g_->params(); }
  std::vector<std::pair<std::string, Tensor*>> buffers() override { return g_->buffers(); }
  void project() const override { g_->project(); }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  Traits traits() const override;

  /// d, the number of values of z.
  int64_t width() const { return width_; }
  const FlowSettings& flow() const { return settings_; }

 private:
  struct Kept;
  /// Unit vectors number from .. from + count, [count * B, d], or the noise.
  struct Chunk {
    int64_t from, count;
  };
  std::vector<Chunk> chunks(const Kept& kept) const;
  Tensor directions(const Kept& kept, const Chunk& chunk) const;
  Tensor credit_of_product(const Kept& kept, const Chunk& chunk, const Tensor& weight) const;
  Credits back(const Kept& kept, const Tensor& cot, Wanted wanted, Sweep& sweep) const;

  std::shared_ptr<Graph> g_;
  FlowSettings settings_;
  int64_t width_ = 0, widest_ = 1;
};

OpPtr flow_field(std::shared_ptr<Graph> g, FlowSettings settings = {});

/// @throws Refusal naming the first operation of `g` whose second derivatives are not known.
/// @param what the sentence is about: "flow"
void expect_second_derivatives(const std::string& what, const Graph& g);

}  // namespace altprop::ode
