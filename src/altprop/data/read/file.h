// Reading a file that may be damaged. Compressed (gzip) and plain files look alike. Memory grows
// with the bytes that are really there, never with what a header promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

class InputFile {
 public:
  /// @throws Error if it is missing or cannot be opened
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }

  /// Exactly n bytes. @throws Error saying that the file ends inside `what`
  std::vector<uint8_t> bytes(uint64_t n, const std::string& what);
  /// All bytes up to the end. @throws Error if there are more than `most`
  std::vector<uint8_t> rest(uint64_t most = std::numeric_limits<uint64_t>::max());
  /// @throws Error if something follows
  void expect_end();
  /// Throws Error: "'path' " + what.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  size_t read_some(uint8_t* to, size_t n);

  std::string path_;
  void* file_;  // gzFile
};

/// folder/name or folder/name.gz, whichever exists. @throws Error that names both and says how to
/// get them
std::string existing(const std::string& folder, const std::string& name,
                     const std::string& data_set);

/// A uint8 tensor that owns the bytes. @param shape its product is the number of bytes
Tensor to_tensor(std::vector<uint8_t> bytes, IntArrayRef shape);

/// Non-empty lines, trimmed; nothing if there is no such file. @throws Error if there are not
/// `count` lines
std::vector<std::string> names_in(const std::string& path, int64_t count);

}  // namespace altprop::data
