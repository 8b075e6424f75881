// Functions of C++ as graphs that ODEs can be solved with.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/odeint.h"

namespace altprop::ode {

namespace {

/// Inputs: z [B, ...] and t [B, 1]. Saved.t = both.
class FunctionOp : public Op {
 public:
  explicit FunctionOp(Function f) : f_(std::move(f)) {}

  std::string type() const override { return "function"; }
  int arity() const override { return 2; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  std::vector<ParamPtr> params() const override { return f_.params; }
  Traits traits() const override {
    return {.substitutable = false,
            .draws_for_batch = true,
            .couples_samples = f_.samples != Samples::Apart,
            .reuses = true};
  }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved.t.assign(inputs.begin(), inputs.end());
    at::AutoGradMode off(false);
    const std::vector<Tensor> p = values();
    Tensor out = f_.value(inputs[1], inputs[0], p);
    if (!out.defined() || out.sizes() != inputs[0].sizes())
      throw Refusal("ode", text::cat("the function makes values of shape ",
                                     out.defined() ? shape_text(out.sizes()) : std::string("none"),
                                     " of a state of shape ", shape_text(inputs[0].sizes()),
                                     ", but is the state's rate of change"));
    return out;
  }

  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override {
    refuse(substitute);
    Function::Pulled pulled = pull(saved, cot);
    Credits out = {wanted.empty() || wanted[0] ? pulled.of_x : Tensor(),
                   wanted.size() > 1 && !wanted[1] ? Tensor() : pulled.of_t};
    if (sweep.sink && sweep.shared) *sweep.shared = {cot, std::move(pulled.of_params)};
    return out;
  }

  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override {
    refuse(substitute);
    const Function::Pulled pulled = pull(saved, cot);
    const Tensor out = input == 0 ? pulled.of_x : pulled.of_t;
    if (out.defined()) return out;
    std::vector<int64_t> shape = saved.t[static_cast<size_t>(input)].sizes().vec();
    shape[0] = cot.size(0);
    return at::zeros(shape, cot.options());
  }

  Tensor jvp(const Saved&, const Tensor&, int) const override {
    throw Refusal("ode", "a function of C++ has no tangents",
                  "build f as a graph of operations where they are wanted");
  }

  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override {
    refuse(substitute);
    if (f_.params.empty()) return;
    const std::vector<Tensor> found =
        shared && shared->is_for(cot) ? shared->t : pull(saved, cot).of_params;
    for (size_t i = 0; i < f_.params.size() && i < found.size(); ++i)
      if (Slot* slot = store.of(*f_.params[i]); slot && found[i].defined())
        slot->add(found[i], scale);
  }

 private:
  static void refuse(const Tensor* substitute) {
    if (substitute)
      throw Refusal("ode", "a function's weights are hidden, so none can be substituted",
                    "build f as a graph of the library's operations");
  }

  std::vector<Tensor> values() const {
    std::vector<Tensor> out;
    for (const ParamPtr& param : f_.params) out.push_back(param->value.detach());
    return out;
  }

  /// Of each block of B rows of the cotangent.
  Function::Pulled pull(const Saved& saved, const Tensor& cot) const {
    const int64_t rows = saved.t[0].size(0), blocks = rows > 0 ? cot.size(0) / rows : 0;
    if (blocks == 1) return pull_once(saved, cot);
    Function::Pulled all;
    std::vector<Tensor> of_t, of_x;
    for (int64_t k = 0; k < blocks; ++k) {
      Function::Pulled one = pull_once(saved, cot.narrow(0, k * rows, rows));
      if (one.of_t.defined()) of_t.push_back(one.of_t);
      if (one.of_x.defined()) of_x.push_back(one.of_x);
      if (k == 0)
        all.of_params = std::move(one.of_params);
      else
        for (size_t i = 0; i < all.of_params.size(); ++i)
          if (one.of_params[i].defined())
            all.of_params[i] =
                all.of_params[i].defined() ? all.of_params[i] + one.of_params[i] : one.of_params[i];
    }
    if (!of_t.empty()) all.of_t = at::cat(of_t);
    if (!of_x.empty()) all.of_x = at::cat(of_x);
    return all;
  }

  Function::Pulled pull_once(const Saved& saved, const Tensor& cot) const {
    if (f_.vjp) {
      at::AutoGradMode off(false);
      const std::vector<Tensor> p = values();
      Function::Pulled out = f_.vjp(saved.t[1], saved.t[0], p, cot);
      if (out.of_params.size() != f_.params.size())
        throw UsageError(text::cat("ode: the function has ", f_.params.size(),
                                   " parameters, but its vjp returns gradients of ",
                                   out.of_params.size()));
      return out;
    }
    at::AutoGradMode on(true);
    std::vector<Tensor> leaves = {saved.t[1].detach().requires_grad_(),
                                  saved.t[0].detach().requires_grad_()};
    std::vector<Tensor> p;
    for (const Tensor& value : values()) p.push_back(value.detach().requires_grad_());
    leaves.insert(leaves.end(), p.begin(), p.end());
    const Tensor out = f_.value(leaves[0], leaves[1], p);
    Function::Pulled pulled;
    pulled.of_params.resize(p.size());
    if (!out.requires_grad()) return pulled;  // a constant
    std::vector<Tensor> found = torch::autograd::grad({out}, leaves, {cot}, std::nullopt, false,
                                                      /*allow_unused=*/true);
    pulled.of_t = found[0];
    pulled.of_x = found[1];
    for (size_t i = 0; i < p.size(); ++i) pulled.of_params[i] = found[i + 2];
    return pulled;
  }

  Function f_;
};

}  // namespace

std::shared_ptr<Graph> function(Function f, std::vector<int64_t> shape) {
  if (!f.value) throw UsageError("ode: the function has no value to evaluate");
  auto graph = std::make_shared<Graph>();
  const int z = graph->input({std::move(shape)}, "z"), t = graph->input(sample_time_spec(), "t");
  graph->output(graph->add(std::make_shared<FunctionOp>(std::move(f)), {z, t}, "f"));
  return graph;
}

}  // namespace altprop::ode
