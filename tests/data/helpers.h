// Files for the data tests: a folder that vanishes, writing plain and compressed bytes, what a call
// complains about.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "altprop/base/error.h"

namespace altprop::data::testing {

class TempFolder {
 public:
  TempFolder() {
    // In memory where that exists: the fuzz tests write tens of thousands of files.
    const std::filesystem::path memory = "/dev/shm";
    const bool fast = std::filesystem::is_directory(memory);
    std::string pattern =
        ((fast ? memory : std::filesystem::temp_directory_path()) / "altprop-test-XXXXXX").string();
    if (!mkdtemp(pattern.data()))
      throw std::runtime_error("no temporary folder can be made at " + pattern);
    path_ = pattern;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string write(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

inline std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string gzipped(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// Big-endian 32-bit numbers, as in IDX headers.
inline std::string be32(std::initializer_list<uint32_t> values) {
  std::string out;
  for (uint32_t v : values)
    for (int shift : {24, 16, 8, 0}) out += static_cast<char>(v >> shift);
  return out;
}

/// One file of a tar archive; 1024 zero bytes end the archive.
inline std::string tar_entry(const std::string& name, const std::string& content, char type = '0') {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(148, 8, 8, ' ');
  header[156] = type;
  char digits[16];
  std::snprintf(digits, sizeof digits, "%011o", static_cast<unsigned>(content.size()));
  header.replace(124, 11, digits);
  unsigned sum = 0;
  for (unsigned char c : header) sum += c;
  std::snprintf(digits, sizeof digits, "%06o", sum);
  header.replace(148, 7, std::string(digits) + '\0');
  return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}

/// What `call` throws, as text; fails unless it is an altprop::Error.
inline std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

/// `call` must throw an altprop::Error whose message holds all `parts`.
inline void expect_error(const std::function<void()>& call,
                         std::initializer_list<std::string> parts) {
  const std::string message = error_of(call);
  for (const std::string& part : parts)
    EXPECT_NE(message.find(part), std::string::npos)
        << "'" << part << "' is missing in: " << message;
}

}  // namespace altprop::data::testing
