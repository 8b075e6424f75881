#include "altprop/theory/relu_sweep.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "altprop/tensor/vectorised.h"

namespace altprop::theory {

namespace {

constexpr int64_t kLanes = 16, kTile = 2 * kLanes;  // columns of a tile
constexpr int64_t kBlock = 5;  // rows of Z in registers; 50 samples are ten blocks
/// As wide as a register: the compiler keeps wider ones in memory.
template <int64_t kWide>
struct Floats {
  // An alias would lose the attributes.
  typedef float Vector __attribute__((vector_size(kWide * sizeof(float)), aligned(sizeof(float))));
};

/// One step of one repetition.
/// @param k      [rows / kBlock][rows][kBlock]: -rate K diag(e), row blocks, each stored by columns
/// @param e      [rows]: rate e, for beta's gradient
/// @param z      [tiles][rows][kTile]
/// @param beta   [tiles][kTile]
/// @param credit likewise: feedback or, for backprop, beta itself
/// @param credits scratch, [rows][2 kWide]
/// @param sums   out, [rows][kLanes]: relu(Z) beta after the step, before summing over the lanes
template <int64_t kWide>
ALTPROP_VECTORISED void sweep(const float* k, const float* e, float* z, float* beta,
                              const float* credit, float shrink, int64_t tiles, int64_t rows,
                              float* credits, float* sums) {
  using V = typename Floats<kWide>::Vector;
  static_assert(sizeof(V) == kWide * sizeof(float));
  const auto at = [](float* p) -> V& { return *reinterpret_cast<V*>(p); };
  const auto read = [](const float* p) -> const V& { return *reinterpret_cast<const V*>(p); };
  const V zero = {};
  std::fill(sums, sums + rows * kLanes, 0.0f);
  for (int64_t tile = 0; tile < tiles; ++tile, z += kTile * rows, beta += kTile, credit += kTile)
    for (int64_t lane = 0; lane < kLanes; lane += kWide) {
      float *first = z + lane, *second = first + kLanes;
      const V c0 = read(credit + lane), c1 = read(credit + kLanes + lane);
      V g0 = zero, g1 = zero;
      for (int64_t i = 0; i < rows; ++i) {
        const V z0 = at(first + i * kTile), z1 = at(second + i * kTile);
        // As the library's ReLU and its derivative do, these comparisons let NaN through.
        at(credits + 2 * i * kWide) = z0 <= zero ? zero : c0;
        at(credits + (2 * i + 1) * kWide) = z1 <= zero ? zero : c1;
        g0 += (z0 < zero ? zero : z0) * e[i];
        g1 += (z1 < zero ? zero : z1) * e[i];
      }
      const V b0 = at(beta + lane) * shrink - g0, b1 = at(beta + kLanes + lane) * shrink - g1;
      at(beta + lane) = b0;
      at(beta + kLanes + lane) = b1;
      const float* block = k;
      for (int64_t i = 0; i < rows; i += kBlock, block += rows * kBlock) {
        V sum[kBlock][2];
#pragma GCC unroll 5
        for (int64_t r = 0; r < kBlock; ++r) {
          sum[r][0] = at(first + (i + r) * kTile);
          sum[r][1] = at(second + (i + r) * kTile);
        }
        for (int64_t j = 0; j < rows; ++j) {
          const V d0 = at(credits + 2 * j * kWide), d1 = at(credits + (2 * j + 1) * kWide);
#pragma GCC unroll 5
          for (int64_t r = 0; r < kBlock; ++r) {
            sum[r][0] += block[j * kBlock + r] * d0;
            sum[r][1] += block[j * kBlock + r] * d1;
          }
        }
#pragma GCC unroll 5
        for (int64_t r = 0; r < kBlock; ++r) {
          at(first + (i + r) * kTile) = sum[r][0];
          at(second + (i + r) * kTile) = sum[r][1];
          at(sums + (i + r) * kLanes + lane) += (sum[r][0] < zero ? zero : sum[r][0]) * b0 +
                                                (sum[r][1] < zero ? zero : sum[r][1]) * b1;
        }
      }
    }
}

/// As `sweep`, with vectors as wide as the registers of the moment.
template <class... Operands>
void sweep_now(const Operands&... o) {
  switch (instructions_now()) {
    case Instructions::Avx512:
      return vectorised<sweep<16>>(o...);
    case Instructions::Avx2:
      return vectorised<sweep<8>>(o...);
    case Instructions::Plain:
      return vectorised<sweep<4>>(o...);
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
      sweep_now(blocks.data(), scaled.data(), z + rep * columns * rows, beta + rep * columns,
                credit + rep * columns, static_cast<float>(1 - eta * lambda), tiles, rows,
                credits.data(), sums.data());
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
