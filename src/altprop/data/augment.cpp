#include "altprop/data/augment.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

namespace altprop::data {

namespace {

/// Pixels are moved, not computed with, so that one routine per size of a value is enough.
template <class T>
void shift_image(const T* from, T* to, IntArrayRef shape, const Shift& shift, bool edge,
                 const T* fill) {
  const int64_t channels = shape[1], height = shape[2], width = shape[3];
  for (int64_t c = 0; c < channels; ++c) {
    const T* plane = from + c * height * width;
    for (int64_t y = 0; y < height; ++y, to += width) {
      int64_t source_y = y + shift.down;
      if (source_y < 0 || source_y >= height) {
        if (!edge) {
          std::fill_n(to, width, fill[c]);
          continue;
        }
        source_y = std::clamp<int64_t>(source_y, 0, height - 1);
      }
      // Columns before `left` and from `stop` on lie outside of the image.
      const T* row = plane + source_y * width;
      const int64_t left = std::clamp<int64_t>(-shift.right, 0, width);
      const int64_t stop = std::clamp<int64_t>(width - shift.right, 0, width);
      const T first = row[shift.mirror ? width - 1 : 0], last = row[shift.mirror ? 0 : width - 1];
      std::fill(to, to + left, edge ? first : fill[c]);
      if (shift.mirror)
        std::reverse_copy(row + width - stop - shift.right, row + width - left - shift.right,
                          to + left);
      else
        std::copy(row + left + shift.right, row + stop + shift.right, to + left);
      std::fill(to + stop, to + width, edge ? last : fill[c]);
    }
  }
}

template <class T>
void gather_shifted(const Tensor& source, const Tensor& ids, const Augment& augment,
                    const Stream& stream, const Tensor& fill, Tensor& out) {
  const int64_t size = source.numel() / source.size(0);
  const auto* from = static_cast<const T*>(source.const_data_ptr());
  auto* to = static_cast<T*>(out.data_ptr());
  const auto* filler = static_cast<const T*>(fill.const_data_ptr());
  const auto* id = ids.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.numel(); ++i)
    shift_image(from + id[i] * size, to + i * size, source.sizes(),
                draw_shift(augment, stream, id[i]), augment.fill == "edge", filler);
}

template <class From, class To>
void normalise_as(const Tensor& inputs, const Dataset& data, Tensor& out) {
  const int64_t channels = data.channels(), n = inputs.size(0);
  if (n == 0) return;
  const int64_t inner = inputs.numel() / (n * channels);
  auto value = [&](double stored, int64_t c) {
    const double scaled = stored * data.scale;
    const auto i = static_cast<size_t>(c);
    return static_cast<To>(data.mean.empty() ? scaled : (scaled - data.mean[i]) / data.stddev[i]);
  };
  constexpr bool kBytes = std::is_same_v<From, uint8_t>;
  std::vector<To> table;  // 256 values a channel: a byte is looked up instead of computed
  if constexpr (kBytes)
    for (int64_t c = 0; c < channels; ++c)
      for (int v = 0; v < 256; ++v) table.push_back(value(v, c));
  const From* from = inputs.const_data_ptr<From>();
  To* to = out.data_ptr<To>();
  at::parallel_for(0, n * channels, std::max<int64_t>(1, 262144 / std::max<int64_t>(1, inner)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t plane = begin; plane < end; ++plane) {
                       const int64_t c = plane % channels;
                       for (int64_t i = plane * inner; i < (plane + 1) * inner; ++i) {
                         if constexpr (kBytes)
                           to[i] = table[static_cast<size_t>(c * 256 + from[i])];
                         else
                           to[i] = value(static_cast<double>(from[i]), c);
                       }
                     }
                   });
}

}  // namespace

Shift draw_shift(const Augment& augment, const Stream& stream, int64_t id) {
  const Stream sample = stream.at(id);
  Shift out;
  if (augment.crop > 0) {
    out.down = sample.integer_at(0, 2 * augment.crop + 1) - augment.crop;
    out.right = sample.integer_at(1, 2 * augment.crop + 1) - augment.crop;
  }
  out.mirror = augment.flip && sample.integer_at(2, 2) == 1;
  return out;
}

Tensor gather(const Tensor& source, const Tensor& ids, const Augment* augment, const Stream& stream,
              const Tensor& fill) {
  std::vector<int64_t> shape = source.sizes().vec();
  shape[0] = ids.numel();
  Tensor out = at::empty(shape, source.options());
  // Serial on purpose: a batch takes tens of microseconds, and a loader's background thread must
  // not take the cores from the training step.
  if (augment) {
    switch (source.element_size()) {
      case 1:
        gather_shifted<uint8_t>(source, ids, *augment, stream, fill, out);
        break;
      case 2:
        gather_shifted<uint16_t>(source, ids, *augment, stream, fill, out);
        break;
      case 4:
        gather_shifted<uint32_t>(source, ids, *augment, stream, fill, out);
        break;
      default:
        gather_shifted<uint64_t>(source, ids, *augment, stream, fill, out);
    }
    return out;
  }
  const size_t bytes = source.nbytes() / static_cast<size_t>(source.size(0));
  const auto* from = static_cast<const uint8_t*>(source.const_data_ptr());
  auto* to = static_cast<uint8_t*>(out.data_ptr());
  const auto* id = ids.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.numel(); ++i)
    std::memcpy(to + static_cast<size_t>(i) * bytes, from + static_cast<size_t>(id[i]) * bytes,
                bytes);
  return out;
}

Tensor normalised(const Tensor& inputs, const Dataset& data, at::ScalarType dtype) {
  Tensor out = at::empty(inputs.sizes(), dtype);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, dtype, "normalised", [&] {
    using To = scalar_t;
    if (inputs.scalar_type() == at::kByte) {
      normalise_as<uint8_t, To>(inputs, data, out);
    } else {
      AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, inputs.scalar_type(), "normalised",
                                      [&] { normalise_as<scalar_t, To>(inputs, data, out); });
    }
  });
  return out;
}

std::pair<double, double> normalised_range(const Dataset& data, at::ScalarType dtype) {
  const Tensor flat = data.inputs.reshape({data.size(), data.channels(), -1});
  const Tensor ends = at::stack({flat.amin({0, 2}), flat.amax({0, 2})});  // [2, channels]
  const auto [low, high] = at::aminmax(normalised(ends, data, dtype));
  return {low.item<double>(), high.item<double>()};
}

Tensor as_stored(const Tensor& x, const Dataset& data) {
  Tensor out = x.to(at::kCPU, at::kDouble);
  const auto of_channels = [&](const std::vector<double>& values, double without) {
    if (values.empty()) return at::full({1}, without, at::kDouble);
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    if (x.dim() > 1) shape[1] = static_cast<int64_t>(values.size());
    return at::tensor(values, at::kDouble).view(shape);
  };
  return (out * of_channels(data.stddev, 1) + of_channels(data.mean, 0)) / data.scale;
}

}  // namespace altprop::data
