#include "altprop/data/loader.h"

#include <array>
#include <mutex>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/precision.h"
#include "altprop/data/prefetch.h"

namespace altprop::data {

void LoaderOptions::declare(Options& o) {
  o.integer("batch", batch, {.min = 1, .max = 1e9}, {"samples of a training step", "samples"});
  o.flag("drop-last", drop_last, {"leave out the last batch of an epoch if it is not full"});
  o.integer("augment.crop", augment.crop, {.min = 0, .max = 1024},
            {"pad training images by so much on each side and cut out the original size at random",
             "pixels"});
  o.choice("augment.fill", augment.fill, {"zero", "edge"},
           {"padding of augment.crop: black or the nearest pixel"});
  o.flag("augment.flip", augment.flip, {"mirror training images left and right at random"});
  o.integer(
      "prefetch", prefetch, {.min = 0, .max = 1024},
      {"batches made ahead by a background thread; pays with augmentation; 0: none", "batches"});
}

struct Loader::State {
  Dataset data;
  LoaderOptions options;
  int64_t batches = 0;
  Tensor values;  // what batches are taken from: converted (on `device` if not augmented), or
                  // data.inputs
  Tensor targets;
  bool converted = false;
  Tensor fill;  // [C] of values' type
  Stream order_stream, augment_stream;

  mutable std::mutex mutex;  // guards `orders`
  struct Order {
    int64_t epoch = -1;
    Tensor ids;
  };
  mutable std::array<Order, 2>
      orders;  // by parity of the epoch: prefetching reaches into the next one

  std::unique_ptr<Prefetcher<Batch>> prefetcher;  // last: its thread uses all of the above

  State(const Dataset& set, const LoaderOptions& wanted)
      : data(set),
        options(wanted),
        order_stream(wanted.stream.at("order")),
        augment_stream(wanted.stream.at("augment")) {
    check_options();
    if (!options.applied) check_precision(data, options.dtype);
    data.inputs = data.inputs.contiguous();
    const int64_t n = data.size();
    batches = options.drop_last ? n / options.batch : (n + options.batch - 1) / options.batch;
    if (data.vocabulary > 0) {
      values = data.inputs.to(options.device);
      converted = true;
      start();
      return;
    }
    converted = data.inputs.numel() * static_cast<int64_t>(c10::elementSize(options.dtype)) <=
                options.resident_bytes;
    values = converted ? normalised(data.inputs, data, options.dtype) : data.inputs;
    if (options.augment.any()) {
      Tensor black = at::zeros({1, data.channels()}, data.inputs.options());
      fill = (converted ? normalised(black, data, options.dtype) : black).flatten();
    } else if (converted) {
      values = values.to(options.device);
    }
    start();
  }

  void start() {
    if (data.labelled()) {
      targets = data.classes > 0 ? data.targets : data.targets.to(options.dtype);
      targets = targets.contiguous().to(options.device);
    }
    if (options.prefetch > 0)
      prefetcher = std::make_unique<Prefetcher<Batch>>(
          [this](std::pair<int64_t, int64_t> key) { return make(key.first, key.second); }, batches,
          options.prefetch);
  }

  void check_options() const {
    check(data, !options.applied);
    if (data.empty())
      throw UsageError("data set '" + data.name + "' is empty: there is nothing to load");
    if (options.batch < 1)
      throw UsageError(text::cat("option 'batch' must be at least 1, but is ", options.batch));
    if (options.prefetch < 0)
      throw UsageError(
          text::cat("option 'prefetch' must be at least 0, but is ", options.prefetch));
    if (!at::isFloatingType(options.dtype))
      throw UsageError(text::cat("a loader delivers floating numbers, not ", options.dtype));
    if (options.drop_last && data.size() < options.batch)
      throw UsageError(text::cat("option 'drop-last' leaves nothing: data set '", data.name,
                                 "' has ", data.size(), " samples, a batch ", options.batch));
    const Augment& a = options.augment;
    if (a.fill != "zero" && a.fill != "edge")
      throw UsageError("option 'augment.fill' must be one of zero, edge, but is '" + a.fill + "'");
    if (a.crop < 0)
      throw UsageError(text::cat("option 'augment.crop' must be at least 0, but is ", a.crop));
    if (a.any() && data.inputs.dim() != 4)
      throw UsageError("augmentation needs images [N, C, H, W], but data set '" + data.name +
                       "' has samples of shape " + shape_text(data.sample_shape()));
  }

  Tensor order(int64_t epoch) const {
    std::lock_guard lock(mutex);
    Order& known = orders[static_cast<size_t>(epoch % 2)];
    if (known.epoch != epoch) known = {epoch, order_stream.at(epoch).permutation(data.size())};
    return known.ids;
  }

  Batch make(int64_t epoch, int64_t index) const {
    const int64_t begin = index * options.batch,
                  size = std::min(options.batch, data.size() - begin);
    Batch out;
    out.size = size;
    out.index = index;
    out.ids = options.shuffle ? order(epoch).narrow(0, begin, size)
                              : at::arange(begin, begin + size, at::kLong);
    const bool augmented = options.augment.any(), on_device = !options.device.is_cpu();
    if (!augmented && !options.shuffle) {
      out.inputs = values.narrow(0, begin, size);
      if (targets.defined()) out.targets = targets.narrow(0, begin, size);
    } else {
      if (on_device && !augmented && converted) {
        const Tensor there = out.ids.to(options.device);
        out.inputs = values.index_select(0, there);
        if (targets.defined()) out.targets = targets.index_select(0, there);
        return out;
      }
      out.inputs = gather(values, out.ids, augmented ? &options.augment : nullptr,
                          augment_stream.at(epoch), fill);
      if (targets.defined()) out.targets = targets.index_select(0, out.ids.to(options.device));
    }
    if (!converted) out.inputs = normalised(out.inputs, data, options.dtype);
    out.inputs = out.inputs.to(options.device);
    return out;
  }
};

Loader::Loader(const Dataset& data, const LoaderOptions& options)
    : state_(std::make_unique<State>(data, options)) {}
Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

int64_t Loader::batches() const { return state_->batches; }

int64_t Loader::samples() const {
  return std::min(state_->data.size(), state_->batches * state_->options.batch);
}

Batch Loader::at(int64_t epoch, int64_t index) const {
  if (epoch < 0 || index < 0 || index >= state_->batches)
    throw UsageError(text::cat("there is no batch ", index, " in epoch ", epoch, " of data set '",
                               state_->data.name, "': it has batches 0 to ", state_->batches - 1,
                               ", epochs count from 0"));
  return state_->prefetcher ? state_->prefetcher->get({epoch, index}) : state_->make(epoch, index);
}

}  // namespace altprop::data
