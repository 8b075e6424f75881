#include "altprop/theory/two_layer.h"

#include <cmath>
#include <numbers>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/theory/network_form.h"
#include "altprop/theory/reduced_form.h"
#include "altprop/theory/relu_sweep.h"

namespace altprop::theory {

Psi psi_of(const std::string& name) {
  const std::vector<std::string> names{"linear", "relu", "tanh", "sigmoid"};
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Psi>(i);
  throw UsageError("there is no psi '" + name + "'" + text::suggestion(name, names));
}

Tensor value(Psi psi, const Tensor& z) {
  switch (psi) {
    case Psi::Linear:
      return z;
    case Psi::Relu:
      return z.relu();
    case Psi::Tanh:
      return z.tanh();
    case Psi::Sigmoid:
      return z.sigmoid();
  }
  return z;
}

Tensor slope(Psi psi, const Tensor& z) {
  switch (psi) {
    case Psi::Linear:
      return at::ones_like(z);
    case Psi::Relu:
      return z.gt(0).to(z.scalar_type());
    case Psi::Tanh:
      return 1 - z.tanh().square();
    case Psi::Sigmoid:
      return z.sigmoid() * (-z).sigmoid();
  }
  return z;
}

std::optional<Tensor> expected_gram(Psi psi, const Tensor& x) {
  const Tensor k = x.mm(x.t());
  if (psi == Psi::Linear) return k;
  if (psi != Psi::Relu) return std::nullopt;
  // The arc-cosine kernel of order 1 (Cho and Saul, "Kernel methods for deep learning", 2009),
  // halved.
  const Tensor length = k.diagonal().sqrt();
  const Tensor scale = length.unsqueeze(1) * length.unsqueeze(0);
  const Tensor angle = (k / scale).clamp(-1, 1).acos().fill_diagonal_(0);
  return scale * (angle.sin() + (std::numbers::pi - angle) * angle.cos()) / (2 * std::numbers::pi);
}

std::optional<Spectrum> spectrum(const Tensor& gram) {
  if (!gram.isfinite().all().item<bool>()) return std::nullopt;
  const Tensor ascending = at::linalg_eigvalsh(gram.to(at::kDouble));
  return Spectrum{ascending[0].item<double>(), ascending[-1].item<double>()};
}

Draw draw(Psi psi, const std::string& teacher, const Size& size, const Stream& stream,
          at::ScalarType dtype) {
  const int64_t n = size.samples, d = size.inputs, p = size.width;
  Draw out;
  out.x = stream.at("inputs").normal({n, d}, dtype);
  if (teacher == "lr") {
    out.y = out.x.mv(stream.at("teacher").normal({d}, dtype));
  } else {
    const Tensor hidden = out.x.mm(stream.at("teacher hidden").normal({d, p}, dtype));
    out.y = value(psi, hidden).mv(stream.at("teacher output").normal({p}, dtype)) /
            std::sqrt(static_cast<double>(p));
  }
  out.w = stream.at("hidden").normal({d, p}, dtype);
  out.beta = stream.at("output").normal({p}, dtype);
  out.b = stream.at("feedback").normal({p}, dtype);
  return out;
}

std::unique_ptr<Dynamics> make_dynamics(Form form, Psi psi, bool exact, int64_t repetitions,
                                        const Draws& draws) {
  if (form == Form::Full) return std::make_unique<FullForm>(psi, exact, repetitions, draws);
  if (form == Form::Hidden) {
    const bool sweep = psi == Psi::Relu && draws(0).y.scalar_type() == at::kFloat &&
                       own_kernel_is_on(OwnKernel::ReluSweep);
    if (sweep) return std::make_unique<ReluSweep>(exact, repetitions, draws);
    return std::make_unique<HiddenForm>(psi, exact, repetitions, draws);
  }
  if (psi != Psi::Linear || exact)
    throw Refusal("the reduced form",
                  exact
                      ? "backprop's hidden weights move in more than one direction"
                      : "the hidden weights of a nonlinear network move in more than one direction",
                  "use the hidden form");
  return std::make_unique<ReducedForm>(repetitions, draws);
}

}  // namespace altprop::theory
