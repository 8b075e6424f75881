#include "altprop/theory/relu_sweep.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "altprop/tensor/vectorised.h"

namespace altprop::theory {

namespace {

constexpr int64_t kLanes = 16, kTile = 2 * kLanes;  // columns of a tile
constexpr int64_t kBlock = 5;  // rows of Z in registers; 50 samples are ten blocks
using Vector = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float))));

/// One step of one repetition.
/// @param k      [rows / kBlock][rows][kBlock]: -rate K diag(e), row blocks, each stored by columns
/// @param e      [rows]: rate e, for beta's gradient
/// @param z      [tiles][rows][kTile]
/// @param credit feedback or, for backprop, beta itself
/// @param credits scratch, [2 rows]
/// @param sums   out, [rows]: relu(Z) beta after the step, before summing over the lanes
ALTPROP_VECTORISED void sweep(const float* k, const float* e, Vector* z, Vector* beta,
                              const Vector* credit, float shrink, int64_t tiles, int64_t rows,
                              Vector* credits, Vector* sums) {
  const Vector zero = {};
  for (int64_t i = 0; i < rows; ++i) sums[i] = zero;
  for (int64_t tile = 0; tile < tiles; ++tile, z += 2 * rows, beta += 2, credit += 2) {
    const Vector c0 = credit[0], c1 = credit[1];
    Vector g0 = zero, g1 = zero;
    for (int64_t i = 0; i < rows; ++i) {
      const Vector z0 = z[2 * i], z1 = z[2 * i + 1];
      // As the library's ReLU and its derivative do, these comparisons let NaN through.
      credits[2 * i] = z0 <= zero ? zero : c0;
      credits[2 * i + 1] = z1 <= zero ? zero : c1;
      g0 += (z0 < zero ? zero : z0) * e[i];
      g1 += (z1 < zero ? zero : z1) * e[i];
    }
    const Vector b0 = beta[0] * shrink - g0, b1 = beta[1] * shrink - g1;
    beta[0] = b0;
    beta[1] = b1;
    const float* block = k;
    for (int64_t i = 0; i < rows; i += kBlock, block += rows * kBlock) {
      Vector sum[kBlock][2];
#pragma GCC unroll 5
      for (int64_t r = 0; r < kBlock; ++r) {
        sum[r][0] = z[2 * (i + r)];
        sum[r][1] = z[2 * (i + r) + 1];
      }
      for (int64_t j = 0; j < rows; ++j) {
        const Vector d0 = credits[2 * j], d1 = credits[2 * j + 1];
#pragma GCC unroll 5
        for (int64_t r = 0; r < kBlock; ++r) {
          sum[r][0] += block[j * kBlock + r] * d0;
          sum[r][1] += block[j * kBlock + r] * d1;
        }
      }
#pragma GCC unroll 5
      for (int64_t r = 0; r < kBlock; ++r) {
        z[2 * (i + r)] = sum[r][0];
        z[2 * (i + r) + 1] = sum[r][1];
        sums[i + r] +=
            (sum[r][0] < zero ? zero : sum[r][0]) * b0 + (sum[r][1] < zero ? zero : sum[r][1]) * b1;
      }
    }
  }
}

int64_t rounded_up(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

}  // namespace

ReluSweep::ReluSweep(bool exact, int64_t repetitions, const Draws& draws) : exact_(exact) {
  std::vector<Tensor> k, z, beta, b, y, e;
  for (int64_t r = 0; r < repetitions; ++r) {
    const Draw one = draws(r);
    n_ = one.x.size(0);
    p_ = one.w.size(1);
    const int64_t rows = rounded_up(n_, kBlock), columns = rounded_up(p_, kTile);
    const Tensor hidden = one.x.mm(one.w);
    k.push_back(one.x.mm(one.x.t()));
    z.push_back(at::constant_pad_nd(hidden, {0, columns - p_, 0, rows - n_})
                    .view({rows, columns / kTile, kTile})
                    .transpose(0, 1));
    beta.push_back(at::constant_pad_nd(one.beta, {0, columns - p_}));
    b.push_back(at::constant_pad_nd(one.b, {0, columns - p_}));
    y.push_back(one.y);
    e.push_back(hidden.relu().mv(one.beta) / std::sqrt(static_cast<double>(p_)) - one.y);
  }
  k_ = at::stack(k);
  z_ = at::stack(z).contiguous();
  beta_ = at::stack(beta);
  b_ = at::stack(b);
  y_ = at::stack(y);
  e_ = at::stack(e);
}

void ReluSweep::step(double eta, double lambda) {
  const int64_t rows = z_.size(2), tiles = z_.size(1), columns = tiles * kTile;
  const float root = std::sqrt(static_cast<float>(p_)), rate = static_cast<float>(eta) / root;
  const float* k = k_.data_ptr<float>();
  const float* y = y_.data_ptr<float>();
  float *e = e_.data_ptr<float>(), *z = z_.data_ptr<float>(), *beta = beta_.data_ptr<float>();
  const float* credit = exact_ ? beta : b_.data_ptr<float>();
  at::parallel_for(0, y_.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> blocks(static_cast<size_t>(rows * rows)), scaled(static_cast<size_t>(rows));
    std::vector<float> credits(static_cast<size_t>(2 * rows * kLanes)),
        sums(static_cast<size_t>(rows * kLanes));
    for (int64_t rep = begin; rep < end; ++rep) {
      float* error = e + rep * n_;
      const float* gram = k + rep * n_ * n_;
      for (int64_t i = 0; i < n_; ++i) scaled[static_cast<size_t>(i)] = rate * error[i];
      for (int64_t i = 0; i < n_; ++i)
        for (int64_t j = 0; j < n_; ++j)
          blocks[static_cast<size_t>((i / kBlock * rows + j) * kBlock + i % kBlock)] =
              -gram[i * n_ + j] * scaled[static_cast<size_t>(j)];
      vectorised<sweep>(
          blocks.data(), scaled.data(), reinterpret_cast<Vector*>(z + rep * columns * rows),
          reinterpret_cast<Vector*>(beta + rep * columns),
          reinterpret_cast<const Vector*>(credit + rep * columns),
          static_cast<float>(1 - eta * lambda), tiles, rows,
          reinterpret_cast<Vector*>(credits.data()), reinterpret_cast<Vector*>(sums.data()));
      for (int64_t i = 0; i < n_; ++i) {
        float sum = 0;
        for (int64_t lane = 0; lane < kLanes; ++lane)
          sum += sums[static_cast<size_t>(i * kLanes + lane)];
        error[i] = sum / root - y[rep * n_ + i];
      }
    }
  });
}

Tensor ReluSweep::alignment() const {
  return (b_ * beta_).sum(1) / (b_.norm(2, 1) * beta_.norm(2, 1));
}

Tensor ReluSweep::gram() const {
  const Tensor h = z_.relu().transpose(1, 2).reshape({z_.size(0), z_.size(2), -1}).narrow(1, 0, n_);
  return h.bmm(h.transpose(1, 2)) / p_;
}

void ReluSweep::keep(const Tensor& index) {
  for (Tensor* t : {&k_, &z_, &beta_, &b_, &y_, &e_}) *t = t->index_select(0, index);
}

}  // namespace altprop::theory
