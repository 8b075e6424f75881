#include "altprop/ode/energy_field.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/block.h"
#include "altprop/ode/flow_field.h"

namespace altprop::ode {

std::vector<std::string> structure_names() { return {"identity", "canonical", "D", "D2"}; }

namespace {

struct EnergyKept {
  Activity activity;
  int64_t batch = 0;
  std::vector<int64_t> output;  ///< shape of H's output, batch included
};

EnergyKept& energy_kept(const Saved& saved) {
  return *std::any_cast<const std::shared_ptr<EnergyKept>&>(saved.extra);
}

}  // namespace

EnergyField::EnergyField(std::shared_ptr<Graph> h, Structure structure, double dx)
    : h_(std::move(h)), structure_(structure), dx_(dx) {
  if (!(dx > 0) || !std::isfinite(dx))
    throw UsageError(text::cat("energy: dx is the spacing of the grid, above 0, but is ", dx));
  const size_t inputs = h_->input_nodes().size();
  if (inputs < 1 || inputs > 2 || h_->output_nodes().size() != 1)
    throw Refusal("energy", text::cat("H has ", inputs, " inputs and ", h_->output_nodes().size(),
                                      " outputs, but is a function of u and of the time t"));
  const Spec &u = h_->node(h_->input_nodes()[0]).spec, &out = h_->node(h_->output_node()).spec;
  if (inputs == 2 && h_->node(h_->input_nodes()[1]).spec != time_spec())
    throw Refusal("energy", "the second input of H is the time, one number for the whole batch");
  if (!u.differentiable() || !u.batched || u.shape.empty() || !out.differentiable() || !out.batched)
    throw Refusal("energy", "H is a function of every sample's real numbers");
  if (structure == Structure::Canonical && u.shape.back() % 2 != 0)
    throw Refusal("energy",
                  text::cat("by=canonical takes the last dimension of u for positions and as many "
                            "momenta, but it has ",
                            u.shape.back(), " values"));
}

std::string EnergyField::settings() const {
  return text::cat("by=", structure_names()[static_cast<size_t>(structure_)],
                   dx_ == 1 ? "" : text::cat(",dx=", dx_));
}

Spec EnergyField::infer(std::span<const Spec> inputs) const {
  const Spec& u = h_->node(h_->input_nodes()[0]).spec;
  if (inputs[0] != u)
    throw Refusal("energy", text::cat("its H is of values of shape ", shape_text(u.shape),
                                      ", but the input has ", shape_text(inputs[0].shape)));
  if (inputs.size() > 1 && inputs[1] != time_spec())
    throw Refusal("energy", "its second input is a time, one number for the whole batch");
  return u;
}

void EnergyField::build(std::span<const Spec>) { expect_second_derivatives("energy", *h_); }

Tensor EnergyField::structured(const Tensor& x, bool transposed) const {
  switch (structure_) {
    case Structure::Canonical: {
      const int64_t half = x.size(-1) / 2;
      const Tensor q = x.narrow(-1, 0, half), p = x.narrow(-1, half, half);
      return transposed ? at::cat({-p, q}, -1) : at::cat({p, -q}, -1);
    }
    case Structure::Difference:
      return (x.roll(-1, -1) - x.roll(1, -1)).mul_((transposed ? -0.5 : 0.5) / dx_);
    case Structure::Laplacian:
      return (x.roll(-1, -1) + x.roll(1, -1)).sub_(x, 2).mul_(1 / (dx_ * dx_));
    case Structure::Identity:
      break;
  }
  return x;
}

Tensor EnergyField::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const bool replay = pass.mode == Mode::Replay && saved.extra.has_value();
  if (!replay) saved.extra = std::make_shared<EnergyKept>();
  EnergyKept& kept = energy_kept(saved);
  kept.batch = inputs[0].size(0);
  const Tensor energy = h_->run(inputs, kept.activity, pass.inside());
  kept.output = energy.sizes().vec();
  kept.activity.values.clear();
  Feedback exact;
  Sweep sweep{exact};
  std::vector<char> wanted(inputs.size(), 0);
  wanted[0] = 1;
  const Tensor gradient =
      h_->sweep(kept.activity, {{h_->output_node(), at::ones_like(energy)}}, sweep, wanted)[0];
  if (!gradient.defined()) return at::zeros_like(inputs[0]);
  return structured(gradient, false);
}

Tensor EnergyField::energy(std::span<const Tensor> inputs, const Pass& pass) const {
  Activity scratch;
  return h_->run(inputs, scratch, pass, {.forget = true}).flatten(1).sum(1);
}

Credits EnergyField::back(Activity& activity, const Tensor& v, Wanted wanted, Sweep& sweep) const {
  const std::vector<char> none(h_->input_nodes().size(), 0);
  const Wanted of_inputs = wanted.empty() ? Wanted(none) : wanted;
  std::vector<Tensor> tangents;
  h_->push(activity, Push{.inputs = {v}}, &tangents);
  const size_t output = static_cast<size_t>(h_->output_node());
  TangentSweep second{.tangents = tangents};
  if (tangents[output].defined())
    second.seeds = {{h_->output_node(), at::ones_like(tangents[output])}};
  Credits out = h_->sweep(activity, {}, second, sweep, of_inputs).of_values;
  if (of_inputs[0] && !out[0].defined()) out[0] = at::zeros_like(v);
  return out;
}

Credits EnergyField::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                            const Tensor* substitute, Sweep& sweep) const {
  if (substitute)
    throw Refusal("energy", "an energy has no single weight to substitute",
                  "substitute those of its parts");
  EnergyKept& kept = energy_kept(saved);
  const Tensor v = structured(cot, true);
  // Each cotangent is a tangent of its own, and credits of different ones are not to be summed.
  const int64_t cots = cot.size(0) / std::max<int64_t>(1, kept.batch);
  if (cots == 1) return back(kept.activity, v, wanted, sweep);
  std::vector<std::vector<Tensor>> parts(wanted.size());
  for (int64_t m = 0; m < cots; ++m) {
    Sweep own = sweep;
    own.release = sweep.release && m + 1 == cots;
    const Credits one = back(kept.activity, v.narrow(0, m * kept.batch, kept.batch), wanted, own);
    for (size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i] && one[i].defined()) parts[i].push_back(one[i]);
  }
  Credits out(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    if (!parts[i].empty()) out[i] = at::cat(parts[i]);
  return out;
}

/// The Hessian is symmetric: S (H'' tangent), with H'' tangent as the credit that S^T brings.
Tensor EnergyField::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  if (input != 0)
    throw Refusal("energy", "the tangent of its field along the time is not known",
                  "use a rule that sends credit back, and a T that is not learnt");
  EnergyKept& kept = energy_kept(saved);
  std::vector<char> wanted(static_cast<size_t>(arity()), 0);
  wanted[0] = 1;
  Feedback exact;
  std::vector<Tensor> parts;
  for (const Tensor& one : tangent.split(std::max<int64_t>(1, kept.batch))) {
    Sweep sweep{exact};
    parts.push_back(structured(back(kept.activity, one, wanted, sweep)[0], false));
  }
  return at::cat(parts);
}

int64_t EnergyField::multiply_adds(std::span<const Spec> inputs) const {
  return 2 * h_->multiply_adds(inputs);
}

Traits EnergyField::traits() const {
  Traits out = h_->traits();
  out.reuses = true;
  return out;
}

OpPtr energy_field(std::shared_ptr<Graph> h, Structure structure, double dx) {
  return std::make_shared<EnergyField>(std::move(h), structure, dx);
}

}  // namespace altprop::ode
