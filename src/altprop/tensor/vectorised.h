// Functions compiled for several instruction sets, of which the loader takes the processor's best.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define ALTPROP_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ALTPROP_VECTORISED
#endif
