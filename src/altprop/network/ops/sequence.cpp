#include "altprop/network/ops/sequence.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

namespace {

/// What inputs from number `first` on have in common.
Spec common_shape(const std::string& where, std::span<const Spec> inputs, size_t first) {
  for (size_t i = first; i < inputs.size(); ++i) {
    expect_alike(where, inputs[first], inputs[i]);
    if (inputs[i] != inputs[first])
      throw Refusal(where, text::cat("steps of shapes ", shape_text(inputs[first].shape), " and ",
                                     shape_text(inputs[i].shape), " do not fit"));
  }
  return inputs[first];
}

int at_least_one(const std::string& where, int n) {
  if (n < 1) throw Refusal(where, text::cat("it needs at least 1 step, not ", n));
  return n;
}

}  // namespace

// ---- one step ----

TakeStep::TakeStep(int64_t step) : step_(step) {
  if (step < 0) throw Refusal(type(), text::cat("steps count from 0, but it is ", step));
}

std::string TakeStep::settings() const { return text::cat("t=", step_); }

Spec TakeStep::infer(std::span<const Spec> inputs) const {
  const std::vector<int64_t>& shape = inputs[0].shape;
  if (shape.empty() || step_ >= shape[0])
    throw Refusal(type(), text::cat("samples of shape ", shape_text(shape), " have no step ", step_,
                                    ", counted from 0"));
  Spec out = inputs[0];
  out.shape.erase(out.shape.begin());
  return out;
}

Tensor TakeStep::apply(const Tensor& x) const { return x.select(1, step_); }

Tensor TakeStep::transposed(const Tensor& cot, IntArrayRef shape) const {
  Tensor out = at::zeros(shape, cot.options());
  out.select(1, step_).copy_(cot);
  return out;
}

// ---- all steps ----

Stack::Stack(int n) : n_(at_least_one("stack", n)) {}

std::string Stack::settings() const { return text::cat("n=", n_); }

Spec Stack::infer(std::span<const Spec> inputs) const {
  Spec out = common_shape(type(), inputs, 0);
  out.shape.insert(out.shape.begin(), n_);
  return out;
}

Tensor Stack::forward(std::span<const Tensor> inputs, Saved&, const Pass&) const {
  return at::stack(std::vector<Tensor>(inputs.begin(), inputs.end()), 1);
}

Tensor Stack::vjp(const Saved&, const Tensor& cot, int input, const Tensor*) const {
  return cot.select(1, input);
}

Tensor Stack::jvp(const Saved&, const Tensor& tangent, int input) const {
  std::vector<int64_t> shape = tangent.sizes().vec();
  shape.insert(shape.begin() + 1, n_);
  Tensor out = at::zeros(shape, tangent.options());
  out.select(1, input).copy_(tangent);
  return out;
}

// ---- the last step ----

LastStep::LastStep(int n) : n_(at_least_one("last-step", n)) {}

std::string LastStep::settings() const { return text::cat("n=", n_); }

Spec LastStep::infer(std::span<const Spec> inputs) const {
  if (inputs[0].shape != std::vector<int64_t>{n_})
    throw Refusal(type(), text::cat("tokens of shape ", shape_text(inputs[0].shape), " do not fit ",
                                    n_, " steps"));
  return common_shape(type(), inputs, 1);
}

Tensor LastStep::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor last = inputs[0].ge(0).sum(1).sub_(1).clamp_min_(0);
  saved.t.assign(1, last);
  const Tensor all = at::stack(std::vector<Tensor>(inputs.begin() + 1, inputs.end()), 0);
  const Tensor rows = at::arange(last.size(0), last.options());
  return all.flatten(0, 1).index_select(0, last * last.size(0) + rows);
}

Tensor LastStep::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  if (input == 0)
    throw Refusal(type(), "token numbers have no derivative", "ask for the credit of the steps");
  std::vector<int64_t> shape(static_cast<size_t>(cot.dim()), 1);
  shape[0] = cot.size(0);
  // Not a product, in which NaN of one sample's last step would reach its other steps.
  return cot.masked_fill(match_rows(saved.t[0], cot).ne(input - 1).view(shape), 0);
}

OpPtr take_step(int64_t step) { return std::make_shared<TakeStep>(step); }
OpPtr stack(int n) { return std::make_shared<Stack>(n); }
OpPtr last_step(int n) { return std::make_shared<LastStep>(n); }

}  // namespace altprop
