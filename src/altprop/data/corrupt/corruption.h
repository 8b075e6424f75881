// Corruptions of images, to see how a trained network does on what it was not trained on: of the
// kinds of N. Mu, J. Gilmer, "MNIST-C", 2019, arXiv 1906.02337, made here, with strengths in
// proportion to the size of the image and each of one strength.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "altprop/base/registry.h"
#include "altprop/data/dataset.h"
#include "altprop/tensor/random.h"

namespace altprop {

namespace data {
struct Corruption {
  std::string name, help;
  /// @param images [N, C, H, W] in [0, 1], float32 @param draws of this corruption
  /// @param rows whose random numbers sample n draws @returns the same shape, in [0, 1]
  std::function<Tensor(const Tensor& images, const Stream& draws, const RowIds& rows)> apply;
  int order = 1000;  ///< position in listings
};
}  // namespace data

template <>
Registry<data::Corruption>& registry_of();

namespace data {

using RegisterCorruption = Registration<Corruption>;

/// In listing order.
const std::vector<Corruption>& corruptions();
/// @throws UsageError with a suggestion
const Corruption& corruption(const std::string& name);

/// The data set with corrupted images: bytes stay bytes. Image n is corrupted by draws of its
/// number n, so that all networks see the same ones.
/// @throws UsageError if samples are no images [C, H, W] with values in [0, 1] (after scaling)
Dataset corrupted(const Dataset& data, const Corruption& how, uint64_t seed);

/// Every pixel is looked up at another place. @param by [N, 2, 3]: rows and columns of the place,
/// from (x, y, 1) with x and y from -1 to 1 across the image; what lies outside is 0. Bilinear.
Tensor moved_by(const Tensor& images, const Tensor& by);

}  // namespace data

}  // namespace altprop
