#include "altprop/tensor/softmax_pool.h"

#include <ATen/Parallel.h>

#include <vector>

#include "altprop/tensor/elementary.h"
#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace {

constexpr int64_t kBlock = 64;

/// Windows side by side that are pooled together: `lanes` of them, `step` apart in the image.
struct Lanes {
  int64_t lanes, step;
  const int64_t* offset;  ///< of the entries of a window from its first one
  int64_t entries;
};

template <class T>
struct Plane {
  T *re, *im;
};

// Minus infinity has the weight 0, so that it makes NaN of the mean, and that of the window's
// slopes. But the smallest weight that is made here is above 0: the mean becomes infinite, and
// minus itself NaN.

template <class T>
ALTPROP_VECTORISED void pool_real(const T* v, T* out, T* slope, const Lanes& l, T inverse, T* e) {
  T top[kBlock], sum[kBlock], mean[kBlock];
  for (int64_t from = 0; from < l.lanes; from += kBlock) {
    const int64_t n = std::min(kBlock, l.lanes - from);
    const T* x = v + from * l.step;
    T* s = slope + from * l.step;
    for (int64_t i = 0; i < n; ++i) top[i] = x[i * l.step];
    for (int64_t j = 1; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const T value = x[l.offset[j] + i * l.step];
        top[i] = value > top[i] ? value : top[i];
      }
    for (int64_t i = 0; i < n; ++i) sum[i] = mean[i] = 0;
    for (int64_t j = 0; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const T value = x[l.offset[j] + i * l.step];
        const T weight = elementary::exp_of_negative((value - top[i]) * inverse);
        e[j * kBlock + i] = weight;
        sum[i] += weight;
        mean[i] += weight * value;
      }
    for (int64_t i = 0; i < n; ++i) {
      sum[i] = T(1) / sum[i];
      mean[i] *= sum[i];
      mean[i] += mean[i] - mean[i];  // see below
      out[from + i] = mean[i];
    }
    for (int64_t j = 0; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = l.offset[j] + i * l.step;
        s[at] = e[j * kBlock + i] * sum[i] * (T(1) + (x[at] - mean[i]) * inverse);
      }
  }
}

template <class T>
ALTPROP_VECTORISED void pool_complex(const T* re, const T* im, Plane<T> out, Plane<T> slope,
                                     const Lanes& l, T inverse, T* e) {
  T top[kBlock], sum_re[kBlock], sum_im[kBlock], mean_re[kBlock], mean_im[kBlock];
  T* f = e + l.entries * kBlock;
  for (int64_t from = 0; from < l.lanes; from += kBlock) {
    const int64_t n = std::min(kBlock, l.lanes - from), shift = from * l.step;
    const T *x = re + shift, *y = im + shift;
    for (int64_t i = 0; i < n; ++i) top[i] = x[i * l.step];
    for (int64_t j = 1; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const T value = x[l.offset[j] + i * l.step];
        top[i] = value > top[i] ? value : top[i];
      }
    for (int64_t i = 0; i < n; ++i) sum_re[i] = sum_im[i] = mean_re[i] = mean_im[i] = 0;
    for (int64_t j = 0; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = l.offset[j] + i * l.step;
        T sine, cosine;
        elementary::sine_and_cosine(y[at] * inverse, sine, cosine);
        const T size = elementary::exp_of_negative((x[at] - top[i]) * inverse);
        const T a = size * cosine, b = size * sine;
        e[j * kBlock + i] = a;
        f[j * kBlock + i] = b;
        sum_re[i] += a;
        sum_im[i] += b;
        mean_re[i] += a * x[at] - b * y[at];
        mean_im[i] += a * y[at] + b * x[at];
      }
    for (int64_t i = 0; i < n; ++i) {
      const T size = T(1) / (sum_re[i] * sum_re[i] + sum_im[i] * sum_im[i]);
      const T a = sum_re[i] * size, b = -sum_im[i] * size;
      const T c = mean_re[i] + (mean_re[i] - mean_re[i]),
              d = mean_im[i] + (mean_im[i] - mean_im[i]);
      sum_re[i] = a;
      sum_im[i] = b;
      out.re[from + i] = mean_re[i] = a * c - b * d;
      out.im[from + i] = mean_im[i] = a * d + b * c;
    }
    for (int64_t j = 0; j < l.entries; ++j)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = l.offset[j] + i * l.step;
        const T a = e[j * kBlock + i], b = f[j * kBlock + i];
        const T p = a * sum_re[i] - b * sum_im[i], q = a * sum_im[i] + b * sum_re[i];
        const T c = T(1) + (x[at] - mean_re[i]) * inverse, d = (y[at] - mean_im[i]) * inverse;
        slope.re[shift + at] = p * c - q * d;
        slope.im[shift + at] = p * d + q * c;
      }
  }
}

template <class T>
void pool_here(const Tensor& x, const PlanarRows& rows, int64_t k, double temperature,
               SoftmaxPooled& y, bool channels_last) {
  const int64_t c = x.size(1), w = x.size(3), oh = y.out.size(2), ow = y.out.size(3);
  const int64_t image = c * x.size(2) * w, pooled = c * oh * ow;
  // Lanes are channels of one window, or windows of one row of a plane.
  const int64_t column = channels_last ? c : 1, outer = channels_last ? oh : c,
                inner = channels_last ? ow : oh;
  std::vector<int64_t> offset;
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < k; ++j) offset.push_back((i * w + j) * column);
  const Lanes lanes{channels_last ? c : ow, channels_last ? 1 : k, offset.data(), k * k};
  const T* v = x.const_data_ptr<T>();
  T *out = y.out.mutable_data_ptr<T>(), *slope = y.slope.mutable_data_ptr<T>();
  const T inverse = static_cast<T>(1 / temperature);
  at::parallel_for(
      0, rows.points() * outer, std::max<int64_t>(1, 16384 / (image / outer + 1)),
      [&](int64_t begin, int64_t end) {
        std::vector<T> scratch(static_cast<size_t>(2 * k * k * kBlock));
        for (int64_t g = begin; g < end; ++g) {
          const int64_t row = g / outer, a = g % outer;
          for (int64_t b = 0; b < inner; ++b) {
            const int64_t from =
                row * image + (channels_last ? (a * w + b) * k * c : (a * x.size(2) + b * k) * w);
            const int64_t to = row * pooled + (a * inner + b) * lanes.lanes;
            if (row < rows.real) {
              vectorised<pool_real<T>>(v + from, out + to, slope + from, lanes, inverse,
                                       scratch.data());
            } else {
              const int64_t other = rows.complex * image, above = rows.complex * pooled;
              vectorised<pool_complex<T>>(
                  v + from, v + from + other, Plane<T>{out + to, out + to + above},
                  Plane<T>{slope + from, slope + from + other}, lanes, inverse, scratch.data());
            }
          }
        }
      });
}

/// [rows, C, H, W] as [rows, C, H / k, k, W / k, k], the remainder left out.
Tensor windows(const Tensor& x, int64_t k) {
  const int64_t h = x.size(2) / k, w = x.size(3) / k;
  return x.narrow(2, 0, h * k).narrow(3, 0, w * k).unflatten(2, {h, k}).unflatten(4, {w, k});
}

/// With the library's functions, for any number type and device.
std::pair<Tensor, Tensor> pool_elsewhere(const Tensor& x, int64_t k, double temperature) {
  const Tensor v = windows(x, k);
  const Tensor top = (v.is_complex() ? at::real(v) : v).amax({3, 5}, true);
  const Tensor e = ((v - top) / temperature).exp();
  const Tensor p = e / e.sum({3, 5}, true), out = (p * v).sum({3, 5}, true);
  Tensor slope = at::zeros_like(x);
  windows(slope, k).copy_(p * (1 + (v - out) / temperature));
  return {out.squeeze(5).squeeze(3), slope};
}

}  // namespace

SoftmaxPooled softmax_pool(const Tensor& given, const PlanarRows& rows, int64_t k,
                           double temperature) {
  const bool here = own_kernel_reaches(OwnKernel::SoftmaxPool, given) &&
                    (given.scalar_type() == at::kFloat || given.scalar_type() == at::kDouble);
  SoftmaxPooled y;
  if (!here) {
    const auto [out, slope] = pool_elsewhere(real_rows(given, rows), k, temperature);
    y = {out, slope};
    if (rows.complex) {
      const auto [b, s] = pool_elsewhere(
          at::complex(real_parts(given, rows), imaginary_parts(given, rows)), k, temperature);
      y = {at::cat({out, at::real(b), at::imag(b)}), at::cat({slope, at::real(s), at::imag(s)})};
    }
    return y;
  }
  const bool last = given.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const auto format = last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const Tensor x = given.contiguous(format);
  y.out = at::empty({x.size(0), x.size(1), x.size(2) / k, x.size(3) / k}, x.options(), format);
  const bool whole = x.size(2) % k == 0 && x.size(3) % k == 0;
  y.slope = whole ? at::empty_like(x) : at::zeros_like(x);
  if (x.scalar_type() == at::kFloat) {
    pool_here<float>(x, rows, k, temperature, y, last);
  } else {
    pool_here<double>(x, rows, k, temperature, y, last);
  }
  return y;
}

Tensor softmax_pool_pull(const Tensor& slope, const Tensor& cot, const PlanarRows& rows,
                         int64_t k) {
  const bool whole = slope.size(2) % k == 0 && slope.size(3) % k == 0;
  Tensor out = whole ? at::empty_like(slope) : at::zeros_like(slope);
  const auto product = [&](const Tensor& to, const Tensor& s, const Tensor& c, double sign) {
    Tensor target = windows(to, k);
    const Tensor wide = c.unsqueeze(3).unsqueeze(5);
    if (sign == 0) {
      at::mul_out(target, windows(s, k), wide);
    } else {
      target.addcmul_(windows(s, k), wide, sign);
    }
  };
  product(out, slope, cot, 0);
  if (!rows.complex) return out;
  // So far the blocks of rows were multiplied each with its own.
  Tensor re = real_parts(out, rows), im = imaginary_parts(out, rows);
  const Tensor sr = real_parts(slope, rows), si = imaginary_parts(slope, rows),
               cr = real_parts(cot, rows), ci = imaginary_parts(cot, rows);
  re.sub_(im);
  product(im, sr, ci, 0);
  product(im, si, cr, 1);
  return out;
}

Tensor softmax_pool_push(const Tensor& slope, const Tensor& tangent, int64_t k) {
  return (windows(slope, k) * windows(tangent, k)).sum({3, 5});
}

}  // namespace altprop
