#include "altprop/network/ops/combine.h"

#include <numeric>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

namespace {
Spec one_shape(const std::string& where, std::span<const Spec> inputs) {
  for (const Spec& spec : inputs) {
    expect_real(where, spec);
    if (spec != inputs[0])
      throw Refusal(where, text::cat("inputs of shapes ", shape_text(inputs[0].shape), " and ",
                                     shape_text(spec.shape), " do not fit"));
  }
  return inputs[0];
}

int at_least_two(const std::string& where, int n) {
  if (n < 2) throw Refusal(where, text::cat("it needs at least 2 inputs, not ", n));
  return n;
}
}  // namespace

Add::Add(int n) : n_(at_least_two("add", n)) {}

std::string Add::settings() const { return n_ == 2 ? "" : text::cat("n=", n_); }

Spec Add::infer(std::span<const Spec> inputs) const { return one_shape(type(), inputs); }

Tensor Add::forward(std::span<const Tensor> inputs, Saved&, const Pass&) const {
  Tensor out = inputs[0] + inputs[1];
  for (size_t i = 2; i < inputs.size(); ++i) out.add_(inputs[i]);
  return out;
}

Spec Multiply::infer(std::span<const Spec> inputs) const { return one_shape(type(), inputs); }

Tensor Multiply::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.t = {inputs[0], inputs[1]};
  return inputs[0] * inputs[1];
}

Tensor Multiply::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  return cot * match_rows(saved.t[input == 0 ? 1 : 0], cot);
}

Concat::Concat(int n, int64_t dim) : n_(at_least_two("concat", n)), dim_(dim) {
  if (dim < 1)
    throw Refusal("concat",
                  text::cat("the dimension must be at least 1 (0 is the batch), but is ", dim));
}

std::string Concat::settings() const {
  return text::cat("n=", n_, dim_ == 1 ? "" : text::cat(",dim=", dim_));
}

Spec Concat::infer(std::span<const Spec> inputs) const {
  Spec out = inputs[0];
  const size_t d = static_cast<size_t>(dim_ - 1);
  if (d >= out.shape.size())
    throw Refusal(type(), text::cat("samples of shape ", shape_text(out.shape),
                                    " have no dimension ", dim_, " (0 is the batch)"));
  for (size_t i = 1; i < inputs.size(); ++i) {
    Spec rest = inputs[i];
    if (d < rest.shape.size()) rest.shape[d] = inputs[0].shape[d];
    if (rest != inputs[0])
      throw Refusal(
          type(), text::cat("inputs of shapes ", shape_text(inputs[0].shape), " and ",
                            shape_text(inputs[i].shape), " differ in more than dimension ", dim_));
    out.shape[d] += inputs[i].shape[d];
  }
  return out;
}

Tensor Concat::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape.clear();
  for (const Tensor& x : inputs) saved.shape.push_back(x.size(dim_));
  return at::cat(std::vector<Tensor>(inputs.begin(), inputs.end()), dim_);
}

namespace {
int64_t offset_of(const Saved& saved, int input) {
  return std::accumulate(saved.shape.begin(), saved.shape.begin() + input, int64_t{0});
}
}  // namespace

Tensor Concat::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  return cot.narrow(dim_, offset_of(saved, input), saved.shape[static_cast<size_t>(input)]);
}

Tensor Concat::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  std::vector<int64_t> shape = tangent.sizes().vec();
  shape[static_cast<size_t>(dim_)] = offset_of(saved, n_);
  Tensor out = at::zeros(shape, tangent.options());
  out.narrow(dim_, offset_of(saved, input), tangent.size(dim_)).copy_(tangent);
  return out;
}

OpPtr add(int n) { return std::make_shared<Add>(n); }
OpPtr multiply() { return std::make_shared<Multiply>(); }
OpPtr concat(int n, int64_t dim) { return std::make_shared<Concat>(n, dim); }

}  // namespace altprop
