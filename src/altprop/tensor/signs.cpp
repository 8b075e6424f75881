#include "altprop/tensor/signs.h"

#include <ATen/Parallel.h>

#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace {

constexpr int64_t kGrain = 1 << 15;  ///< numbers that are worth a thread

bool plain(const Tensor& t) {
  return t.scalar_type() == at::kFloat && own_kernel_reaches(OwnKernel::Signs, t) &&
         t.is_contiguous();
}

/// 0 for NaN, as the library has it. Times an infinite magnitude 0 has to be NaN, so that it may
/// not be a choice between magnitudes.
ALTPROP_VECTORISED float sign(float w) { return (w > 0 ? 1.0f : 0.0f) - (w < 0 ? 1.0f : 0.0f); }

ALTPROP_VECTORISED void signs_times_one(float* __restrict out, const float* __restrict w, float m,
                                        int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = sign(w[i]) * m;
}

ALTPROP_VECTORISED void signs_times_each(float* __restrict out, const float* __restrict w,
                                         const float* __restrict m, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = sign(w[i]) * m[i];
}

}  // namespace

void signs_times(Tensor& out, const Tensor& w, const Tensor& magnitudes) {
  const bool one = magnitudes.numel() == 1;
  if (!plain(out) || !plain(w) || !plain(magnitudes) || out.sizes() != w.sizes() ||
      (!one && magnitudes.sizes() != w.sizes())) {
    at::sign_out(out, w);
    out.mul_(magnitudes);
    return;
  }
  float* target = out.mutable_data_ptr<float>();
  const float* weight = w.const_data_ptr<float>();
  const float* m = magnitudes.const_data_ptr<float>();
  at::parallel_for(0, out.numel(), kGrain, [&](int64_t from, int64_t to) {
    if (one) {
      vectorised<signs_times_one>(target + from, weight + from, *m, to - from);
    } else {
      vectorised<signs_times_each>(target + from, weight + from, m + from, to - from);
    }
  });
}

}  // namespace altprop
