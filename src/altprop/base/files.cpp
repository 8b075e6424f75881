#include "altprop/base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path, int error) {
  throw Error(text::cat(what, " '", path.string(), "' failed: ", std::strerror(error),
                        error == ENOSPC ? "; free some space; a run that was stopped by this is resumed by altprop resume" : ""));
}

/// A file descriptor that closes itself.
struct File {
  int fd;
  explicit File(int fd) : fd(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

/// Folders that are locked, by path, and the descriptors that they were opened with.
struct LockedFolders {
  std::mutex mutex;
  std::vector<std::pair<std::string, int>> all;
};
LockedFolders& locked_folders() {
  static LockedFolders folders;
  return folders;
}

/// Without what ends a folder's name, "/" and "/.". Nothing else is made equal: the way through a
/// link and back is another one.
std::string folder_key(const fs::path& folder) {
  std::string key = folder.string();
  while (key.size() > 1 && (key.ends_with('/') || key.ends_with("/.")))
    key.resize(key.size() - (key.ends_with('/') ? 1 : 2));
  return key.empty() ? "." : key;
}

/// AT_FDCWD if the folder is not locked.
int locked_folder(const fs::path& folder) {
  LockedFolders& folders = locked_folders();
  const std::lock_guard guard(folders.mutex);
  const std::string key = folder_key(folder);
  for (const auto& [path, fd] : folders.all) {
    if (path != key) continue;
    // A folder that is gone from its place is an error; what was put in its place is not used.
    struct stat info {};
    return ::stat(key.c_str(), &info) != 0 && errno == ENOENT ? AT_FDCWD : fd;
  }
  return AT_FDCWD;
}

/// A path as the system's functions with "at" in their names take it: a name in a folder that is
/// locked, or the whole path.
struct Where {
  int folder;
  std::string name;
  explicit Where(const fs::path& path)
      : folder(locked_folder(path.parent_path())),
        name(folder == AT_FDCWD ? path.string() : path.filename().string()) {}
};

/// @returns 0 or an errno
int write_all(int fd, std::span<const std::string_view> pieces) {
  for (const std::string_view piece : pieces)
    for (size_t done = 0; done < piece.size();) {
      const ssize_t n = ::write(fd, piece.data() + done, piece.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno;
      if (n == 0) return ENOSPC;
      done += static_cast<size_t>(n);
    }
  return ::fsync(fd) == 0 || errno == EINVAL ? 0
                                             : errno;  // EINVAL: nothing that could be synchronised
}

/// "a folder", "a pipe", ... of what should be a file.
const char* kind_of(mode_t mode) {
  return S_ISDIR(mode)    ? "a folder"
         : S_ISFIFO(mode) ? "a pipe"
         : S_ISSOCK(mode) ? "a socket"
         : S_ISLNK(mode)  ? "a symbolic link"
                          : "a device";
}

[[noreturn]] void refuse_kind(const fs::path& path, mode_t mode) {
  throw Error(text::cat("'", path.string(), "' is ", kind_of(mode),
                        " where a file is expected; move it away"));
}

/// Opens a record that is changed in place: never a link, a pipe or a device.
int open_record(const fs::path& path, int flags) {
  const Where at(path);
  const int fd = ::openat(at.folder, at.name.c_str(),
                          O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0644);
  if (fd < 0) {
    const int error = errno;
    if (error == ELOOP) refuse_kind(path, S_IFLNK);
    if (error == ENXIO) refuse_kind(path, S_IFIFO);  // nobody reads it
    fail("writing", path, error);
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    refuse_kind(path, info.st_mode);
  }
  return fd;
}

/// A new file for what is going to be `path`; what a kill or somebody else left in its place is
/// removed and not written through.
int open_part(const Where& part, const fs::path& path) {
  for (int attempt = 0;; ++attempt) {
    const int fd = ::openat(part.folder, part.name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0) return fd;
    const int error = errno;
    if (error != EEXIST || attempt == 8) fail("writing", path, error);
    if (::unlinkat(part.folder, part.name.c_str(), 0) != 0 && errno != ENOENT)
      fail("removing", path.string() + ".part", errno);
  }
}

/// Reads to the end of what is open.
std::string read_rest(int fd, const fs::path& path, size_t most) {
  std::string out;
  std::vector<char> buffer(size_t{1} << 16);
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("reading", path, errno);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<size_t>(n));
    if (out.size() > most)
      throw Error(text::cat("'", path.string(), "' has more than the ", most,
                            " bytes that are read of such a file; is it the right one?"));
  }
}

}  // namespace

void write_atomically(const fs::path& path, std::span<const std::string_view> pieces) {
  const Where part(path.string() + ".part"), whole(path);
  const auto give_up = [&](int error) {
    ::unlinkat(part.folder, part.name.c_str(), 0);
    fail("writing", path, error);
  };
  {
    File file(open_part(part, path));
    if (const int error = write_all(file.fd, pieces)) give_up(error);
  }
  if (::renameat(part.folder, part.name.c_str(), whole.folder, whole.name.c_str()) != 0)
    give_up(errno);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  File directory(whole.folder == AT_FDCWD
                     ? ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                     : ::fcntl(whole.folder, F_DUPFD_CLOEXEC, 0));
  if (directory.fd >= 0) ::fsync(directory.fd);
}

void write_atomically(const fs::path& path, std::string_view content) {
  write_atomically(path, std::span(&content, 1));
}

void write_output(const fs::path& path, std::span<const std::string_view> pieces) {
  struct stat named {
  }, standard{};
  if (::stat(path.c_str(), &named) != 0) return write_atomically(path, pieces);
  // A file that the standard output goes to has a name of its own; /dev/stdout must not be replaced
  // by another.
  const bool is_standard = ::fstat(STDOUT_FILENO, &standard) == 0 &&
                           named.st_dev == standard.st_dev && named.st_ino == standard.st_ino;
  if (!is_standard && (S_ISREG(named.st_mode) || S_ISDIR(named.st_mode)))
    return write_atomically(path, pieces);
  File file(is_standard ? ::dup(STDOUT_FILENO) : ::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const int error = file.fd < 0 ? errno : write_all(file.fd, pieces);
  if (error) fail("writing", path, error);
}

void write_output(const fs::path& path, std::string_view content) {
  write_output(path, std::span(&content, 1));
}

int64_t append_line(const fs::path& path, const std::string& line) {
  File file(open_record(path, O_CREAT | O_APPEND));
  const off_t before = ::lseek(file.fd, 0, SEEK_END);
  const std::string_view pieces[] = {line, "\n"};
  if (const int error = write_all(file.fd, pieces)) {
    if (::ftruncate(file.fd, before) != 0) fail("restoring", path, errno);
    fail("writing", path, error);
  }
  return static_cast<int64_t>(before) + static_cast<int64_t>(line.size()) + 1;
}

void truncate_to(const fs::path& path, int64_t size) {
  struct stat info {};
  const Where at(path);
  if (::fstatat(at.folder, at.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT && size == 0) return;
    fail("opening", path, errno);
  }
  if (size < 0)
    throw Error(text::cat("the checkpoint says that '", path.string(), "' has ", size,
                          " bytes: it is damaged; use an earlier one"));
  File file(open_record(path, 0));
  if (::fstat(file.fd, &info) != 0) fail("opening", path, errno);
  if (info.st_size < size)
    throw Error(text::cat("'", path.string(), "' is shorter than the checkpoint says (",
                          info.st_size, " of ", size, " bytes); records were removed by hand"));
  if (::ftruncate(file.fd, size) != 0) fail("shortening", path, errno);
}

int open_regular(const fs::path& path, mode_t& other) {
  other = 0;
  struct stat info {};
  const Where at(path);
  if (::fstatat(at.folder, at.name.c_str(), &info, 0) == 0 && !S_ISREG(info.st_mode)) {
    other = info.st_mode;
    return -1;
  }
  const int fd = ::openat(at.folder, at.name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode))) return fd;
  other = info.st_mode;
  ::close(fd);
  return -1;
}

RegularFile::RegularFile(const fs::path& path) : path_(path) {
  mode_t other = 0;
  fd_ = open_regular(path, other);
  if (other) refuse_kind(path, other);
  if (fd_ < 0) fail("opening", path, errno);
  struct stat info {};
  if (::fstat(fd_, &info) == 0) size_ = static_cast<uint64_t>(info.st_size);
}

RegularFile::~RegularFile() { ::close(fd_); }

void RegularFile::read(void* to, size_t n) {
  for (size_t done = 0; done < n;) {
    const ssize_t got = ::read(fd_, static_cast<char*>(to) + done, n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("reading", path_, errno);
    if (got == 0)
      throw Error("'" + path_.string() + "' became shorter while it was read; is a run at work?");
    done += static_cast<size_t>(got);
  }
}

std::string read_file(const fs::path& path, size_t most) {
  RegularFile file(path);
  if (file.size() > most)
    throw Error(text::cat("'", path.string(), "' has ", file.size(), " bytes, and at most ", most,
                          " are read of such a file; is it the right one?"));
  std::string out(file.size(), '\0');
  file.read(out.data(), out.size());
  return out;
}

std::string read_input(const fs::path& path, size_t most) {
  File file(::open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
  if (file.fd < 0) fail("opening", path, errno);
  return read_rest(file.fd, path, most);
}

bool is_own_folder(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool remove_files(const fs::path& folder, const std::vector<std::string>& names) {
  const int locked = locked_folder(folder);
  File directory(locked == AT_FDCWD
                     ? ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                     : ::fcntl(locked, F_DUPFD_CLOEXEC, 0));
  if (directory.fd < 0) return false;
  for (const std::string& name : names)
    if (!name.empty() && name.find('/') == std::string::npos)
      ::unlinkat(directory.fd, name.c_str(), 0);
  return true;
}

void remove_empty_folder(const fs::path& folder) { ::rmdir(folder.c_str()); }

FolderLock::FolderLock(const fs::path& folder, FolderLink link)
    : fd_(::open(
          folder.empty() ? "." : folder.c_str(),
          O_RDONLY | O_DIRECTORY | O_CLOEXEC | (link == FolderLink::Refused ? O_NOFOLLOW : 0))) {
  if (fd_ < 0 && link == FolderLink::Refused && (errno == ELOOP || errno == ENOTDIR))
    throw Error("'" + folder.string() +
                "' is a link or no folder, and the records of a run are not written through one; "
                "move it away");
  // A file system without locks is no reason not to train; who only looks whether somebody trains
  // here (report/unfinished.h) is gone in a moment.
  bool taken = fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  for (int i = 0; taken && i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    taken = ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  }
  if (taken) {
    ::close(fd_);
    throw Error("another altprop is at work in '" + folder.string() + "'; wait for it or stop it");
  }
  if (fd_ < 0) return;
  LockedFolders& folders = locked_folders();
  const std::lock_guard guard(folders.mutex);
  folders.all.emplace_back(folder_key(folder), fd_);
}

FolderLock::~FolderLock() {
  if (fd_ < 0) return;
  LockedFolders& folders = locked_folders();
  const std::lock_guard guard(folders.mutex);
  std::erase_if(folders.all, [&](const auto& open) { return open.second == fd_; });
  ::close(fd_);
}

}  // namespace altprop
