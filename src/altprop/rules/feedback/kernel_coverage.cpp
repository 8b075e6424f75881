#include "altprop/rules/feedback/kernel_coverage.h"

namespace altprop {

namespace {

std::vector<int64_t> one_row_of(IntArrayRef shape) {
  std::vector<int64_t> out{1};
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

}  // namespace

Tensor kernel_coverage(const Node& convolution, IntArrayRef input, IntArrayRef kernel) {
  const Op& op = *convolution.op;
  const at::TensorOptions options = op.weight()->value.options();
  Saved saved;
  const Tensor silence = at::zeros(one_row_of(input), options);
  op.forward({&silence, 1}, saved, Pass{Mode::Eval});
  std::vector<int64_t> ones = one_row_of(convolution.spec.shape);
  ones[1] = 1;
  const Tensor cot = at::ones(ones, options);
  const int64_t taps = c10::multiply_integers(kernel.slice(1));
  std::vector<Tensor> rows;
  for (int64_t tap = 0; tap < taps; ++tap) {
    Tensor bank = at::zeros(one_row_of(kernel), options);
    bank.view({kernel[0], taps})[0][tap] = 1;
    rows.push_back(op.vjp(saved, cot, 0, &bank)[0][0].flatten());
  }
  return at::stack(rows);
}

}  // namespace altprop
