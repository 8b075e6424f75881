#include "altprop/train/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path, int error) {
  throw Error(text::cat(what, " '", path.string(), "' failed: ", std::strerror(error),
                        error == ENOSPC ? "; free some space and resume the run" : ""));
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

/// @returns 0 or an errno
int write_all(int fd, const std::string& content) {
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    done += static_cast<size_t>(n);
  }
  return ::fsync(fd) == 0 || errno == EINVAL ? 0
                                             : errno;  // EINVAL: nothing that could be synchronised
}

}  // namespace

namespace {

/// Devices and pipes are written to as they are: renaming a file onto /dev/null would replace it.
bool is_special(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

}  // namespace

void write_atomically(const std::filesystem::path& path, const std::string& content) {
  if (is_special(path)) {
    File file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const int error = file.fd < 0 ? errno : write_all(file.fd, content);
    if (error) fail("writing", path, error);
    return;
  }
  const std::filesystem::path temporary = path.string() + ".part";
  {
    File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.fd < 0) fail("writing", path, errno);
    if (const int error = write_all(file.fd, content)) {
      ::unlink(temporary.c_str());
      fail("writing", path, error);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail("writing", path, error);
  }
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  File directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) ::fsync(directory.fd);
}

int64_t append_line(const std::filesystem::path& path, const std::string& line) {
  File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file.fd < 0) fail("writing", path, errno);
  const off_t before = ::lseek(file.fd, 0, SEEK_END);
  if (const int error = write_all(file.fd, line + "\n")) {
    if (::ftruncate(file.fd, before) != 0) fail("restoring", path, errno);
    fail("writing", path, error);
  }
  return static_cast<int64_t>(before) + static_cast<int64_t>(line.size()) + 1;
}

void truncate_to(const std::filesystem::path& path, int64_t size) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && size == 0) return;
    fail("opening", path, errno);
  }
  if (size < 0)
    throw Error(text::cat("the checkpoint says that '", path.string(), "' has ", size,
                          " bytes: it is damaged; use an earlier one"));
  if (info.st_size < size)
    throw Error(text::cat("'", path.string(), "' is shorter than the checkpoint says (",
                          info.st_size, " of ", size, " bytes); records were removed by hand"));
  if (::truncate(path.c_str(), size) != 0) fail("shortening", path, errno);
}

std::string read_file(const std::filesystem::path& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) fail("opening", path, errno);
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("reading", path, errno);
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
  }
}

FolderLock::FolderLock(const std::filesystem::path& folder)
    : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  // A file system without locks is no reason not to train.
  if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    throw Error("another altprop is at work in '" + folder.string() + "'; wait for it or stop it");
  }
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace altprop
