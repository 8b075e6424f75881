#include "altprop/base/crc32.h"

#include <zlib.h>

#include <cstdio>

namespace altprop {

uint32_t crc32_of(std::string_view bytes, uint32_t before) {
  if (bytes.empty()) return before;  // zlib takes a null pointer for a request to begin anew
  return static_cast<uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string crc32_text(uint32_t sum) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(sum));
  return text;
}

}  // namespace altprop
