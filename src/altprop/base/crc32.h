// CRC-32, against damage and not against deceit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace altprop {

/// Of `bytes` behind others that have the sum `before`.
uint32_t crc32_of(std::string_view bytes, uint32_t before = 0);

/// Eight digits.
std::string crc32_text(uint32_t sum);

}  // namespace altprop
