// The instructions of AVX-512 for own kernels, where compiler and build have them. A kernel asks
// the processor before it uses them.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define ALTPROP_HAS_AVX512_CODE 1
// The compiler's own header passes registers on purpose without a value.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif
