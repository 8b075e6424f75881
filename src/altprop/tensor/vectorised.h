// Loops that the compiler makes vectors of, compiled for several instruction sets. What is called
// is the processor's best, or what is left of it by the switches of the instructions.
//
//   ALTPROP_VECTORISED void add(float* out, const float* x, int64_t n) { ... }
//   vectorised<add>(out, x, n);
//
// GCC's target_clones, which does this by the loader, asks nobody.
#pragma once

#include "altprop/tensor/own_kernels.h"

#define ALTPROP_VECTORISED inline __attribute__((always_inline))

namespace altprop {

enum class Instructions { Plain, Avx2, Avx512 };

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

/// Whole levels of the architecture and not single features, as the loops are compiled for. Static
/// like the others, because a build with sanitizers has answers of its own.
static inline Instructions instructions_of_processor() {
  static const Instructions best = __builtin_cpu_supports("x86-64-v4")   ? Instructions::Avx512
                                   : __builtin_cpu_supports("x86-64-v3") ? Instructions::Avx2
                                                                         : Instructions::Plain;
  return best;
}

static inline Instructions instructions_now() {
  const Instructions best = instructions_of_processor();
  if (best == Instructions::Avx512 && own_kernel_is_on(OwnKernel::Avx512)) return best;
  return best != Instructions::Plain && own_kernel_is_on(OwnKernel::Avx2) ? Instructions::Avx2
                                                                          : Instructions::Plain;
}

template <auto Loop>
struct Vectorised;

template <class... Operands, void (*Loop)(Operands...)>
struct Vectorised<Loop> {
  __attribute__((target("arch=x86-64-v4"))) static void avx512(Operands... o) { Loop(o...); }
  __attribute__((target("arch=x86-64-v3"))) static void avx2(Operands... o) { Loop(o...); }
  static void plain(Operands... o) { Loop(o...); }
};

/// Calls a loop in the form for the instructions of the moment.
template <auto Loop, class... Operands>
inline void vectorised(Operands&&... o) {
  switch (instructions_now()) {
    case Instructions::Avx512:
      return Vectorised<Loop>::avx512(o...);
    case Instructions::Avx2:
      return Vectorised<Loop>::avx2(o...);
    case Instructions::Plain:
      return Vectorised<Loop>::plain(o...);
  }
}

#else

static inline Instructions instructions_now() { return Instructions::Plain; }

template <auto Loop, class... Operands>
inline void vectorised(Operands&&... o) {
  Loop(o...);
}

#endif

}  // namespace altprop
