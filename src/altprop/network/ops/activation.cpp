#include "altprop/network/ops/activation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/planar.h"
#include "altprop/tensor/tanh.h"

namespace altprop {

namespace {

constexpr Analytic kDsilu{Analytic::Kind::Dsilu};

Tensor reused(const Tensor& x, bool overwrite) { return overwrite ? x : at::empty_like(x); }

Tensor clamp(const Tensor& x, double low, double high, bool overwrite) {
  Tensor out = reused(x, overwrite);
  return at::clamp_out(out, x, low, high);
}

/// Derivative of a clamp read off its output: 1 strictly inside, 0 at and beyond the borders.
Tensor pull_clamp(const Tensor& cot, const Tensor& y, double low, double high, double slope) {
  return at::hardtanh_backward(cot, y, low, high).mul_(slope);
}

/// f'' of f = 1 / (1 + exp(-a)) from its value.
Tensor bend_of_sigmoid(const Tensor& y) { return at::sigmoid_backward(1 - 2 * y, y); }

// The hard sigmoids are the forms used in equilibrium propagation (Laborieux et al. 2021, arXiv
// 2006.03824 and its code).
const std::vector<Activation::Form>& table() {
  using Bounded = Activation::Bounded;
  static const std::vector<Activation::Form> forms = {
      {"relu",
       [](const Tensor& x, double, bool overwrite) {
         Tensor out = reused(x, overwrite);
         return at::clamp_min_out(out, x, 0);
       },
       [](const Tensor& cot, const Tensor& y, double) { return at::threshold_backward(cot, y, 0); },
       true, Epilogue::Relu, 0, ""},
      {"leaky-relu",
       [](const Tensor& x, double a, bool overwrite) {
         Tensor out = reused(x, overwrite);
         return at::leaky_relu_out(out, x, a);
       },
       [](const Tensor& cot, const Tensor& y, double a) {
         return at::leaky_relu_backward(cot, y, a, true);
       },
       true, Epilogue::None, 0.01, "slope for negative inputs"},
      {"elu",
       [](const Tensor& x, double a, bool overwrite) {
         Tensor out = reused(x, overwrite);
         return at::elu_out(out, x, a);
       },
       [](const Tensor& cot, const Tensor& y, double a) {
         return at::elu_backward(cot, a, 1, 1, true, y);
       },
       true,
       Epilogue::None,
       1,
       "value approached for very negative inputs, negated",
       {},
       [](const Tensor& y, double a) { return at::where(y < 0, y + a, 0); }},
      {"tanh",
       [](const Tensor& x, double, bool overwrite) {
         Tensor out = overwrite ? x : x.clone();
         apply_tanh_(out);
         return out;
       },
       [](const Tensor& cot, const Tensor& y, double) { return at::tanh_backward(cot, y); }, true,
       Epilogue::Tanh, 0, "", Bounded{1, {}, Analytic{Analytic::Kind::Tanh}},
       [](const Tensor& y, double) { return at::tanh_backward(y, y).mul_(-2); }},
      {"sigmoid",
       [](const Tensor& x, double, bool overwrite) {
         Tensor out = reused(x, overwrite);
         return at::sigmoid_out(out, x);
       },
       [](const Tensor& cot, const Tensor& y, double) { return at::sigmoid_backward(cot, y); },
       true, Epilogue::Sigmoid, 0, "",
       Bounded{0.25, Squash{Squash::Kind::Sigmoid}, Analytic{Analytic::Kind::Logistic}},
       [](const Tensor& y, double) { return bend_of_sigmoid(y); }},
      {"shifted-sigmoid",  // 1 / (1 + exp(-4 (a - 1/2)))
       [](const Tensor& x, double, bool overwrite) {
         Tensor out = reused(x, overwrite);
         at::sub_out(out, x, at::scalar_tensor(0.5, x.options()));
         return out.mul_(4).sigmoid_();
       },
       [](const Tensor& cot, const Tensor& y, double) {
         return at::sigmoid_backward(cot, y).mul_(4);
       },
       true, Epilogue::None, 0, "",
       Bounded{1, Squash{Squash::Kind::Sigmoid, 4, -2}, Analytic{Analytic::Kind::Logistic, 4, -2}},
       [](const Tensor& y, double) { return bend_of_sigmoid(y).mul_(16); }},
      {"hard-sigmoid",
       [](const Tensor& x, double, bool overwrite) { return clamp(x, 0, 1, overwrite); },
       [](const Tensor& cot, const Tensor& y, double) { return pull_clamp(cot, y, 0, 1, 1); }, true,
       Epilogue::None, 0, "", Bounded{1, Squash{Squash::Kind::Clamp}, {}}},
      {"half-hard-sigmoid",  // clamp(a / 2, 0, 1)
       [](const Tensor& x, double, bool overwrite) {
         Tensor out = reused(x, overwrite);
         return at::mul_out(out, x, at::scalar_tensor(0.5, x.options())).clamp_(0, 1);
       },
       [](const Tensor& cot, const Tensor& y, double) { return pull_clamp(cot, y, 0, 1, 0.5); },
       true, Epilogue::None, 0, "", Bounded{0.5, Squash{Squash::Kind::Clamp, 0.5f}, {}}},
      {"centred-hard-sigmoid",
       [](const Tensor& x, double, bool overwrite) { return clamp(x, -0.5, 0.5, overwrite); },
       [](const Tensor& cot, const Tensor& y, double) { return pull_clamp(cot, y, -0.5, 0.5, 1); },
       true, Epilogue::None, 0, "", Bounded{1, Squash{Squash::Kind::Clamp, 1, 0, -0.5f, 0.5f}, {}}},
      {"dsilu",  // a smooth clamp(a / 2, 0, 1), analytic in a strip (Laborieux & Zenke 2022)
       [](const Tensor& x, double, bool) {
         Tensor out = x.clone();
         apply_analytic_(out, {x.dim() ? x.size(0) : 1, 0}, kDsilu);
         return out;
       },
       [](const Tensor& cot, const Tensor& x, double) { return cot * analytic_slope(x, kDsilu); },
       false, Epilogue::None, 0, "", Bounded{0.5, {}, kDsilu},
       [](const Tensor& x, double) {
         const Tensor f = x.sigmoid(), g = (x - 2).sigmoid(), half = x / 2;
         return at::sigmoid_backward(1 + half * (1 - 2 * f), f) -
                at::sigmoid_backward(1 - (1 - half) * (1 - 2 * g), g);
       }},
      {"softplus",
       [](const Tensor& x, double, bool) { return at::softplus(x); },
       [](const Tensor& cot, const Tensor& x, double) {
         return at::softplus_backward(cot, x, 1, 20);
       },
       false,
       Epilogue::None,
       0,
       "",
       {},
       // Beyond 20 it is taken for the identity, here too.
       [](const Tensor& x, double) {
         const Tensor s = x.sigmoid();
         return at::where(x > 20, 0, s * (1 - s));
       }},
      {"gelu",
       [](const Tensor& x, double, bool) { return at::gelu(x); },
       [](const Tensor& cot, const Tensor& x, double) { return at::gelu_backward(cot, x); },
       false,
       Epilogue::None,
       0,
       "",
       {},
       [](const Tensor& x, double) {
         const Tensor square = x.square();
         return (2 - square) * (square * -0.5).exp_() * 0.3989422804014327;  // 1 / sqrt(2 pi)
       }},
      {"silu",  // x / (1 + exp(-x)) (Elfwing, Uchibe, Doya 2018, arXiv 1702.03118)
       [](const Tensor& x, double, bool) { return at::silu(x); },
       [](const Tensor& cot, const Tensor& x, double) { return at::silu_backward(cot, x); },
       false,
       Epilogue::None,
       0,
       "",
       {},
       [](const Tensor& x, double) {
         const Tensor s = x.sigmoid();
         return s * (1 - s) * (2 + x * (1 - 2 * s));
       }},
      {"hardswish",  // x clamp(x + 3, 0, 6) / 6 (Howard et al. 2019, arXiv 1905.02244)
       [](const Tensor& x, double, bool) { return at::hardswish(x); },
       [](const Tensor& cot, const Tensor& x, double) { return at::hardswish_backward(cot, x); },
       false, Epilogue::None, 0, ""},
      {"relu6",  // clamp(x, 0, 6) (Howard et al. 2017, arXiv 1704.04861)
       [](const Tensor& x, double, bool overwrite) { return clamp(x, 0, 6, overwrite); },
       [](const Tensor& cot, const Tensor& y, double) { return pull_clamp(cot, y, 0, 6, 1); }, true,
       Epilogue::None, 0, ""},
      {"identity", [](const Tensor& x, double, bool) { return x; },
       [](const Tensor& cot, const Tensor&, double) { return cot; }, true, Epilogue::None, 0, ""},
  };
  return forms;
}

}  // namespace

std::vector<std::string> Activation::names() {
  std::vector<std::string> out;
  for (const Form& form : table()) out.push_back(form.name);
  return out;
}

Activation::Activation(const std::string& name) : form_(nullptr), parameter_(0) {
  const size_t bracket = name.find('(');
  const std::string head = text::trim(name.substr(0, bracket));
  for (const Form& form : table())
    if (form.name == head) form_ = &form;
  if (!form_)
    throw UsageError("there is no activation '" + head + "'" + text::suggestion(head, names()));
  parameter_ = form_->default_parameter;
  if (bracket == std::string::npos) return;
  const auto value = name.back() == ')'
                         ? text::to_number(name.substr(bracket + 1, name.size() - bracket - 2))
                         : std::nullopt;
  if (form_->parameter_help.empty() || !value || !(*value >= 0 && *value <= 1e30))
    throw UsageError(text::cat("activation '", name, "': ",
                               form_->parameter_help.empty()
                                   ? head + " takes no parameter"
                                   : "the parameter (" + form_->parameter_help +
                                         ") must be a number of at least 0 and at most 1e30"));
  parameter_ = *value;
}

std::string Activation::settings() const {
  return form_->parameter_help.empty() ? "" : text::from_number(parameter_);
}

double Activation::steepest() const {
  if (form_->bounded) return form_->bounded->steepest;
  if (form_->name == "gelu") return 1.1289;  // at sqrt(2)
  if (form_->name == "silu") return 1.0999;  // at 2.3994
  if (form_->name == "hardswish") return 1.5;  // in front of 3
  // Of the others with a parameter it is the slope on one side, or at its edge.
  return form_->parameter_help.empty() ? 1 : std::max(1.0, parameter_);
}

Traits Activation::traits() const {
  const bool same = is_identity();
  std::optional<Interval> nearest;
  if (form_->epilogue == Epilogue::Relu) nearest = Interval{0, INFINITY};
  if (const auto squash = form_->bounded ? form_->bounded->squash : std::nullopt;
      squash && squash->kind == Squash::Kind::Clamp && squash->gain == 1 && squash->shift == 0)
    nearest = Interval{squash->low, squash->high};
  return {.response = same ? Response::Linear : Response::Curved,
          .activation = true,
          .nearest_in = nearest,
          .reshapes = same,
          .views = same};
}

Tensor Activation::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  Tensor out = form_->apply(inputs[0], parameter_, pass.overwrite && form_->from_output);
  saved.t.assign(1, form_->from_output ? out : inputs[0]);
  return out;
}

bool Activation::has_jvp_vjp() const {
  if (is_identity()) return true;
  // The slope of elu jumps at 0 unless its parameter is 1.
  return form_->bend && (form_->name != "elu" || parameter_ == 1);
}

Tensor Activation::jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                           int input) const {
  if (is_identity() || !has_jvp_vjp()) return Op::jvp_vjp(saved, tangents, cot, input);
  const Tensor &kept = saved.t[0], &tangent = tangents[0];
  const Tensor moved = fold_tangents(cot * match_rows(tangent, cot), tangent.size(0), kept.size(0));
  return moved * match_rows(form_->bend(kept, parameter_), moved);
}

Tensor Activation::slope_at(const Tensor& kept) const {
  return form_->pull(at::ones_like(kept), kept, parameter_);
}

Tensor Activation::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  const Tensor y = match_rows(saved.t[0], cot);
  return form_->pull(stored_like(cot, y), y, parameter_);
}

}  // namespace altprop
