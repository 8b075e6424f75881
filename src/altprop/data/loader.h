// Batches by random access: any batch of any epoch can be made directly, because order and
// augmentation are keyed by (stream, epoch) and (stream, epoch, sample). A loader has no position;
// resuming a run needs nothing from it.
//
//   Loader loader(splits.train, {.batch = 64, .shuffle = true, .stream =
//   Stream(seed).at("loader")}); for (int64_t i = 0; i < loader.batches(); ++i)
//   step(loader.at(epoch, i));
#pragma once

#include <memory>

#include "altprop/base/options.h"
#include "altprop/data/augment.h"
#include "altprop/data/dataset.h"
#include "altprop/tensor/random.h"

namespace altprop::data {

struct Batch {
  Tensor inputs;   ///< [size, ...sample shape], normalised, on the loader's device (token numbers:
                   ///< int64, as they are); may be a view of the data set's values: read only
  Tensor targets;  ///< int64 [size] or [size, T], or floating [size, K], same device; may be a view
                   ///< likewise; undefined where the data set has none
  Tensor ids;      ///< int64 [size], CPU: indices into the data set
  int64_t size = 0;
  int64_t index = 0;  ///< which batch of its epoch
};

struct LoaderOptions {
  int64_t batch = 64;      ///< samples
  bool shuffle = false;    ///< a new order every epoch
  bool drop_last = false;  ///< leave out the last batch if it is not full
  Stream stream{};         ///< of order and augmentation
  Augment augment{};
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  int64_t prefetch = 0;  ///< batches made ahead by one background thread; 0: none
  /// Converted once if that takes at most so many bytes, else batch by batch; the values are the
  /// same.
  int64_t resident_bytes = int64_t{3} << 29;
  /// Samples that a trained network is applied to: targets may be missing, and how many digits the
  /// values need is not concluded from their range, which of a few samples says nothing.
  bool applied = false;

  /// Declares what a user chooses: batch, drop-last, augment.crop, augment.fill, augment.flip,
  /// prefetch.
  void declare(Options& options);
};

class Loader {
 public:
  /// @throws UsageError if an option does not fit the data set (empty, batch too large to keep one,
  /// augmentation of something that is no image); Error if the data set is inconsistent
  Loader(const Dataset& data, const LoaderOptions& options);
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  /// Batches of an epoch.
  int64_t batches() const;
  /// Samples of an epoch.
  int64_t samples() const;

  /// Any batch, any time; cheapest in order. Thread-safe. @throws UsageError if there is no such
  /// batch; what went wrong in the background thread
  Batch at(int64_t epoch, int64_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace altprop::data
