// The right factor of products with few rows on the left, in the layout that an own kernel reads
// fastest: panels of 32 columns. A library lays the factor out anew in every product, which for a
// thread's 10 to 60 rows of a batch takes as long as half of the product; here it is done once for
// all steps of a relaxation.
//
// Measured on one core of a Xeon with AVX-512, a [rows, k] times [k, n], against MKL at its
// fastest: 10 x 510 x 500 180 to 121 GFLOP/s, 32 x 300 x 300 172 to 155.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

class PackedMatrix {
 public:
  static constexpr int64_t kWidth = 32;  ///< columns of a panel

  PackedMatrix() = default;
  /// A matrix [k, n] yet to be filled. In panels for float32 on the CPU with AVX-512, else as any
  /// matrix, which a library multiplies with.
  PackedMatrix(int64_t k, int64_t n, const at::TensorOptions& options);
  /// A copy of `matrix` [k, n], whatever its strides.
  explicit PackedMatrix(const Tensor& matrix);

  /// Whether matrices of this kind lie in panels, which is what they are for.
  static bool has_panels(const at::TensorOptions& options);

  bool defined() const { return data_.defined(); }
  bool in_panels() const { return data_.dim() == 3; }
  int64_t rows() const { return k_; }
  int64_t columns() const { return n_; }
  bool is_like(int64_t k, int64_t n, const at::TensorOptions& options) const;

  /// Rows from `row` on become factor * part. @param part [some, n]
  void fill(int64_t row, const Tensor& part, double factor);
  /// Adds to the elements (row + i, i), i < n.
  void add_to_diagonal(int64_t row, double value);
  /// As a matrix [k, n] of its own.
  Tensor unpacked() const;

  /// out <- keep * out + scale * (a this + extra); keep 0 overwrites whatever out held. The result
  /// does not depend on the number of threads.
  /// @param a [rows, k], out [rows, n], extra [rows, n] or undefined: rows without gaps between
  /// their numbers, of this matrix's kind
  void multiply_into(Tensor& out, const Tensor& a, double keep, double scale,
                     const Tensor& extra = {}) const;

  /// [panels, k, 32], columns beyond n zero. Only if in_panels().
  const float* panels() const { return data_.const_data_ptr<float>(); }

 private:
  int64_t k_ = 0, n_ = 0;
  Tensor data_;  ///< [panels, k, 32] or [k, n]
};

}  // namespace altprop
