// The inverse autocorrelation of what an affine map sees, followed step by step: the matrix P of
// recursive least squares, in the forms that have been used for networks.
//
//   mean       x = mean over all rows a of a step;  u = P x;  h = lambda + k x^T u
//              direction g P / h,  then  P <- (P - (k / h) u u^T) / lambda
//   mean-post  the same P; direction g P with the new P
//   exact      P <- (lambda P^-1 + A^T A / R)^-1, A [R, inputs] all rows; direction g P, new P
//   exact-ema  Sigma <- lambda Sigma + (1 - lambda) A^T A / R, Sigma = I / p0 at first;
//              direction g (Sigma + mu I)^-1, the inverse made anew every few steps
//
// mean: C. Zhang, Q. Song, H. Zhou, Y. Ou, H. Deng, L. T. Yang, 2021, arXiv 2109.03220; exact: the
// recursion of least squares over all rows, by the identity of Sherman, Morrison and Woodbury.
#pragma once

#include <string>
#include <vector>

#include "altprop/tensor/state_io.h"

namespace altprop {

struct CorrelationSettings {
  std::string mode = "mean";
  double lambda = 1, k = 1, p0 = 1, cap = 10, damping = 0.01;
  int64_t every = 1;

  /// All rows count, and not their mean alone.
  bool exact() const { return mode == "exact" || mode == "exact-ema"; }
};

/// The rows of one step, as far as a mode needs them.
class SeenRows {
 public:
  /// Only their sum [inputs]. @param rows how many they are
  void add_sum(const Tensor& sum, int64_t rows);
  /// [rows, inputs]; kept, so that nobody may write to it.
  void add(const Tensor& rows);
  void clear() { *this = {}; }

  int64_t count() const { return count_; }
  Tensor mean() const { return sum_ / static_cast<double>(count_); }
  /// More rows than inputs: their squares are summed up, else they are kept.
  bool many() const { return gram_.defined(); }
  /// A^T A; where there are many.
  const Tensor& gram() const { return gram_; }
  /// A, [rows, inputs]; where there are few.
  Tensor few() const;

 private:
  Tensor sum_, gram_;
  std::vector<Tensor> rows_;
  int64_t count_ = 0;
};

class InverseCorrelation {
 public:
  /// @param settings must outlive this
  InverseCorrelation(int64_t inputs, at::TensorOptions options,
                     const CorrelationSettings& settings);

  int64_t inputs() const { return p_.size(0); }
  /// Follows the rows of a step. @param g gradients [outputs, inputs] @returns the direction
  Tensor advance(const Tensor& g, const SeenRows& seen);
  /// A number without dimensions, finite as long as P can be relied on.
  const Tensor& sound() const { return sound_; }

  /// Under `name`. @throws Error if the checkpoint's are of another size or kind
  void state(StateIO io, const std::string& name);

 private:
  Tensor along_mean(const Tensor& g, const SeenRows& seen);
  void take_all_rows(const SeenRows& seen);
  void average_rows(const SeenRows& seen);
  /// The inverse of a symmetric positive definite matrix, or what is not finite.
  Tensor inverse_of(const Tensor& matrix);
  /// What a lambda below 1 winds up where inputs never point is scaled back.
  void hold_back();

  const CorrelationSettings& settings_;
  Tensor p_;         ///< [inputs, inputs]
  Tensor sigma_;     ///< exact-ema only
  int64_t age_ = 0;  ///< exact-ema: steps since the inverse was made
  Tensor sound_;
};

}  // namespace altprop
