// Reading data files, plain or gzip-compressed, so that everything that can be wrong with one
// becomes a sentence that names it, and so that what is read follows from the file's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

/// A file descriptor of a plain file; never waits for a pipe's other end.
/// @throws Error if it is missing, cannot be opened, or is a folder, a pipe or a device
int open_plain_file(const std::string& path);

/// A data file from its first byte to its last. A gzip file is inflated, also one of several
/// members; bytes behind the last one are refused, and so is data that inflates to more than 64 MiB
/// and more than 200 times the file's size, as only files that were made to harm do.
class InputFile {
 public:
  /// @throws Error as open_plain_file
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }

  /// The next bytes, at most n; fewer only where the file ends. @throws Error if it is damaged
  size_t read_some(uint8_t* to, size_t n);
  /// Exactly n bytes. @throws Error saying that the file ends inside `what`, before memory is taken
  /// for what is not there
  std::vector<uint8_t> bytes(uint64_t n, const std::string& what);
  /// All bytes up to the end. @throws Error if there are more than `most`
  std::vector<uint8_t> rest(uint64_t most);
  /// @throws Error if something follows
  void expect_end();
  /// Throws Error: "'path' " + what.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Gzip;

  size_t read_stored(uint8_t* to, size_t n);
  size_t inflate_some(uint8_t* to, size_t n);
  bool begin_member();
  bool refill();

  std::string path_;
  int file_;
  uint64_t size_ = 0;            // of the file, as it is stored
  uint64_t taken_ = 0;           // bytes handed out
  std::vector<uint8_t> buffer_;  // of stored bytes
  size_t buffer_at_ = 0, buffer_end_ = 0;
  std::unique_ptr<Gzip> gzip_;  // none for a plain file
};

/// folder/name or folder/name.gz, whichever exists; for names of IDX files also with a dot in front
/// of "idx". @throws Error that names both and says how to get them
std::string existing(const std::string& folder, const std::string& name,
                     const std::string& data_set);

/// `path` if it exists as given, else the one in `folder`.
std::string path_in(const std::string& folder, const std::string& path);

/// A tensor that owns the bytes. @param shape its product is the number of values
Tensor to_tensor(std::vector<uint8_t> bytes, IntArrayRef shape, at::ScalarType type = at::kByte);

/// Non-empty lines, trimmed; nothing if there is no such file. @throws Error if there are not
/// `count` lines
std::vector<std::string> names_in(const std::string& path, int64_t count);

}  // namespace altprop::data
