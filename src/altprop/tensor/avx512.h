// The instructions of AVX-512 for own kernels, where compiler and build have them. A kernel asks
// avx512_runs before it uses them.
#pragma once

#include "altprop/tensor/own_kernels.h"

#if defined(ALTPROP_EMULATE_AVX512)
// A build for tests: the same kernels with functions that do what the instructions do, on any
// processor.
#define ALTPROP_HAS_AVX512_CODE 1
#define ALTPROP_AVX512_BEGIN
#define ALTPROP_AVX512_END
#include "support/avx512_emulated.h"
#elif defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define ALTPROP_HAS_AVX512_CODE 1
// The code between them is compiled for AVX-512.
#define ALTPROP_AVX512_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx512f\")")
#define ALTPROP_AVX512_END _Pragma("GCC pop_options")
// The compiler's own header passes registers on purpose without a value.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

#if defined(ALTPROP_HAS_AVX512_CODE)

namespace altprop {

/// The processor has the instructions, and neither they nor this kernel are turned off. Static,
/// because a build that emulates the instructions has an answer of its own.
static inline bool avx512_runs(OwnKernel k) {
#if defined(ALTPROP_EMULATE_AVX512)
  constexpr bool here = true;
#else
  static const bool here = __builtin_cpu_supports("avx512f");
#endif
  return here && own_kernel_is_on(OwnKernel::Avx512) && own_kernel_is_on(k);
}

}  // namespace altprop

#endif
