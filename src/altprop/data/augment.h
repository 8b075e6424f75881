// Gathering samples into a batch, shifted and mirrored. The draws belong to (stream, sample):
// whoever makes the batch, and when, does not matter.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "altprop/data/dataset.h"
#include "altprop/tensor/random.h"

namespace altprop::data {

struct Augment {
  int64_t crop =
      0;  ///< pad by so many pixels on each side, then cut out the original size anywhere
  std::string fill =
      "zero";  ///< what the padding holds: "zero" (stored value 0: black) or "edge" (nearest pixel)
  bool flip = false;  ///< mirror left and right with probability 1/2

  bool any() const { return crop > 0 || flip; }
};

/// What happens to one sample: pixel (y, x) of the result is pixel (y + down, x + right) of the
/// original, after mirroring it if `mirror`. down, right in [-crop, crop].
struct Shift {
  int64_t down = 0, right = 0;
  bool mirror = false;
};

/// The draw of sample `id`. @param stream of the epoch
Shift draw_shift(const Augment& augment, const Stream& stream, int64_t id);

/// source[ids], each sample shifted by its draw if `augment` is not null.
/// @param source contiguous CPU tensor [N, ...], [N, C, H, W] for augmentation
/// @param ids int64 [n]
/// @param fill one value a channel, of source's type, for "zero"; only read when cropping
Tensor gather(const Tensor& source, const Tensor& ids, const Augment* augment, const Stream& stream,
              const Tensor& fill);

/// (inputs * scale - mean) / stddev in `dtype`, computed in float64 and rounded once. @param inputs
/// some rows of data.inputs, contiguous CPU; the values depend on `data`'s constants only
Tensor normalised(const Tensor& inputs, const Dataset& data, at::ScalarType dtype);
/// Least and largest of all numbers that `normalised` makes of a data set's inputs.
std::pair<double, double> normalised_range(const Dataset& data, at::ScalarType dtype);
/// The other way round, in float64: x * stddev + mean, over scale. @param x any device
Tensor as_stored(const Tensor& x, const Dataset& data);

}  // namespace altprop::data
