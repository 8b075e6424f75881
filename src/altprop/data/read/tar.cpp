#include "altprop/data/read/tar.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

constexpr size_t kBlock = 512;

uint64_t octal(const InputFile& file, const uint8_t* field, size_t width) {
  uint64_t out = 0;
  bool digits = false;
  for (size_t i = 0; i < width; ++i) {
    if (field[i] >= '0' && field[i] <= '7') {
      out = out * 8 + (field[i] - '0');
      digits = true;
    } else if (field[i] == 0 || (field[i] == ' ' && digits)) {
      break;
    } else if (field[i] != ' ') {
      file.fail("is no tar archive, or a damaged one: a number in it is not octal");
    }
  }
  return out;
}

void check_header(const InputFile& file, const std::vector<uint8_t>& header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : header[i];
  if (octal(file, &header[148], 8) != sum)
    file.fail("is no tar archive, or a damaged one: the checksum of an entry is wrong");
}

}  // namespace

std::vector<std::string> unpack_tar(const std::string& archive, const std::string& folder) {
  InputFile file(archive);
  std::vector<std::string> written;
  for (;;) {
    const std::vector<uint8_t> header = file.bytes(kBlock, "tar headers");
    if (std::all_of(header.begin(), header.end(), [](uint8_t b) { return b == 0; })) return written;
    check_header(file, header);
    const uint64_t size = octal(file, &header[124], 12),
                   padding = (kBlock - size % kBlock) % kBlock;
    const auto name_end = std::find(header.begin(), header.begin() + 100, uint8_t{0});
    const std::string name =
        std::filesystem::path(std::string(header.begin(), name_end)).filename().string();
    const bool regular =
        (header[156] == '0' || header[156] == 0) && !name.empty() && name != "." && name != "..";
    std::ofstream out;
    const std::string path = (std::filesystem::path(folder) / name).string();
    if (regular) {
      out.open(path, std::ios::binary | std::ios::trunc);
      written.push_back(name);
    }
    for (uint64_t left = size; left > 0;) {
      const uint64_t part = std::min<uint64_t>(left, 1 << 20);
      const std::vector<uint8_t> bytes = file.bytes(part, "file '" + name + "'");
      if (regular)
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(part));
      left -= part;
    }
    if (regular) out.close();
    if (regular && !out)
      throw Error("'" + path + "' cannot be written: is the disk full or the folder read-only?");
    file.bytes(padding, "padding");
  }
}

}  // namespace altprop::data
