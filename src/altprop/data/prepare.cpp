#include "altprop/data/prepare.h"

#include <cmath>
#include <cstdlib>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/new_samples.h"
#include "altprop/tensor/random.h"

namespace altprop::data {

void PrepareOptions::declare(Options& o) {
  o.text("data-dir", folder,
         {"folder of the data sets; empty: the environment variable ALTPROP_DATA, else 'data'"});
  o.choice("normalise", normalise, {"standard", "unit", "symmetric", "none"},
           {"standard: mean 0 and deviation 1 by channel; unit: to [0, 1]; symmetric: to [-1, 1]; "
            "none: as stored"});
  o.number("deviations", deviations, {.min = 0, .min_excluded = true},
           {"normalise=standard: how many standard deviations become 1", "1",
            "3 for CIFAR in the code of arXiv 2306.04810"});
  o.integer("train-limit", train_limit, {.min = 0},
            {"training samples to use, drawn with data-seed; 0: all", "samples"});
  o.integer("test-limit", test_limit, {.min = 0},
            {"test samples to use, drawn with data-seed; 0: all", "samples"});
  o.number("validation", validation, {.min = 0},
           {"training samples to hold out, a fraction of them if below 1, drawn with data-seed",
            "samples"});
  o.integer("image-size", image_size, {.min = 0, .max = 4096},
            {"pad images with zeros to this height and width; 0: leave them", "pixels"});
  o.integer("data-seed", seed, {.min = 0},
            {"seed of the draws of validation, train-limit and test-limit"});
}

std::string data_folder(const std::string& given) {
  if (!given.empty()) return given;
  const char* set = std::getenv("ALTPROP_DATA");
  return set && *set ? set : "data";
}

namespace {

/// Ids `from` to `to` of the permutation, in the order of the source.
Tensor drawn(const Tensor& permutation, int64_t from, int64_t to) {
  return std::get<0>(permutation.slice(0, from, to).sort());
}

void hold_out(Splits& splits, double wanted, const Stream& stream) {
  if (wanted == 0) return;
  const int64_t n = splits.train.size();
  if (wanted >= 1 && wanted != std::floor(wanted))
    throw UsageError(text::cat(
        "option 'validation' must be a fraction below 1 or a whole number of samples, but is ",
        text::from_number(wanted)));
  if (wanted >= static_cast<double>(n))
    throw UsageError(text::cat("option 'validation' asks for ", text::from_number(wanted),
                               " samples, but data set '", splits.train.name, "' has ", n,
                               " training samples, and one at least must remain"));
  const int64_t held =
      wanted >= 1 ? static_cast<int64_t>(wanted) : std::llround(wanted * static_cast<double>(n));
  if (held == 0 || held == n)
    throw UsageError(text::cat("option 'validation' of ", text::from_number(wanted), " leaves ",
                               n - held, " of the ", n, " training samples of data set '",
                               splits.train.name, "' to train on and ", held, " to validate with"));
  const Tensor order = stream.permutation(n);
  splits.validation = subset(splits.train, drawn(order, 0, held));
  splits.train = subset(splits.train, drawn(order, held, n));
}

void limit(Dataset& data, int64_t most, const std::string& option, const Stream& stream) {
  if (most == 0 || data.empty()) return;
  if (most > data.size())
    throw UsageError(text::cat("option '", option, "' asks for ", most, " samples, but data set '",
                               data.name, "' has ", data.size(), "; use 0 for all"));
  data = subset(data, drawn(stream.permutation(data.size()), 0, most));
}

void pad(Dataset& data, int64_t size) {
  if (size == 0 || data.empty()) return;
  if (data.inputs.dim() != 4)
    throw UsageError(text::cat("option 'image-size' needs images [N, C, H, W], but data set '",
                               data.name, "' has samples of shape ",
                               shape_text(data.sample_shape())));
  const int64_t rows = size - data.inputs.size(2), columns = size - data.inputs.size(3);
  if (rows < 0 || columns < 0)
    throw UsageError(text::cat("option 'image-size' only pads: ", size, " is smaller than the ",
                               data.inputs.size(2), "x", data.inputs.size(3),
                               " images of data set '", data.name, "'"));
  data.inputs = at::constant_pad_nd(data.inputs,
                                    {columns / 2, columns - columns / 2, rows / 2, rows - rows / 2})
                    .contiguous();
}

template <class T>
void measure_as(Dataset& data) {
  const Tensor inputs = data.inputs.contiguous();
  const int64_t n = inputs.size(0), channels = data.channels(),
                inner = inputs.numel() / (n * channels);
  const T* values = inputs.data_ptr<T>();
  for (int64_t c = 0; c < channels; ++c) {
    auto sum_of = [&](auto&& term) {
      double total = 0;
      for (int64_t i = 0; i < n; ++i) {
        const T* plane = values + (i * channels + c) * inner;
        double part = 0;
        for (int64_t j = 0; j < inner; ++j)
          part += term(static_cast<double>(plane[j]) * data.scale);
        total += part;
      }
      return total / static_cast<double>(n * inner);
    };
    const double mean = sum_of([](double v) { return v; });
    const double variance = sum_of([mean](double v) { return (v - mean) * (v - mean); });
    if (!std::isfinite(variance))
      throw Error(text::cat("data set '", data.name, "' has values in channel ", c,
                            " that are too large to be standardised, around ",
                            text::from_number(mean), "; rescale them"));
    data.mean.push_back(mean);
    // Rounding leaves a constant channel a tiny spread, which must not be blown up to 1.
    data.stddev.push_back(variance > 1e-24 * (1 + mean * mean) ? std::sqrt(variance) : 1.0);
  }
}

/// mean and stddev such that the values of each channel span [low, low + width].
void span_range(Dataset& data, double low, double width) {
  const int64_t channels = data.channels();
  if (data.inputs.scalar_type() == at::kByte) {
    data.scale = 1.0 / 255;
    data.mean.assign(static_cast<size_t>(channels), -low / width);
    data.stddev.assign(static_cast<size_t>(channels), 1 / width);
    return;
  }
  const Tensor flat = data.inputs.reshape({data.size(), channels, -1}).to(at::kDouble);
  const Tensor smallest = flat.amin({0, 2}), largest = flat.amax({0, 2});
  data.mean.clear(), data.stddev.clear();
  for (int64_t c = 0; c < channels; ++c) {
    const double a = smallest[c].item<double>() * data.scale,
                 b = largest[c].item<double>() * data.scale;
    const double unit = b > a ? (b - a) / width : 1;
    data.mean.push_back(a - low * unit);
    data.stddev.push_back(unit);
  }
}

void normalise(Splits& splits, const std::string& how) {
  Dataset& train = splits.train;
  if (train.vocabulary > 0) return;  // token numbers
  if (how == "none") {
    train.scale = 1;
    train.mean.clear(), train.stddev.clear();
  } else if (how == "unit") {
    span_range(train, 0, 1);
  } else if (how == "symmetric") {
    span_range(train, -1, 2);
  } else if (train.mean.empty()) {
    if (train.inputs.scalar_type() == at::kByte) train.scale = 1.0 / 255;
    measure(train);
  }
  for (Dataset* other : {&splits.validation, &splits.test}) {
    other->scale = train.scale;
    other->mean = train.mean;
    other->stddev = train.stddev;
  }
}

}  // namespace

void measure(Dataset& data) {
  data.mean.clear(), data.stddev.clear();
  if (data.inputs.scalar_type() == at::kByte) return measure_as<uint8_t>(data);
  if (data.inputs.scalar_type() == at::kDouble) return measure_as<double>(data);
  Dataset copy = data;
  copy.inputs = data.inputs.to(at::kFloat);
  measure_as<float>(copy);
  data.mean = copy.mean;
  data.stddev = copy.stddev;
}

void prepare_new(Dataset& data, const Dataset& train, const PrepareOptions& options) {
  data.classes = train.classes;
  data.class_names = train.class_names;
  data.scale = train.scale;
  data.mean = train.mean;
  data.stddev = train.stddev;
  pad(data, options.image_size);
  check_alike(data, train);
  check(data, false);
  require_finite(data);
}

Splits prepare(Splits splits, const PrepareOptions& options) {
  check(splits);
  for (const Dataset* part : {&splits.train, &splits.validation, &splits.test})
    require_finite(*part);
  const Stream stream = Stream(static_cast<uint64_t>(options.seed)).at("data");
  hold_out(splits, options.validation, stream.at("validation"));
  normalise(splits, options.normalise);
  if (options.normalise == "standard")
    for (Dataset* part : {&splits.train, &splits.validation, &splits.test})
      for (double& deviation : part->stddev) deviation *= options.deviations;
  limit(splits.train, options.train_limit, "train-limit", stream.at("train-limit"));
  limit(splits.test, options.test_limit, "test-limit", stream.at("test-limit"));
  for (Dataset* part : {&splits.train, &splits.validation, &splits.test})
    pad(*part, options.image_size);
  return splits;
}

}  // namespace altprop::data
