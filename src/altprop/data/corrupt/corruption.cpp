#include "altprop/data/corrupt/corruption.h"

#include <algorithm>

#include "altprop/base/error.h"

namespace altprop {

template <>
Registry<data::Corruption>& registry_of() {
  static Registry<data::Corruption> registry("corruption");
  return registry;
}

}  // namespace altprop

namespace altprop::data {

namespace {
constexpr int64_t kSamplesAtOnce = 1000;
}  // namespace

const std::vector<Corruption>& corruptions() { return registry_of<Corruption>().all(); }

const Corruption& corruption(const std::string& name) { return registry_of<Corruption>().at(name); }

Dataset corrupted(const Dataset& data, const Corruption& how, uint64_t seed) {
  if (data.inputs.dim() != 4)
    throw UsageError("corruptions are of images, and a sample of '" + data.name +
                     "' has no channels, rows and columns; write its shape, as in "
                     "--data.shape 1x28x28, or take another data set");
  Dataset out = data;
  out.inputs = at::empty_like(data.inputs);
  const Stream draws = Stream(seed).at("corruption").at(how.name);
  const bool bytes = data.inputs.scalar_type() == at::kByte;
  for (int64_t from = 0; from < data.size(); from += kSamplesAtOnce) {
    const int64_t n = std::min(kSamplesAtOnce, data.size() - from);
    const Tensor images = data.inputs.narrow(0, from, n).to(at::kFloat).mul(data.scale);
    // Written so that NaN does not pass.
    if (!(images.min().item<float>() >= 0 && images.max().item<float>() <= 1 + 1e-6))
      throw UsageError("corruptions are of images with values from 0 to 1, and '" + data.name +
                       "' has others; take images as bytes, or divide by their largest value");
    Tensor changed = how.apply(images, draws, {.first_row = from}).clamp_(0, 1).div_(data.scale);
    if (bytes) changed.round_();
    out.inputs.narrow(0, from, n).copy_(changed);
  }
  return out;
}

}  // namespace altprop::data
