#include "altprop/data/read/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <unordered_set>
#include <utility>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPiece = size_t{1} << 18;
// As InputFile allows of gzip: holes (sparse files) inflate, too.
constexpr uint64_t kUnpackedFreely = uint64_t{64} << 20, kMostUnpacking = 200;

/// The bytes of the archive for libarchive, which is C: what is thrown must not pass through it.
struct Feed {
  InputFile file;
  std::vector<uint8_t> buffer = std::vector<uint8_t>(kPiece);
  std::exception_ptr thrown;

  static la_ssize_t next(archive* to, void* self_, const void** bytes) {
    auto* self = static_cast<Feed*>(self_);
    *bytes = self->buffer.data();
    try {
      return static_cast<la_ssize_t>(
          self->file.read_some(self->buffer.data(), self->buffer.size()));
    } catch (...) {
      self->thrown = std::current_exception();
      archive_set_error(to, EIO, "cannot be read");
      return -1;
    }
  }
};

/// A file that gets its name when it is complete.
class UnpackedFile {
 public:
  explicit UnpackedFile(fs::path path) : path_(std::move(path)), part_(path_.string() + ".part") {
    std::error_code ignored;
    fs::remove(part_, ignored);  // whatever it is: never written through a link
    file_ = open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file_ < 0) fail();
  }
  ~UnpackedFile() {
    if (file_ < 0) return;
    close(file_);
    std::error_code ignored;
    fs::remove(part_, ignored);
  }
  UnpackedFile(const UnpackedFile&) = delete;

  void write(const uint8_t* bytes, size_t n) {
    while (n > 0) {
      const ssize_t written = ::write(file_, bytes, n);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes += written;
      n -= static_cast<size_t>(written);
    }
  }
  void finish() {
    const int file = std::exchange(file_, -1);
    if (close(file) != 0) fail();
    std::error_code error;
    fs::rename(part_, path_, error);
    if (error) fail(error.message());
  }

 private:
  [[noreturn]] void fail(const std::string& why = std::strerror(errno)) const {
    throw Error("'" + path_.string() + "' cannot be written: " + why);
  }
  fs::path path_, part_;
  int file_ = -1;
};

class TarReader {
 public:
  explicit TarReader(const std::string& path)
      : feed_{InputFile(path)}, archive_(archive_read_new(), archive_read_free) {
    archive* a = archive_.get();
    if (!a) throw std::bad_alloc();
    if (archive_read_support_format_tar(a) != ARCHIVE_OK)
      feed_.file.fail(
          text::cat("cannot be unpacked by this libarchive: ", archive_error_string(a)));
    if (archive_read_open(a, &feed_, nullptr, &Feed::next, nullptr) != ARCHIVE_OK) damaged();
    most_ = std::max(kUnpackedFreely, kMostUnpacking * fs::file_size(path));
  }

  std::vector<std::string> unpack(const fs::path& folder) {
    std::vector<std::string> names;
    std::unordered_set<std::string> seen;
    archive_entry* entry = nullptr;
    int64_t entries = 0;
    for (;; ++entries) {
      const int code = archive_read_next_header(archive_.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) damaged();
      const char* given = archive_entry_pathname(entry);
      if (!given || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
        continue;
      const std::string name = fs::path(given).filename().string();
      if (name.empty() || name == "." || name == "..") continue;
      if (!seen.insert(name).second)
        feed_.file.fail("holds two files named '" + text::printable(name, 100) + "'");
      UnpackedFile file(folder / name);
      copy(file);
      file.finish();
      names.push_back(name);
    }
    if (entries == 0) feed_.file.fail("is no tar archive, or an empty one");
    // Up to the end, so that the check sum of what is compressed is looked at.
    while (feed_.file.read_some(feed_.buffer.data(), feed_.buffer.size()) > 0) {
    }
    return names;
  }

 private:
  void copy(UnpackedFile& file) {
    for (;;) {
      const la_ssize_t got = archive_read_data(archive_.get(), piece_.data(), piece_.size());
      if (got == 0) return;
      if (got < 0) damaged();
      unpacked_ += static_cast<uint64_t>(got);
      if (unpacked_ > most_)
        feed_.file.fail(text::cat("unpacks to more than ", most_,
                                  " bytes, many times its size, as no data set does"));
      file.write(piece_.data(), static_cast<size_t>(got));
    }
  }

  [[noreturn]] void damaged() const {
    if (feed_.thrown) std::rethrow_exception(feed_.thrown);
    const char* why = archive_error_string(archive_.get());
    feed_.file.fail(text::cat("is no tar archive, or a damaged one: ",
                              why ? text::printable(why, 200) : "it cannot be read"));
  }

  Feed feed_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::vector<uint8_t> piece_ = std::vector<uint8_t>(kPiece);
  uint64_t unpacked_ = 0, most_ = 0;
};

}  // namespace

std::vector<std::string> unpack_tar(const std::string& archive, const std::string& folder) {
  return TarReader(archive).unpack(folder);
}

}  // namespace altprop::data
