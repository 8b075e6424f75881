#include "altprop/cores/core_kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "altprop/cores/normal.h"
#include "altprop/tensor/elementary.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/vectorised.h"

namespace altprop::cores {

namespace plainly {

CoreFactors core_factors(const Tensor& c, const Tensor& s) {
  const Tensor mean = c * s;
  return {mean, at::cat({mean * s, mean.square().neg_()}, 1)};
}

Tensor core_operands(const Tensor& inputs, const Tensor& sources, int64_t cores) {
  const Tensor from = sources.to(inputs.device());
  Tensor x = inputs.index_select(1, from.clamp_min(0));
  if (sources.lt(0).any().item<bool>()) x = x.masked_fill(from.lt(0), 0);
  x = x.view({inputs.size(0), cores, -1});
  return at::cat({x, x * x}, 2);
}

CoreFired core_fired(const Tensor& mean, const Tensor& variance, const Tensor& leaks,
                     const FireRule& rule) {
  const double least = least_variance(variance.scalar_type());
  Tensor mu = mean + leaks;
  if (rule.shift != 0) mu.add_(rule.shift);
  const Tensor slope = variance.clamp_min(least).rsqrt_(), z = mu * slope;
  CoreFired out{normal_cdf(z), normal_density(z).mul_(slope), {}};
  if (rule.by_variance) out.by_variance = out.by_mean * z.clamp(-8, 8).mul_(slope).mul_(-0.5);
  // Where nothing is left to chance there is no Gaussian, and no slope along its width.
  const Tensor certain = variance.le(least);
  if (rule.by_variance) out.by_variance.masked_fill_(certain, 0);
  out.probability.masked_fill_(certain.logical_and(mu.eq(0)), rule.at_zero);
  return out;
}

Tensor core_gradient(Tensor p1, const Tensor& both, const Tensor& c, const Tensor& s) {
  const int64_t axons = p1.size(1);
  const Tensor along = both.narrow(1, 0, axons) - 2 * c * both.narrow(1, axons, axons);
  return p1.mul_(s).addcmul_(along, s * s);
}

}  // namespace plainly

namespace {

bool fits_core_loops(std::initializer_list<Tensor> all) {
  return std::all_of(all.begin(), all.end(), [](const Tensor& t) {
    return own_kernel_reaches(OwnKernel::CoreLoops, t) && t.scalar_type() == at::kFloat &&
           t.is_contiguous();
  });
}

ALTPROP_VECTORISED void factor_row(const float* __restrict c, const float* __restrict s,
                                   float* __restrict mean, float* __restrict once,
                                   float* __restrict twice, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float m = c[i] * s[i];
    mean[i] = m;
    once[i] = m * s[i];
    twice[i] = -m * m;
  }
}

ALTPROP_VECTORISED void gradient_row(float* __restrict g, const float* __restrict p2,
                                     const float* __restrict p3, const float* __restrict c,
                                     const float* __restrict s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) g[i] = s[i] * (g[i] + s[i] * (p2[i] - 2.0f * c[i] * p3[i]));
}

struct FireRow {
  const float *mean, *variance, *leaks;
  float *probability, *by_mean, *by_variance;  ///< the last null: not asked for
  int64_t n;
  float shift, at_zero, least;
};

/// Two at once: the bell and, by it, the area under it, to 1e-7 (M. Abramowitz, I. Stegun, Handbook
/// of Mathematical Functions, 1964, 7.1.26).
ALTPROP_VECTORISED void fire_row(const FireRow* row) {
  const float* __restrict mean = row->mean;
  const float* __restrict variance = row->variance;
  const float* __restrict leaks = row->leaks;
  float* __restrict probability = row->probability;
  float* __restrict by_mean = row->by_mean;
  const float shift = row->shift, at_zero = row->at_zero, least = row->least;
  for (int64_t j = 0; j < row->n; ++j) {
    const float mu = mean[j] + leaks[j] + shift, v = variance[j];
    const float slope = 1.0f / std::sqrt(v < least ? least : v);
    const float z = mu * slope, size = std::fabs(z);
    // NaN is kept: every comparison with it is false.
    const float bell = size > 8.0f ? 0.0f : elementary::exp_of_negative(-0.5f * z * z);
    const float near = size > 8.0f ? 8.0f : size;
    const float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * near);
    const float tail =
        0.5f * bell * t *
        (0.254829592f +
         t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    const float p = z < 0 ? tail : 1.0f - tail;
    probability[j] = mu == 0 && v <= least ? at_zero : p;
    by_mean[j] = bell * 0.39894228f * slope;
  }
  if (!row->by_variance) return;
  float* __restrict by_variance = row->by_variance;
  for (int64_t j = 0; j < row->n; ++j) {
    const float mu = mean[j] + leaks[j] + shift, v = variance[j];
    const float slope = 1.0f / std::sqrt(v < least ? least : v);
    const float z = mu * slope;
    const float cut = z > 8.0f ? 8.0f : z < -8.0f ? -8.0f : z;
    by_variance[j] = v <= least ? 0.0f : -0.5f * by_mean[j] * cut * slope;
  }
}

}  // namespace

CoreFactors core_factors(const Tensor& c, const Tensor& s) {
  if (!fits_core_loops({c, s})) return plainly::core_factors(c, s);
  const int64_t rows = c.size(0), axons = c.size(1);
  CoreFactors out{at::empty_like(c), at::empty({rows, 2 * axons}, c.options())};
  const float *from = c.const_data_ptr<float>(), *strength = s.const_data_ptr<float>();
  float *mean = out.mean.mutable_data_ptr<float>(), *both = out.variance.mutable_data_ptr<float>();
  at::parallel_for(0, rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      vectorised<factor_row>(from + r * axons, strength + r * axons, mean + r * axons,
                             both + 2 * r * axons, both + (2 * r + 1) * axons, axons);
  });
  return out;
}

Tensor core_operands(const Tensor& inputs, const Tensor& sources, int64_t cores) {
  if (!fits_core_loops({inputs})) return plainly::core_operands(inputs, sources, cores);
  const int64_t rows = inputs.size(0), width = inputs.size(1), all = sources.numel(),
                axons = all / cores;
  Tensor out = at::empty({rows, cores, 2 * axons}, inputs.options());
  const float* x = inputs.const_data_ptr<float>();
  const int64_t* source = sources.const_data_ptr<int64_t>();
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const float* row = x + b * width;
      for (int64_t k = 0; k < cores; ++k) {
        const int64_t* from = source + k * axons;
        float *once = to + (b * cores + k) * 2 * axons, *twice = once + axons;
        for (int64_t i = 0; i < axons; ++i) {
          const float value = from[i] < 0 ? 0.0f : row[from[i]];
          once[i] = value;
          twice[i] = value * value;
        }
      }
    }
  });
  return out;
}

CoreFired core_fired(const Tensor& mean, const Tensor& variance, const Tensor& leaks,
                     const FireRule& rule) {
  if (!fits_core_loops({mean, variance, leaks}))
    return plainly::core_fired(mean, variance, leaks, rule);
  CoreFired out{at::empty_like(mean), at::empty_like(mean), {}};
  if (rule.by_variance) out.by_variance = at::empty_like(mean);
  const int64_t rows = mean.size(0), n = mean.size(1);
  const float *mu = mean.const_data_ptr<float>(), *var = variance.const_data_ptr<float>(),
              *leak = leaks.const_data_ptr<float>();
  float *p = out.probability.mutable_data_ptr<float>(),
        *first = out.by_mean.mutable_data_ptr<float>(),
        *second = rule.by_variance ? out.by_variance.mutable_data_ptr<float>() : nullptr;
  at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const FireRow row{mu + b * n,
                        var + b * n,
                        leak,
                        p + b * n,
                        first + b * n,
                        second ? second + b * n : nullptr,
                        n,
                        static_cast<float>(rule.shift),
                        static_cast<float>(rule.at_zero),
                        static_cast<float>(least_variance(at::kFloat))};
      vectorised<fire_row>(&row);
    }
  });
  return out;
}

Tensor core_gradient(Tensor p1, const Tensor& both, const Tensor& c, const Tensor& s) {
  if (!fits_core_loops({p1, both, c, s})) return plainly::core_gradient(std::move(p1), both, c, s);
  const int64_t rows = p1.size(0), axons = p1.size(1);
  float* g = p1.mutable_data_ptr<float>();
  const float *two = both.const_data_ptr<float>(), *from = c.const_data_ptr<float>(),
              *strength = s.const_data_ptr<float>();
  at::parallel_for(0, rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      vectorised<gradient_row>(g + r * axons, two + 2 * r * axons, two + (2 * r + 1) * axons,
                               from + r * axons, strength + r * axons, axons);
  });
  return p1;
}

}  // namespace altprop::cores
