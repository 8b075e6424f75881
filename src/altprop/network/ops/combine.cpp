#include "altprop/network/ops/combine.h"

#include <algorithm>
#include <numeric>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

namespace {

/// Of every input the same sample; what is made has a batch dimension.
Spec one_shape(const std::string& where, std::span<const Spec> inputs) {
  for (const Spec& spec : inputs) {
    expect_real(where, spec);
    if (spec.shape != inputs[0].shape)
      throw Refusal(where, text::cat("inputs of shapes ", shape_text(inputs[0].shape), " and ",
                                     shape_text(spec.shape), " do not fit"));
  }
  return {inputs[0].shape};
}

int at_least_two(const std::string& where, int n) {
  if (n < 2) throw Refusal(where, text::cat("it needs at least 2 inputs, not ", n));
  return n;
}

/// Which inputs all samples share, told by their missing dimension and kept at the end of
/// Saved.shape from `first` on: the batch, then a 1 for each input that is shared. Nothing is kept
/// where none is.
struct Shares {
  static void keep(std::span<const Tensor> inputs, Saved& saved) {
    int64_t dims = 0;
    for (const Tensor& x : inputs) dims = std::max(dims, x.dim());
    int64_t batch = 0;
    std::vector<int64_t> marks;
    for (const Tensor& x : inputs) {
      marks.push_back(x.dim() < dims);
      if (x.dim() == dims) batch = x.size(0);
    }
    if (std::count(marks.begin(), marks.end(), 0) == static_cast<int64_t>(marks.size())) return;
    saved.shape.push_back(batch);
    saved.shape.insert(saved.shape.end(), marks.begin(), marks.end());
  }

  /// Number of rows if this input is shared, else 0.
  static int64_t batch(const Saved& saved, size_t first, int input) {
    if (saved.shape.size() <= first) return 0;
    return saved.shape[first + 1 + static_cast<size_t>(input)] ? saved.shape[first] : 0;
  }
  /// What is each sample's of a cotangent, as the input's.
  static Tensor pulled(const Saved& saved, size_t first, int input, Tensor cot) {
    const int64_t rows = batch(saved, first, input);
    return rows > 0 ? sum_to_unbatched(cot, rows) : cot;
  }
  /// The input's tangent as each sample's.
  static Tensor pushed(const Saved& saved, size_t first, int input, const Tensor& tangent) {
    const int64_t rows = batch(saved, first, input);
    return rows > 0 ? spread_over_batch(tangent, rows) : tangent;
  }
};

}  // namespace

Add::Add(int n) : n_(at_least_two("add", n)) {}

std::string Add::settings() const { return n_ == 2 ? "" : text::cat("n=", n_); }

Spec Add::infer(std::span<const Spec> inputs) const { return one_shape(type(), inputs); }

Tensor Add::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape.clear();
  Shares::keep(inputs, saved);
  Tensor out = inputs[0] + inputs[1];
  for (size_t i = 2; i < inputs.size(); ++i) {
    if (out.dim() < inputs[i].dim()) {
      out = out + inputs[i];
    } else {
      out.add_(inputs[i]);
    }
  }
  return out;
}

Tensor Add::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  return Shares::pulled(saved, 0, input, cot);
}

Tensor Add::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  return Shares::pushed(saved, 0, input, tangent);
}

Spec Multiply::infer(std::span<const Spec> inputs) const {
  const std::vector<int64_t>&a = inputs[0].shape, &b = inputs[1].shape;
  const bool apart = a.size() == b.size() && inputs[0].batched && inputs[1].batched;
  Spec wide{a};
  for (size_t i = 0; apart && i < a.size(); ++i)
    if (a[i] != b[i]) {
      if (a[i] != 1 && b[i] != 1) return one_shape(type(), inputs);
      wide.shape[i] = a[i] == 1 ? b[i] : a[i];
    }
  if (!apart || a == b) return one_shape(type(), inputs);
  for (const Spec& spec : inputs) expect_real(type(), spec);
  return wide;
}

Tensor Multiply::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.t = {inputs[0], inputs[1]};
  saved.shape.clear();
  Shares::keep(inputs, saved);
  return inputs[0] * inputs[1];
}

Tensor Multiply::product(const Saved& saved, const Tensor& rows, size_t other) const {
  const bool shared = Shares::batch(saved, 0, static_cast<int>(other)) > 0;
  return rows * (shared ? saved.t[other] : match_rows(saved.t[other], rows));
}

Tensor Multiply::pulled(const Saved& saved, int input, const Tensor& rows) const {
  const Tensor own = Shares::pulled(saved, 0, input, rows);
  const Tensor& x = saved.t[static_cast<size_t>(input)];
  std::vector<int64_t> same;  // dimensions along which the input is the same for all numbers
  for (int64_t i = 1; x.dim() == own.dim() && i < x.dim(); ++i)
    if (x.size(i) == 1 && own.size(i) != 1) same.push_back(i);
  return same.empty() ? own : own.sum(same, true);
}

Tensor Multiply::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  return pulled(saved, input, product(saved, cot, input == 0 ? 1 : 0));
}

Tensor Multiply::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  return product(saved, Shares::pushed(saved, 0, input, tangent), input == 0 ? 1 : 0);
}

Tensor Multiply::jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                         int input) const {
  const int other = 1 - input;
  const Tensor& moved = tangents[static_cast<size_t>(other)];
  if (!moved.defined()) return {};
  const Tensor rows = Shares::pushed(saved, 0, other, moved);
  const int64_t shared = Shares::batch(saved, 0, other);
  const int64_t batch = shared > 0 ? shared : saved.t[static_cast<size_t>(other)].size(0);
  return pulled(saved, input, fold_tangents(cot * match_rows(rows, cot), rows.size(0), batch));
}

Concat::Concat(int n, int64_t dim) : n_(at_least_two("concat", n)), dim_(dim) {
  if (dim < 1)
    throw Refusal("concat",
                  text::cat("the dimension must be at least 1 (0 is the batch), but is ", dim));
}

std::string Concat::settings() const {
  return text::cat("n=", n_, dim_ == 1 ? "" : text::cat(",dim=", dim_));
}

Takes Concat::takes(int) const {
  Takes anything = Takes::anything();
  anything.unbatched = true;
  return anything;
}

Spec Concat::infer(std::span<const Spec> inputs) const {
  Spec out = inputs[0];
  const size_t d = static_cast<size_t>(dim_ - 1);
  if (d >= out.shape.size())
    throw Refusal(type(), text::cat("samples of shape ", shape_text(out.shape),
                                    " have no dimension ", dim_, " (0 is the batch)"));
  for (size_t i = 1; i < inputs.size(); ++i) {
    expect_alike(type(), inputs[0], inputs[i]);
    std::vector<int64_t> rest = inputs[i].shape;
    if (d < rest.size()) rest[d] = inputs[0].shape[d];
    if (rest != inputs[0].shape)
      throw Refusal(
          type(), text::cat("inputs of shapes ", shape_text(inputs[0].shape), " and ",
                            shape_text(inputs[i].shape), " differ in more than dimension ", dim_));
    out.shape[d] += inputs[i].shape[d];
  }
  out.batched = true;
  return out;
}

Tensor Concat::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  int64_t dims = 0;
  for (const Tensor& x : inputs) dims = std::max(dims, x.dim());
  saved.shape.clear();
  for (const Tensor& x : inputs) saved.shape.push_back(x.size(dim_ - (dims - x.dim())));
  Shares::keep(inputs, saved);
  std::vector<Tensor> parts(inputs.begin(), inputs.end());
  for (size_t i = 0; i < parts.size(); ++i)
    if (const int64_t rows = Shares::batch(saved, parts.size(), static_cast<int>(i)))
      parts[i] = parts[i].unsqueeze(0).expand(with_rows(parts[i].unsqueeze(0).sizes(), rows));
  return at::cat(parts, dim_);
}

namespace {
int64_t offset_of(const Saved& saved, int input) {
  return std::accumulate(saved.shape.begin(), saved.shape.begin() + input, int64_t{0});
}
}  // namespace

Tensor Concat::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  return Shares::pulled(
      saved, static_cast<size_t>(n_), input,
      cot.narrow(dim_, offset_of(saved, input), saved.shape[static_cast<size_t>(input)]));
}

Tensor Concat::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const Tensor rows = Shares::pushed(saved, static_cast<size_t>(n_), input, tangent);
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[static_cast<size_t>(dim_)] = offset_of(saved, n_);
  Tensor out = at::zeros(shape, rows.options());
  out.narrow(dim_, offset_of(saved, input), rows.size(dim_)).copy_(rows);
  return out;
}

OpPtr add(int n) { return std::make_shared<Add>(n); }
OpPtr multiply() { return std::make_shared<Multiply>(); }
OpPtr concat(int n, int64_t dim) { return std::make_shared<Concat>(n, dim); }

}  // namespace altprop
