#include "altprop/tensor/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <atomic>

namespace altprop::memory {

namespace {

std::atomic<int64_t> alive_bytes{0}, peak_bytes{0};

void count(int64_t bytes) {
  const int64_t now = alive_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void release(void* pointer) {
  if (!pointer) return;
  count(-static_cast<int64_t>(malloc_usable_size(pointer)));
  c10::free_cpu(pointer);
}

struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* pointer = c10::alloc_cpu(bytes);
    if (pointer) count(static_cast<int64_t>(malloc_usable_size(pointer)));
    return {pointer, pointer, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

c10::CachingDeviceAllocator::DeviceStats device_stats(at::Device device) {
  return at::getDeviceAllocator(device.type())->getDeviceStats(std::max<c10::DeviceIndex>(0, device.index()));
}

constexpr size_t kAggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

}  // namespace

void install() {
  static CountingAllocator allocator;
  static const bool once = [] {
    // Blocks of training's size come and go every step: keep them in the heap instead of returning them to the kernel, which would
    // fault every page in again.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);
    c10::SetCPUAllocator(&allocator, /*priority=*/1);
    return true;
  }();
  (void)once;
}

int64_t alive(at::Device device) {
  if (device.is_cpu()) return alive_bytes.load(std::memory_order_relaxed);
  return device_stats(device).allocated_bytes[kAggregate].current;
}

int64_t peak(at::Device device) {
  if (device.is_cpu()) return peak_bytes.load(std::memory_order_relaxed);
  return device_stats(device).allocated_bytes[kAggregate].peak;
}

void reset_peak(at::Device device) {
  if (device.is_cpu()) {
    peak_bytes.store(alive_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
  } else {
    at::getDeviceAllocator(device.type())->resetPeakStats(std::max<c10::DeviceIndex>(0, device.index()));
  }
}

}  // namespace altprop::memory
