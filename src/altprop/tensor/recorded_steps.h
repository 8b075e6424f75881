// Loops of many small steps on a device that can record work and play it again (CUDA graphs): the
// host prepares some steps once and the device repeats them, instead of the host launching every
// kernel of every step, which for the small layers of relaxing networks takes longer than the
// kernels.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Stream.h>

#include "altprop/tensor/tensor.h"

namespace at {
struct GraphImplInterface;
}

namespace altprop {

/// A loop whose steps are all the same work on a device: no numbers are read back, none are drawn,
/// and nothing that is counted on the host changes what a step does.
struct RepeatedStep {
  std::function<void()> step;
  /// What a step leaves for the next. A step may write into these or put other tensors in their
  /// places. At least one, all on one device.
  std::function<std::vector<Tensor*>()> carried;
  /// Lets go of everything else that one step leaves for the next, such as what it would not
  /// compute twice.
  std::function<void()> forget;
};

class RecordedSteps {
 public:
  RecordedSteps();
  ~RecordedSteps();
  RecordedSteps(RecordedSteps&&) noexcept;
  RecordedSteps& operator=(RecordedSteps&&) noexcept;
  RecordedSteps(const RecordedSteps&) : RecordedSteps() {}  ///< a copy records for itself
  RecordedSteps& operator=(const RecordedSteps&) = delete;

  /// `steps` calls of loop.step, of which most are repeated by the device where it can and there
  /// are enough of them. The results are those of the calls. If recording fails, the calls are made
  /// and nothing is recorded again.
  void run(int64_t steps, const RepeatedStep& loop);

  /// Whether loops are recorded at all; on at the start of the process.
  static void allow(bool on);
  /// Why a recording failed, once, for whoever tells the user; else empty.
  static std::string take_notice();
  /// Steps that devices have repeated in this process.
  static int64_t repeated();

 private:
  bool record(const RepeatedStep& loop, c10::DeviceType type);

  std::unique_ptr<at::GraphImplInterface> graph_;
  std::optional<c10::Stream> side_;  ///< recordings are made beside of a device's default stream
};

}  // namespace altprop
