// The own kernels that take the place of libtorch's operations, and a switch for each: a kernel
// that is off leaves its work to libtorch, as on devices other than the CPU. So every kernel can be
// tested against the library by itself, and a wrong result be traced to one.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Kernels that are chosen together, and the instructions that all of them may use. Random numbers,
/// and the deployed cores that count bits (cores/popcount_engine.h), have no entry: they have one
/// implementation, whose bits do not depend on the instructions.
enum class OwnKernel : uint32_t {
  OuterProduct,  ///< tensor/outer_product.h
  PackedMatrix,  ///< tensor/packed_matrix.h
  NarrowConv,    ///< tensor/narrow_conv.h
  Settle,        ///< tensor/settle.h
  SettlePair,    ///< tensor/settle_pair.h
  ValueSteps,    ///< tensor/value_steps.h; needs packed matrices
  Lstm,          ///< tensor/lstm.h
  Planar,        ///< tensor/planar.h
  SoftmaxPool,   ///< tensor/softmax_pool.h
  SoftmaxRows,   ///< network/softmax.h
  Signs,         ///< tensor/signs.h
  Rows,          ///< tensor/rows.h
  Tanh,          ///< tensor/tanh.h
  SpikeEvents,   ///< spiking/event_kernel.h, spiking/window_times.h
  CoreLoops,     ///< cores/core_kernels.h
  ReluSweep,     ///< theory/relu_sweep.h
  Avx512,        ///< instructions: off also turns off the kernels that are written for them
  Avx2,          ///< instructions, with FMA
};

/// Some of them.
class OwnKernels {
 public:
  constexpr OwnKernels() = default;
  constexpr OwnKernels(std::initializer_list<OwnKernel> some) {
    for (OwnKernel k : some) bits_ |= bit(k);
  }
  static OwnKernels all();
  /// @throws UsageError if there is no kernel of one of these names
  static OwnKernels named(const std::vector<std::string>& names);
  /// Those that are off by a text of names and the words "all" and "none", read from left to right:
  /// "-name" turns off, "name" on. Of an empty text none are. @throws UsageError
  static OwnKernels off_by(const std::string& text);

  bool has(OwnKernel k) const { return bits_ & bit(k); }
  bool empty() const { return bits_ == 0; }
  /// As `named` takes them: "outer-product", ...
  std::vector<std::string> names() const;

  OwnKernels with(OwnKernels more) const { return OwnKernels(bits_ | more.bits_); }
  OwnKernels without(OwnKernels less) const { return OwnKernels(bits_ & ~less.bits_); }
  bool operator==(const OwnKernels&) const = default;

  static constexpr uint32_t bit(OwnKernel k) { return 1u << static_cast<uint32_t>(k); }
  uint32_t bits() const { return bits_; }
  explicit constexpr OwnKernels(uint32_t bits) : bits_(bits) {}

 private:
  uint32_t bits_ = 0;
};

/// Which kernels are off, in all threads. At first those that ALTPROP_KERNELS says. Not to be
/// changed while work goes on.
OwnKernels kernels_off();
void set_kernels_off(OwnKernels off);
/// @throws UsageError if ALTPROP_KERNELS cannot be read; all kernels are on then
void check_kernels_variable();

/// Turns off more of them for as long as it lives.
class KernelsOff {
 public:
  explicit KernelsOff(OwnKernels more) : before_(kernels_off()) {
    set_kernels_off(before_.with(more));
  }
  ~KernelsOff() { set_kernels_off(before_); }
  KernelsOff(const KernelsOff&) = delete;
  KernelsOff& operator=(const KernelsOff&) = delete;

 private:
  OwnKernels before_;
};

namespace detail {
extern std::atomic<uint32_t> kernels_off;
}

/// Cheap enough for every call of a kernel.
inline bool own_kernel_is_on(OwnKernel k) {
  return !(detail::kernels_off.load(std::memory_order_relaxed) & OwnKernels::bit(k));
}

/// The kernel may read and write the numbers of this tensor.
inline bool own_kernel_reaches(OwnKernel k, const Tensor& t) {
  return t.device().is_cpu() && own_kernel_is_on(k);
}

/// The best instructions that own kernels take here and now: "avx512", "avx2" or "plain". With
/// others, numbers may differ in their last bits.
const char* own_instructions();

}  // namespace altprop
