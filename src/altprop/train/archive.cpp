#include "altprop/train/archive.h"

#include <zlib.h>

#include <cstdint>

namespace altprop {

namespace {

constexpr size_t kEndRecord = 22, kDirectoryEntry = 46, kLocalHeader = 30;

/// Little-endian numbers at places that need not exist.
struct Fields {
  const std::string& bytes;
  bool has(size_t at, size_t n) const { return at <= bytes.size() && n <= bytes.size() - at; }
  uint32_t number(size_t at, size_t width) const {
    uint32_t out = 0;
    for (size_t i = 0; i < width; ++i)
      out |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return out;
  }
  bool signed_by(size_t at, const char* signature) const {
    return has(at, 4) && bytes.compare(at, 4, signature, 4) == 0;
  }
};

/// A file of the archive, from its entry in the directory.
bool file_is_whole(const Fields& zip, size_t entry) {
  constexpr uint32_t kStored = 0;
  const uint32_t method = zip.number(entry + 10, 2), sum = zip.number(entry + 16, 4);
  const size_t packed = zip.number(entry + 20, 4), size = zip.number(entry + 24, 4);
  const size_t local = zip.number(entry + 42, 4);
  // Of what is marked as a folder, libtorch's reader reads nothing and returns memory as it found
  // it.
  constexpr uint32_t kFolder = 0x10;
  if (zip.number(entry + 38, 4) & kFolder) return false;
  if (method != kStored || packed != size || !zip.signed_by(local, "PK\3\4") ||
      !zip.has(local, kLocalHeader))
    return false;
  const size_t name = zip.number(local + 26, 2);
  const size_t begin = local + kLocalHeader + name + zip.number(local + 28, 2);
  // The name stands in both places, and no sum covers it.
  if (name != zip.number(entry + 28, 2) || !zip.has(entry + kDirectoryEntry, name) ||
      !zip.has(local + kLocalHeader, name) ||
      zip.bytes.compare(local + kLocalHeader, name, zip.bytes, entry + kDirectoryEntry, name) != 0)
    return false;
  if (!zip.has(begin, size)) return false;
  // Sum and size also stand before the file or, in a descriptor, behind it. A size of 0 with a sum
  // of 0 would pass alone, and its reader would find nothing where numbers should be.
  const bool described = (zip.number(local + 6, 2) | zip.number(entry + 8, 2)) & 8u;
  const size_t again = described ? begin + size + 4 : local + 14;
  if (described && !zip.signed_by(begin + size, "PK\7\10")) return false;
  if (!zip.has(again, 12) || zip.number(again, 4) != sum || zip.number(again + 4, 4) != size)
    return false;
  return crc32_z(0, reinterpret_cast<const Bytef*>(zip.bytes.data()) + begin, size) == sum;
}

}  // namespace

size_t end_of_archive(const std::string& bytes) {
  const size_t end = bytes.rfind("PK\5\6");
  if (end == std::string::npos || end + kEndRecord > bytes.size()) return std::string::npos;
  return end + kEndRecord;
}

bool archive_is_whole(const std::string& bytes) {
  const size_t behind = end_of_archive(bytes);
  if (behind == std::string::npos) return false;
  const Fields zip{bytes};
  const size_t end = behind - kEndRecord;
  const uint32_t files = zip.number(end + 10, 2);
  size_t entry = zip.number(end + 16, 4);
  // Beyond 4 GB or 65535 files the numbers stand elsewhere; such an archive is left to its reader.
  if (files == 0xffff || entry == 0xffffffff) return true;
  for (uint32_t i = 0; i < files; ++i) {
    if (!zip.signed_by(entry, "PK\1\2") || !zip.has(entry, kDirectoryEntry)) return false;
    const bool elsewhere =
        zip.number(entry + 20, 4) == 0xffffffff || zip.number(entry + 42, 4) == 0xffffffff;
    if (!elsewhere && !file_is_whole(zip, entry)) return false;
    entry += kDirectoryEntry + zip.number(entry + 28, 2) + zip.number(entry + 30, 2) +
             zip.number(entry + 32, 2);
  }
  return files > 0;
}

}  // namespace altprop
