// How spikes are weighed: by a matrix, or by a kernel that slides over an image. What layers of
// spike times share; it has no bias.
#pragma once

#include "altprop/network/op.h"

namespace altprop::spiking {

/// Lengths are in input elements.
struct Kernel {
  int64_t height = 0, width = 0;  ///< 0: a dense map, of samples [n]; else of images [C, H, W]
  int64_t stride = 1, padding = 0;
  bool operator==(const Kernel&) const = default;
};

class AffineForm {
 public:
  /// @param where name of the operation, for refusals. @throws Refusal for extents that make no
  /// sense
  AffineForm(std::string where, int64_t out, const Kernel& kernel);

  bool image() const { return kernel_.height > 0; }
  int64_t out() const { return out_; }
  /// "out=32,kernel=3,..." as network texts have it.
  std::string settings() const;
  /// Shape of a sample. @throws Refusal if the input does not fit
  std::vector<int64_t> output_shape(const Spec& input) const;
  /// [out, n], or [out, C, height, width].
  std::vector<int64_t> weight_shape(const Spec& input) const;
  /// @throws Refusal if a weight that is shared is of another input's shape
  void expect_weight(const Tensor& weight, const Spec& input) const;
  int64_t multiply_adds(const Spec& input) const;

  /// x W^T of [B, n], or the convolution of [B, C, H, W]; padding counts as 0.
  Tensor apply(const Tensor& x, const Tensor& weight) const;
  /// Its transpose. @param shape of x, whose number of rows may be another
  Tensor pull(const Tensor& cot, const Tensor& weight, IntArrayRef shape) const;
  /// scale * d<cot, apply(x, W)>/dW.
  void add_weight_credit(Slot& slot, const Tensor& cot, const Tensor& x, double scale) const;

  // The same as rows of a matrix, for what is no product: a row is a sample, or a position that the
  // kernel stands at.

  /// [B, n] as it is; windows of [B, C, H, W] as [B * positions, C * height * width].
  /// @param outside what the padding holds
  Tensor rows_of(const Tensor& x, double outside) const;
  /// The transpose of rows_of: sums what belongs to one element. @param shape of x
  Tensor from_rows(const Tensor& rows, IntArrayRef shape) const;
  /// [B, out] as it is; [B, out, H', W'] as [B * positions, out].
  Tensor output_rows(const Tensor& y) const;
  /// By sample, how often a spike reaches a unit if all come in time: the number of its spikes,
  /// each as often as the kernel covers it, times that of the outputs. float64 [B]
  Tensor spikes_delivered(const Tensor& times) const;
  /// The other way round of output_rows. @param batch number of samples @param shape of a sample's
  /// output
  Tensor output_of(const Tensor& rows, int64_t batch, IntArrayRef shape) const;

 private:
  Tensor stored(const Tensor& images) const;

  std::string where_;
  int64_t out_;
  Kernel kernel_;
};

}  // namespace altprop::spiking
