// Writing that survives kills and full disks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace altprop {

/// Replaces a file in one step: a reader, or a kill at any moment, sees the old content or the new,
/// never a part. Devices and pipes are written to directly. @throws Error
void write_atomically(const std::filesystem::path& path, const std::string& content);

/// Appends a line and forces it to the disk; returns the file's size afterwards. A line that could
/// not be written whole is taken back. @throws Error
int64_t append_line(const std::filesystem::path& path, const std::string& line);

/// Cuts a file to its first `size` bytes. @throws Error
void truncate_to(const std::filesystem::path& path, int64_t size);

/// The whole file. @throws Error naming it
std::string read_file(const std::filesystem::path& path);

/// Keeps a second program out of a run's folder; the system lets go of it when the process ends,
/// however it ends.
class FolderLock {
 public:
  /// @throws Error if another holds it
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_;
};

}  // namespace altprop
