#include "altprop/ode/with_time.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

std::string WithTime::settings() const { return dim_ == 1 ? "" : text::cat("dim=", dim_); }

Takes WithTime::takes(int input) const { return {.unbatched = input == 1}; }

Spec WithTime::infer(std::span<const Spec> inputs) const {
  if (inputs[1].shape != std::vector<int64_t>{1})
    throw Refusal(type(),
                  "its second input is a time, one number for the whole batch or each sample");
  const auto rank = static_cast<int64_t>(inputs[0].shape.size());
  const int64_t dim = dim_ < 0 ? rank + 1 + dim_ : dim_;
  if (dim < 1 || dim > rank)
    throw Refusal(type(), text::cat("samples of shape ", shape_text(inputs[0].shape),
                                    " have no dimension ", dim_, " (0 is the batch)"));
  Spec out{inputs[0].shape};
  ++out.shape[static_cast<size_t>(dim - 1)];
  return out;
}

Tensor WithTime::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& x = inputs[0];
  saved.shape = x.sizes().vec();
  std::vector<int64_t> shape = saved.shape;
  shape[static_cast<size_t>(dim_ < 0 ? x.dim() + dim_ : dim_)] = 1;
  Tensor time = inputs[1];
  if (time.dim() == 2) {
    saved.t = {time};
    std::vector<int64_t> column(shape.size(), 1);
    column[0] = shape[0];
    time = time.view(column);
  }
  return at::cat({time.expand(shape), x}, dim_);
}

Tensor WithTime::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  if (input == 0) return cot.narrow(dim_, 1, cot.size(dim_) - 1);
  const Tensor of_time = cot.narrow(dim_, 0, 1).reshape({cot.size(0), -1}).sum(1, true);
  return saved.t.empty() ? sum_to_unbatched(of_time, saved.shape[0]) : of_time;
}

Tensor WithTime::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const Tensor rows =
      input == 0 || !saved.t.empty() ? tangent : spread_over_batch(tangent, saved.shape[0]);
  std::vector<int64_t> shape = saved.shape;
  shape[0] = rows.size(0);
  const size_t d = static_cast<size_t>(dim_ < 0 ? static_cast<int64_t>(shape.size()) + dim_ : dim_);
  ++shape[d];
  Tensor out = at::zeros(shape, rows.options());
  if (input == 0) {
    out.narrow(dim_, 1, shape[d] - 1).copy_(rows);
  } else {
    std::vector<int64_t> ones(shape.size(), 1);
    ones[0] = shape[0];
    out.narrow(dim_, 0, 1).copy_(rows.view(ones).expand_as(out.narrow(dim_, 0, 1)));
  }
  return out;
}

OpPtr with_time(int64_t dim) { return std::make_shared<WithTime>(dim); }

}  // namespace altprop::ode
