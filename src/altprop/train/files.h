// Writing that survives kills and full disks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace altprop {

/// Replaces a file in one step: a reader, or a kill at any moment, sees the old content or the new, never a part. @throws Error
void write_atomically(const std::filesystem::path& path, const std::string& content);

/// Appends a line and forces it to the disk; returns the file's size afterwards. A line that could not be written whole is taken back. @throws Error
int64_t append_line(const std::filesystem::path& path, const std::string& line);

/// Cuts a file to its first `size` bytes. @throws Error
void truncate_to(const std::filesystem::path& path, int64_t size);

/// The whole file. @throws Error naming it
std::string read_file(const std::filesystem::path& path);

}  // namespace altprop
