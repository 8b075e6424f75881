// Reading and writing in places that others can write to, so that a kill, a full disk or a planted
// link cannot spoil anything: nothing is written through a symbolic link, and what is no regular
// file is not waited for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace altprop {

/// Replaces a file in one step: a reader, or a kill at any moment, sees the old content or the new,
/// never a part. Whatever stands at `path` is replaced, a link or a pipe too. @throws Error
void write_atomically(const std::filesystem::path& path, std::string_view content);
/// The same with content in several pieces, which are not copied.
void write_atomically(const std::filesystem::path& path, std::span<const std::string_view> pieces);

/// For a path that the user has named as output: as write_atomically, but a device, a pipe or the
/// standard output is written to as it is. @throws Error
void write_output(const std::filesystem::path& path, std::span<const std::string_view> pieces);
void write_output(const std::filesystem::path& path, std::string_view content);

/// Appends a line and forces it to the disk; returns the file's size afterwards. A line that could
/// not be written whole is taken back. @throws Error, also if the file is a link or no regular file
int64_t append_line(const std::filesystem::path& path, const std::string& line);

/// Cuts a file to its first `size` bytes. @throws Error
void truncate_to(const std::filesystem::path& path, int64_t size);

/// More than any record of a run has.
constexpr size_t kMostBytesOfARecord = size_t{1} << 30;
/// More than any settings or network that somebody writes.
constexpr size_t kMostBytesOfAText = size_t{16} << 20;

/// Opens a regular file for reading and nothing else: what it is is looked at before, since opening
/// a device can have effects of its own, and afterwards; nothing is waited for.
/// @param other gets the mode of what is there instead, which the caller may name; else 0
/// @returns a descriptor, or -1 with errno where there is nothing that can be opened
int open_regular(const std::filesystem::path& path, mode_t& other);

/// A regular file that is read from its beginning. A pipe or a device is refused and not waited
/// for.
class RegularFile {
 public:
  /// @throws Error naming it
  explicit RegularFile(const std::filesystem::path& path);
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  ~RegularFile();

  /// When it was opened.
  uint64_t size() const { return size_; }
  /// The next n bytes. @throws Error if there are fewer
  void read(void* to, size_t n);

 private:
  std::filesystem::path path_;
  int fd_;
  uint64_t size_ = 0;
};

/// The whole of a regular file. @throws Error naming it, also if it has more than `most` bytes
std::string read_file(const std::filesystem::path& path, size_t most = kMostBytesOfARecord);

/// The whole of what the user has named as input, which may be a pipe. @throws Error naming it,
/// also if there are more than `most` bytes
std::string read_input(const std::filesystem::path& path, size_t most = kMostBytesOfAText);

/// Removes files of a folder by name, links as such. Neither the folder nor anything in it is
/// followed if it is a link; what is a folder itself stays. @returns false if `folder` is no folder
/// or a link to one
bool remove_files(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// Removes a folder that is empty and no link.
void remove_empty_folder(const std::filesystem::path& folder);

/// True of a folder that is there itself and not as a link to one elsewhere.
bool is_own_folder(const std::filesystem::path& path);

/// Whether a folder may be reached through a link in its place.
enum class FolderLink { Followed, Refused };

/// Keeps a second program out of a run's folder; the system lets go of it when the process ends,
/// however it ends. As long as it is held, all of the above mean the folder that was opened here by
/// paths `folder` / name, also if somebody has put another one, or a link, in its place meanwhile.
class FolderLock {
 public:
  /// @throws Error if another holds it, or if it is a link that is not to be followed
  explicit FolderLock(const std::filesystem::path& folder, FolderLink link = FolderLink::Followed);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_;
};

}  // namespace altprop
