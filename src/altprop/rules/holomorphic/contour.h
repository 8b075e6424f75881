// Nudges on a circle in the complex plane, and the derivative by the nudge that they give.
//
//   df/dbeta at 0  =  (1/N) sum over k of f(beta_k) / beta_k,   beta_k = |beta| e^(2 pi i k / N)
//
// exact to the order beta^N for analytic f (N >= 2; N = 1 needs f(beta) - f(0)). For real weights
// and data f at conj(beta) is conj(f), so that half of the circle is enough: the points off the
// real line count twice, with their real parts. Laborieux & Zenke 2022, arXiv 2209.00530,
// section 3.
#pragma once

#include <vector>

#include "altprop/rules/relaxation/relax.h"
#include "altprop/tensor/planar.h"

namespace altprop {

struct ContourPoint {
  double re, im;   ///< beta
  double weight;   ///< 1/N, or 2/N for a point that stands for its conjugate, too
  int64_t number;  ///< k
};

class Contour {
 public:
  /// The half circle: points on the real line first.
  /// @param points 0: the complex derivative along an infinitesimal imaginary nudge
  static Contour half_circle(int64_t points, double radius, at::ScalarType dtype);
  /// All N points, each complex.
  static Contour full_circle(int64_t points, double radius);
  /// One complex point, as a part of a circle.
  static Contour single(const ContourPoint& point);
  /// The half circle for a batch in which some samples count for nothing, and some by the two real
  /// points alone, with their weights at N = 2; an odd circle gets the point that it lacks, after
  /// its first, for these. What multiplies or sums the rows of a batch follows.
  /// @param kept [B] bool; undefined: all samples count @param by_two [B] bool; undefined: none
  Contour for_samples(const Tensor& kept, const Tensor& by_two) const;

  int64_t real() const { return real_; }  ///< how many of points() are real
  int64_t complex() const { return static_cast<int64_t>(points_.size()) - real_; }
  const std::vector<ContourPoint>& points() const { return points_; }
  PlanarRows rows(int64_t batch) const { return {real_ * batch, complex() * batch}; }

  /// beta of every row: [points, 1] and, for complex points, [complex, 1].
  void nudges(int64_t batch, const at::TensorOptions& options, Tensor& re, Tensor& im) const;
  /// weight / beta of every row, shaped to multiply tensors of `dims` dimensions.
  /// @param of N if other than all points are to be used, every (N / of)-th one; not with by_two
  void factors(int64_t batch, int64_t dims, const at::TensorOptions& options, Tensor& re,
               Tensor& im, int64_t of = 0) const;
  /// Sum over points of Re(f weight / beta), [batch, ...]. @param f planar, of rows(batch)
  Tensor derivative(const Tensor& f, int64_t batch, int64_t of = 0) const;
  /// Weights alone, for means over the circle: [rows of points, 1].
  Tensor weights(int64_t batch, const at::TensorOptions& options) const;

 private:
  Tensor as_rows(const std::vector<double>& values, int64_t first, int64_t batch, int64_t dims,
                 const at::TensorOptions& options) const;

  std::vector<ContourPoint> points_;
  Tensor shares_;  ///< [points, B]: parts of the points' weights; undefined: all 1
  int64_t real_ = 0, number_ = 1;
};

}  // namespace altprop
