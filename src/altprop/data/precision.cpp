#include "altprop/data/precision.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::data {

namespace {

constexpr double kMostLoss = 1e-3;  // of the range of a channel

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low, loss = 0;
  void take(double value) {
    if (value == std::numeric_limits<double>::infinity()) return;  // a spike that never comes
    low = std::min(low, value);
    high = std::max(high, value);
    loss = std::max(loss, std::abs(value - static_cast<double>(static_cast<float>(value))));
  }
  bool lost() const { return !(loss <= kMostLoss * (high - low)) && high > low; }
};

[[noreturn]] void fail(const Dataset& data, const std::string& which, const Extent& extent,
                       const std::string& advice) {
  throw Error(text::cat("data set '", data.name, "' has ", which, " from ",
                        text::from_number(extent.low), " to ", text::from_number(extent.high),
                        ", which float32 ",
                        std::isfinite(extent.loss) ? "cannot tell apart" : "does not hold", "; ",
                        advice, ", or set the option dtype to float64"));
}

}  // namespace

void check_precision(const Dataset& data, at::ScalarType dtype) {
  if (dtype == at::kDouble || data.vocabulary > 0 || data.empty()) return;
  if (data.inputs.scalar_type() == at::kDouble) {
    const Tensor inputs = data.inputs.contiguous();
    const int64_t n = inputs.size(0), channels = data.channels(),
                  inner = inputs.numel() / (n * channels);
    std::vector<Extent> extents(static_cast<size_t>(channels));
    const double* value = inputs.const_data_ptr<double>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < channels; ++c) {
        const auto k = static_cast<size_t>(c);
        const double mean = data.mean.empty() ? 0 : data.mean[k],
                     deviation = data.mean.empty() ? 1 : data.stddev[k];
        for (int64_t j = 0; j < inner; ++j)
          extents[k].take((*value++ * data.scale - mean) / deviation);
      }
    for (size_t c = 0; c < extents.size(); ++c)
      if (extents[c].lost())
        fail(data, text::cat("inputs in channel ", c), extents[c],
             "set the option normalise to standard");
  }
  if (data.classes == 0 && data.targets.scalar_type() == at::kDouble) {
    Extent extent;
    const Tensor targets = data.targets.contiguous();
    const double* value = targets.const_data_ptr<double>();
    for (int64_t i = 0; i < targets.numel(); ++i) extent.take(value[i]);
    if (extent.lost())
      fail(data, "targets", extent, "subtract an offset from them or divide them by their unit");
  }
}

}  // namespace altprop::data
