#include "altprop/tensor/recorded_steps.h"

#include <ATen/core/GraphImplInterface.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <mutex>

#include "altprop/base/text.h"
#include "altprop/tensor/cuda_graph.h"

namespace altprop {

namespace {

constexpr int64_t kInRecording = 4;  ///< steps: more take longer to record, fewer more copies
constexpr int64_t kLeastRepeats = 3;

std::atomic<bool> allowed{true};
std::atomic<int64_t> repeated_steps{0};
std::mutex noticing;
std::string notice;

/// Recordings are not made on a device's default stream. While one lives, the calling thread's work
/// goes to another, which waits for what came before and for which what comes after waits.
class Beside {
 public:
  Beside(c10::Device device, std::optional<c10::Stream>& side) : device_(device) {
    if (device.is_cpu()) return;
    guard_.emplace(device.type());
    before_ = guard_->getStream(device);
    if (!side) side = guard_->getStreamFromGlobalPool(device, false);
    wait(*side, *before_);
    guard_->exchangeStream(*side);
    side_ = side;
  }
  ~Beside() {
    if (!before_) return;
    wait(*before_, *side_);
    guard_->exchangeStream(*before_);
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

 private:
  void wait(const c10::Stream& later, const c10::Stream& earlier) const {
    c10::Event reached(device_.type());
    reached.record(earlier);
    reached.block(later);
  }

  c10::Device device_;
  std::optional<c10::impl::VirtualGuardImpl> guard_;
  std::optional<c10::Stream> before_, side_;
};

}  // namespace

RecordedSteps::RecordedSteps() = default;
RecordedSteps::~RecordedSteps() = default;
RecordedSteps::RecordedSteps(RecordedSteps&&) noexcept = default;
RecordedSteps& RecordedSteps::operator=(RecordedSteps&&) noexcept = default;

void RecordedSteps::allow(bool on) { allowed = on; }
int64_t RecordedSteps::repeated() { return repeated_steps; }

std::string RecordedSteps::take_notice() {
  const std::lock_guard lock(noticing);
  return std::exchange(notice, {});
}

void RecordedSteps::run(int64_t steps, const RepeatedStep& loop) {
  const auto call = [&](int64_t times) {
    for (int64_t t = 0; t < times; ++t) loop.step();
  };
  // The first step allocates what is allocated once, and wakes the libraries up.
  const int64_t called = 1 + (steps - 1) % kInRecording, repeats = (steps - called) / kInRecording;
  if (steps < 1 || repeats < kLeastRepeats || !allowed) return call(steps);
  const c10::Device device = loop.carried().front()->device();
  if (device.is_cuda()) offer_cuda_graphs();
  if (!at::has_graph_impl(device.type())) return call(steps);
  const Beside beside(device, side_);
  call(called);
  loop.forget();
  if (!record(loop, device.type())) return call(steps - called);
  for (int64_t r = 0; r < repeats; ++r) graph_->replay();
  repeated_steps += repeats * kInRecording;
}

bool RecordedSteps::record(const RepeatedStep& loop, c10::DeviceType type) {
  std::unique_ptr<at::GraphImplInterface> recording = at::create_graph_impl(type);
  if (!recording) return false;
  // Steps end where they began: the next repeat reads what this one has written.
  const std::vector<Tensor*> carried = loop.carried();
  std::vector<Tensor> home;
  for (const Tensor* t : carried) home.push_back(*t);
  const auto back_home = [&](bool with_values) {
    for (size_t i = 0; i < home.size(); ++i) {
      if (carried[i]->is_same(home[i])) continue;
      if (with_values) home[i].copy_(*carried[i]);
      *carried[i] = home[i];
    }
    loop.forget();
  };
  // Memory of the last recording serves this one, which replaces it.
  const at::MempoolId_t pool = graph_ ? graph_->pool() : at::MempoolId_t{0, 0};
  bool begun = false;
  try {
    recording->capture_begin(pool, at::GraphCaptureMode::ThreadLocal);
    begun = true;
    for (int64_t t = 0; t < kInRecording; ++t) loop.step();
    back_home(true);
    recording->capture_end();
  } catch (const std::exception& e) {
    const std::string why = e.what();
    if (begun) try {
        recording->capture_end();
      } catch (const std::exception&) {
        // Whatever it says follows from what has been caught.
      }
    back_home(false);
    allowed = false;
    const std::lock_guard lock(noticing);
    notice = text::cat(
        "a loop could not be recorded for the device to repeat, so that the host "
        "launches every step (device-graphs=false stops the attempt): ",
        why.substr(0, why.find('\n')));
    return false;
  }
  graph_ = std::move(recording);
  return true;
}

}  // namespace altprop
