// What stands between the ODE blocks of a flow on images: operations on its state (z, l), values and
// the change of their log density so far, that can be inverted and that count what they do to the
// density (L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", 2017, arXiv
// 1605.08803, sections 3.6 and 4.1; W. Grathwohl, R. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud,
// "FFJORD", 2019, arXiv 1810.01367).
#pragma once

#include "altprop/network/op.h"

namespace altprop::ode {

/// Input (z, l) as one value [B, d + 1]; output [B, d' + 1], d' <= d, with
/// log p(z) - l = log p(z') - l', where values that are left out count as normal ones.
class Bijection : public Op {
 public:
  Spec infer(std::span<const Spec> inputs) const override;
  /// z of what it has become. Values that had been left out are drawn: row i of the result goes by
  /// row number `first_row` + i of the stream. @param made [B, d'] @returns [B, d]
  virtual Tensor inverse(const Tensor& made, const Stream& draws, int64_t first_row) const = 0;
  /// d of the input that it was built for, 0 before.
  int64_t width() const { return width_; }
  void build(std::span<const Spec> inputs) override;

 protected:
  /// d' of d values. @throws Refusal if it takes no such number
  virtual int64_t made_of(int64_t values) const { return values; }

 private:
  int64_t width_ = 0;
};

/// Values in [0, 1] to all numbers: z' = log(y / (1 - y)), y = alpha + (1 - 2 alpha) z.
/// @throws UsageError unless 0 < alpha < 1/2; in a forward pass if a value is not in [0, 1]
OpPtr logit(double alpha = 1e-6);

/// An image [C, H, W] of vectors to [4 C, H/2, W/2]: pixel (2i + a, 2j + b) of channel c becomes pixel
/// (i, j) of channel 4c + 2a + b. Densities stay as they are.
/// @throws UsageError unless the height and the width are even
OpPtr squeeze(std::vector<int64_t> image);

/// The first `keep` values go on; the others are taken for normal ones and leave the flow with their
/// log density.
OpPtr factor_out(int64_t keep);

/// In front of a flow, images that are stored in whole numbers: x in [0, 1] in steps of
/// 1 / (levels - 1) to (x (levels - 1) + u) / levels with u uniform in [0, 1), drawn for each sample of
/// each pass. -log p of the result, averaged, is no less than that of the whole numbers (L. Theis, A.
/// van den Oord, M. Bethge 2016, arXiv 1511.01844, section 3.1).
/// @throws UsageError unless levels is at least 2; in a forward pass if a value is not in [0, 1]
OpPtr dequantise(int64_t levels = 256);
/// Its levels; 0 of other operations.
int64_t levels_of(const Op& op);
/// The image value that the noisy value y came from: its level over the highest one, in [0, 1].
Tensor quantised(const Tensor& y, int64_t levels);

}  // namespace altprop::ode
