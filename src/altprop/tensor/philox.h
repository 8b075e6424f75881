// The rounds of Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1,
// 2, 3", SC 2011), sixteen counters side by side. Include it where loops are vectorised.
#pragma once

#include <cstdint>
#include <cstring>

#include "altprop/tensor/vectorised.h"

namespace altprop {

constexpr int kPhiloxBlocks = 16;  // one per vector lane

/// Counters of Philox blocks side by side, and after the rounds their words.
struct PhiloxBlocks {
  alignas(64) uint32_t c0[kPhiloxBlocks], c1[kPhiloxBlocks], c2[kPhiloxBlocks], c3[kPhiloxBlocks];
};

ALTPROP_VECTORISED void philox_rounds(uint64_t key, PhiloxBlocks& blocks) {
  uint32_t c0[kPhiloxBlocks], c1[kPhiloxBlocks], c2[kPhiloxBlocks], c3[kPhiloxBlocks];
  std::memcpy(c0, blocks.c0, sizeof c0);
  std::memcpy(c1, blocks.c1, sizeof c1);
  std::memcpy(c2, blocks.c2, sizeof c2);
  std::memcpy(c3, blocks.c3, sizeof c3);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int b = 0; b < kPhiloxBlocks; ++b) {
      const uint64_t p0 = 0xD2511F53ull * c0[b], p1 = 0xCD9E8D57ull * c2[b];
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1[b] ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3[b] ^ k1;
      c1[b] = static_cast<uint32_t>(p1);
      c3[b] = static_cast<uint32_t>(p0);
      c0[b] = n0;
      c2[b] = n2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  std::memcpy(blocks.c0, c0, sizeof c0);
  std::memcpy(blocks.c1, c1, sizeof c1);
  std::memcpy(blocks.c2, c2, sizeof c2);
  std::memcpy(blocks.c3, c3, sizeof c3);
}

}  // namespace altprop
