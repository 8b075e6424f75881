#include "altprop/bench/limit.h"

#include <ATen/core/grad_mode.h>

#include "altprop/bench/timing.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/narrow_conv.h"
#include "altprop/tensor/outer_product.h"

namespace altprop::bench {

namespace {

constexpr size_t kFinalists = 3;

Tensor random(IntArrayRef shape) { return at::rand(shape, at::kFloat).sub_(0.5); }

/// The same values, stored the other way round if `transposed`.
Tensor stored(const Tensor& matrix, bool transposed) {
  return transposed ? matrix.t().contiguous().t() : matrix;
}

/// Selects the backend for one call.
struct Backend {
  explicit Backend(LinearBackend wanted) : before(linear_backend()) { set_linear_backend(wanted); }
  ~Backend() { set_linear_backend(before); }
  LinearBackend before;
};

}  // namespace

KernelRace::KernelRace(const Kernel& kernel) {
  at::NoGradGuard no_grad;
  if (kernel.kind == Kernel::Kind::Product) {
    add_product_forms(kernel);
  } else {
    add_convolution_forms(kernel);
  }
  for (Form& form : forms_) time(form, 2e-3);
  std::sort(forms_.begin(), forms_.end(),
            [](const Form& a, const Form& b) { return a.seconds < b.seconds; });
  if (forms_.size() > kFinalists) forms_.resize(kFinalists);
}

void KernelRace::add_product_forms(const Kernel& k) {
  if (k.batch > 1) {
    const Tensor a = random({k.batch, k.rows, k.inner}), b = random({k.batch, k.inner, k.columns});
    Tensor out = at::empty({k.batch, k.rows, k.columns});
    forms_.push_back({"bmm", [=]() mutable { at::bmm_out(out, a, b); }});
    return;
  }
  const Tensor left = random({k.rows, k.inner}), right = random({k.inner, k.columns});
  for (const bool turned : {false, true}) {
    const Tensor a = turned ? right.t().contiguous() : left;
    const Tensor b = turned ? left.t().contiguous() : right;
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true}) {
        const Tensor x = stored(a, a_transposed), y = stored(b, b_transposed);
        const std::string name = std::string(turned ? "turned " : "") + (a_transposed ? "t" : "n") +
                                 (b_transposed ? "t" : "n");
        Tensor out = at::empty({a.size(0), b.size(1)});
        forms_.push_back({"mm " + name, [=]() mutable { at::mm_out(out, x, y); }});
        if (outer_product_fits(out, x, y))
          forms_.push_back({"own " + name, [=]() mutable { outer_product_into(out, x, y, 0, 1); }});
        if (onednn_available())
          forms_.push_back({"oneDNN " + name, [=] {
                              const Backend backend(LinearBackend::OneDnn);
                              gemm(x, y);
                            }});
      }
  }
}

void KernelRace::add_convolution_forms(const Kernel& k) {
  const Tensor image = random(k.input), weight = random(k.weight);
  const bool planes = k.input.size() == 4;
  for (const bool image_last : {false, true})
    for (const bool weight_last : {false, true}) {
      if (!planes && (image_last || weight_last)) continue;
      const auto layout = [](const Tensor& t, bool last) {
        return last ? t.contiguous(at::MemoryFormat::ChannelsLast) : t;
      };
      const Tensor x = layout(image, image_last), w = layout(weight, weight_last);
      const std::string name = std::string(image_last ? "channels-last" : "plain") + " image, " +
                               (weight_last ? "channels-last" : "plain") + " weight";
      auto forward = [=, k = k] {
        return at::convolution(x, w, {}, k.stride, k.padding, k.dilation, k.transposed,
                               k.output_padding, k.groups);
      };
      if (k.kind == Kernel::Kind::Forward) {
        forms_.push_back({name, [=] { forward(); }});
        continue;
      }
      const Tensor cot = layout(random(forward().sizes()), image_last);
      const bool to_input = k.kind == Kernel::Kind::InputCredit;
      forms_.push_back({name, [=, k = k] {
                          at::convolution_backward(cot, x, w, {}, k.stride, k.padding, k.dilation,
                                                   k.transposed, k.output_padding, k.groups,
                                                   {to_input, !to_input, false});
                        }});
      const bool simple = k.stride == std::vector<int64_t>{1, 1} && !k.transposed &&
                          k.dilation == std::vector<int64_t>{1, 1} && k.groups == 1;
      if (to_input && simple && narrow_credit_fits(cot, w, k.padding[0]))
        forms_.push_back({"own, " + name, [=, k = k] { narrow_credit(cot, w, k.padding[0]); }});
    }
}

void KernelRace::time(Form& form, double budget) {
  form.call();  // operands into the caches
  form.seconds = std::min(form.seconds, time_calls(form.call, budget, 3));
}

void KernelRace::round(double budget) {
  at::NoGradGuard no_grad;
  for (Form& form : forms_) time(form, budget / static_cast<double>(forms_.size()));
}

const KernelRace::Form& KernelRace::winner() const {
  return *std::min_element(forms_.begin(), forms_.end(),
                           [](const Form& a, const Form& b) { return a.seconds < b.seconds; });
}

void Limits::add(const std::vector<CountedKernel>& kernels) {
  for (const CountedKernel& c : kernels)
    timed_.try_emplace(c.kernel.name(), Timed{KernelRace(c.kernel), c.kernel.flops()});
}

void Limits::round(double budget) {
  for (auto& [name, timed] : timed_) timed.race.round(budget);
}

double Limits::seconds(const std::vector<CountedKernel>& kernels) const {
  double total = 0;
  for (const CountedKernel& c : kernels)
    total += static_cast<double>(c.count) * timed_.at(c.kernel.name()).race.seconds();
  return total;
}

std::vector<Limits::Entry> Limits::entries() const {
  std::vector<Entry> out;
  for (const auto& [name, timed] : timed_)
    out.push_back({name, timed.race.form(), timed.flops / timed.race.seconds()});
  return out;
}

}  // namespace altprop::bench
