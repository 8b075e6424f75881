#include "altprop/tensor/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "altprop/base/error.h"
#include "altprop/tensor/outer_product.h"
#include "altprop/tensor/rows.h"
#include "altprop/tensor/tanh.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>

// `mkldnn::_linear_pointwise` is an internal operator of libtorch: reached by name through the
// dispatcher, tried out once at start-up against at::linear, and never used where it is missing or
// wrong.
//
// Its fused activations are not used. oneDNN's ReLU makes 0 of NaN, so that a diverged network
// looks healthy from its second layer on; and what its other activations make of NaN and infinity
// depends on the code that it generates for processor and shape, which no test at start-up can
// cover. A pass of its own follows over the product, which is still in the cache: of [64, 784]
// [784, 500], ReLU's takes less than a hundredth of the product's time.

namespace altprop {

namespace {

using LinearPointwise = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&,
                               c10::string_view, c10::List<std::optional<at::Scalar>>,
                               std::optional<c10::string_view>);

std::optional<c10::TypedOperatorHandle<LinearPointwise>> find_linear_pointwise() {
  auto handle = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!handle) return std::nullopt;
  try {
    return handle->typed<LinearPointwise>();
  } catch (const c10::Error&) {
    return std::nullopt;  // another libtorch with another signature
  }
}

Tensor onednn_linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  static const auto op = find_linear_pointwise();
  return op->call(x, w, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt, "none",
                  c10::List<std::optional<at::Scalar>>(), "");
}

void apply_(Tensor& out, Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::Relu:
      out.relu_();
      break;
    case Epilogue::Tanh:
      apply_tanh_(out);
      break;
    case Epilogue::Sigmoid:
      out.sigmoid_();
      break;
    case Epilogue::None:
      break;
  }
}

Tensor aten_linear(const Tensor& x, const Tensor& w, const Tensor& bias, Epilogue epilogue) {
  const bool apart = bias.defined() && x.device().is_cpu();
  Tensor out = bias.defined() && !apart ? at::addmm(bias, x, w.t()) : at::mm(x, w.t());
  if (apart && epilogue == Epilogue::Tanh) {
    apply_tanh_(out, bias);
    return out;
  }
  const bool relu_too = apart && epilogue == Epilogue::Relu;
  if (apart) add_bias_(out, bias, relu_too);
  if (!relu_too) apply_(out, epilogue);
  return out;
}

bool passes_self_test() {
  if (!find_linear_pointwise()) return false;
  try {
    Tensor x = at::arange(12, at::kFloat).view({3, 4}).sin(),
           w = at::arange(20, at::kFloat).view({5, 4}).cos();
    Tensor b = at::arange(5, at::kFloat).sub(2);
    const Tensor strided = w.t().contiguous().t();
    return at::allclose(onednn_linear(x, w, b), at::linear(x, w, b), 1e-5, 1e-6) &&
           at::allclose(onednn_linear(x, strided, {}), at::linear(x, w), 1e-5, 1e-6);
  } catch (const std::exception&) {
    return false;
  }
}

bool is_amd() {
#if defined(__x86_64__)
  unsigned eax = 0, vendor[4] = {};
  if (!__get_cpuid(0, &eax, &vendor[0], &vendor[2], &vendor[1])) return false;
  return std::strcmp(reinterpret_cast<const char*>(vendor), "AuthenticAMD") == 0;
#else
  return false;
#endif
}

[[noreturn]] void no_onednn() {
  throw UsageError("this libtorch offers no working oneDNN linear operator; use the ATen backend");
}

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("x86-64-v4");
#else
  return false;
#endif
}

/// What ALTPROP_LINEAR_BACKEND says, else by the table: of AVX-512, MKL makes nothing on AMD
/// processors (less than half of oneDNN's rate); on those without it (EPYC of the third generation)
/// a training step of the MLP takes 0.7 to 0.8 of the time with oneDNN, whose small products are
/// slow. On Intel's own the two are close.
LinearBackend first_backend() {
  const char* set = std::getenv("ALTPROP_LINEAR_BACKEND");
  if (!set || !*set)
    return is_amd() && has_avx512() && onednn_available() ? LinearBackend::OneDnn : LinearBackend::Aten;
  const std::string wanted = set;
  if (wanted == "aten") return LinearBackend::Aten;
  if (wanted != "onednn")
    throw UsageError("ALTPROP_LINEAR_BACKEND is 'aten' or 'onednn', not '" + wanted + "'");
  if (!onednn_available()) no_onednn();
  return LinearBackend::OneDnn;
}

LinearBackend& backend_slot() {
  static LinearBackend backend = first_backend();
  return backend;
}

bool takes_onednn(const Tensor& a, const Tensor& b) {
  return backend_slot() == LinearBackend::OneDnn && a.scalar_type() == at::kFloat &&
         a.device().is_cpu() && a.numel() > 0 && b.numel() > 0;
}

}  // namespace

bool onednn_available() {
  static const bool available = passes_self_test();
  return available;
}

LinearBackend linear_backend() { return backend_slot(); }

void set_linear_backend(LinearBackend backend) {
  if (backend == LinearBackend::OneDnn && !onednn_available()) no_onednn();
  backend_slot() = backend;
}

Tensor linear_forward(const Tensor& x, const Tensor& w, const Tensor& bias, Epilogue epilogue) {
  if (!takes_onednn(x, w)) return aten_linear(x, w, bias, epilogue);
  Tensor out = onednn_linear(x, w, bias);
  apply_(out, epilogue);
  return out;
}

Tensor gemm(const Tensor& a, const Tensor& b) {
  return takes_onednn(a, b) ? onednn_linear(a, b.t(), {}) : at::mm(a, b);
}

void gemm_into(Tensor& out, const Tensor& a, const Tensor& b, double beta, double alpha) {
  if (outer_product_fits(out, a, b)) return outer_product_into(out, a, b, beta, alpha);
  if (takes_onednn(a, b)) {
    Tensor product = onednn_linear(a, b.t(), {});
    if (beta == 0) {
      if (alpha == 1) {
        out.copy_(product);
      } else {
        at::mul_out(out, product, at::scalar_tensor(alpha, product.options()));
      }
    } else {
      if (beta != 1) out.mul_(beta);
      out.add_(product, alpha);
    }
    return;
  }
  at::addmm_out(out, out, a, b, beta, alpha);
}

}  // namespace altprop
