#include "altprop/tensor/packed_matrix.h"

#include <ATen/Parallel.h>

#include "altprop/tensor/announced.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/packed_avx512.h"

namespace altprop {

bool PackedMatrix::has_panels(const at::TensorOptions& options) {
#if defined(ALTPROP_HAS_AVX512_CODE)
  return avx512_runs(OwnKernel::PackedMatrix) && options.device().is_cpu() &&
         options.dtype() == at::kFloat;
#else
  (void)options;
  return false;
#endif
}

PackedMatrix::PackedMatrix(int64_t k, int64_t n, const at::TensorOptions& options) : k_(k), n_(n) {
  const auto plain = at::TensorOptions().dtype(options.dtype()).device(options.device());
  data_ = has_panels(options) ? at::zeros({(n + kWidth - 1) / kWidth, k, kWidth}, plain)
                              : at::empty({k, n}, plain);
}

PackedMatrix::PackedMatrix(const Tensor& matrix)
    : PackedMatrix(matrix.size(0), matrix.size(1), matrix.options()) {
  fill(0, matrix, 1);
}

bool PackedMatrix::is_like(int64_t k, int64_t n, const at::TensorOptions& options) const {
  return defined() && k == k_ && n == n_ && data_.options().type_equal(options);
}

void PackedMatrix::fill(int64_t row, const Tensor& part, double factor) {
  const auto put = [&](Tensor to, const Tensor& from) {
    if (factor == 1) {
      to.copy_(from);
    } else {
      at::mul_out(to, from, at::scalar_tensor(factor, from.options()));
    }
  };
  Tensor rows = data_.narrow(in_panels() ? 1 : 0, row, part.size(0));
  if (!in_panels()) return put(rows, part);
  const int64_t whole = n_ / kWidth, rest = n_ % kWidth;
  if (whole)
    put(rows.narrow(0, 0, whole),
        part.narrow(1, 0, whole * kWidth).unflatten(1, {whole, kWidth}).transpose(0, 1));
  if (rest) put(rows.select(0, whole).narrow(1, 0, rest), part.narrow(1, whole * kWidth, rest));
}

void PackedMatrix::add_to_diagonal(int64_t row, double value) {
  if (!in_panels()) {
    data_.narrow(0, row, n_).diagonal().add_(value);
    return;
  }
  for (int64_t p = 0; p * kWidth < n_; ++p) {
    const int64_t count = std::min(kWidth, n_ - p * kWidth);
    data_.select(0, p)
        .narrow(0, row + p * kWidth, count)
        .narrow(1, 0, count)
        .diagonal()
        .add_(value);
  }
}

Tensor PackedMatrix::unpacked() const {
  return in_panels() ? data_.transpose(0, 1).reshape({k_, -1}).narrow(1, 0, n_).clone()
                     : data_.clone();
}

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace {

using namespace avx512;

void multiply_in_panels(Tensor& out, const Tensor& a, const PackedMatrix& b, float keep,
                        float scale, const Tensor& extra) {
  const int64_t rows = a.size(0);
  const Strided<const float> left{a.const_data_ptr<float>(), a.stride(0)};
  const Strided<const float> more{extra.defined() ? extra.const_data_ptr<float>() : nullptr,
                                  extra.defined() ? extra.stride(0) : 0};
  const Strided<float> to{out.mutable_data_ptr<float>(), out.stride(0)};
  const auto sink = [&](int64_t row, int64_t column, __mmask16 lanes, __m512 sum) {
    if (more.data) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, more.at(row, column)));
    sum = _mm512_mul_ps(sum, _mm512_set1_ps(scale));
    float* const place = to.at(row, column);
    if (keep != 0)
      sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, place), _mm512_set1_ps(keep), sum);
    _mm512_mask_storeu_ps(place, lanes, sum);
  };
  const int64_t work = 2 * rows * b.rows() * PackedMatrix::kWidth;
  at::parallel_for(0, panels_of(b), std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(1, work)),
                   [&](int64_t from, int64_t to_panel) {
                     multiply_panels(left, rows, b, from, to_panel, sink);
                   });
}

}  // namespace
ALTPROP_AVX512_END
#endif

void PackedMatrix::multiply_into(Tensor& out, const Tensor& a, double keep, double scale,
                                 const Tensor& extra) const {
#if defined(ALTPROP_HAS_AVX512_CODE)
  if (in_panels()) {
    const Announced as("altprop::packed_product", a, out);
    return multiply_in_panels(out, a, *this, static_cast<float>(keep), static_cast<float>(scale),
                              extra);
  }
#endif
  gemm_into(out, a, data_, keep, scale);
  if (extra.defined()) out.add_(extra, scale);
}

}  // namespace altprop
