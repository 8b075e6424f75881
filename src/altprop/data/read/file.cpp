#include "altprop/data/read/file.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"

namespace altprop::data {

namespace {

constexpr size_t kChunk = size_t{1} << 20, kBuffer = size_t{1} << 17;
// Compressed tables reach a tenth of this ratio; deflate itself ends at 1032.
constexpr uint64_t kInflatedFreely = uint64_t{64} << 20, kMostInflation = 200;

uint64_t physical_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size)
                               : std::numeric_limits<uint64_t>::max();
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder, not a file";
  if (S_ISFIFO(mode)) return "a pipe; write what comes out of it to a plain file first";
  if (S_ISSOCK(mode)) return "a socket, not a plain file";
  return "a device, not a plain file";
}

}  // namespace

int open_plain_file(const std::string& path) {
  mode_t other = 0;
  const int file = open_regular(path, other);
  if (other) throw Error("'" + path + "' is " + kind_of(other));
  if (file < 0) throw Error("'" + path + "' cannot be opened: " + std::strerror(errno));
  return file;
}

struct InputFile::Gzip {
  z_stream stream{};
  bool in_member = false;
  Gzip() {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() { inflateEnd(&stream); }
};

InputFile::InputFile(std::string path) : path_(std::move(path)), file_(open_plain_file(path_)) {
  struct stat facts {};
  if (fstat(file_, &facts) == 0) size_ = static_cast<uint64_t>(facts.st_size);
  buffer_.resize(kBuffer);
  try {
    while (buffer_end_ < 2 && refill()) {
    }
    if (buffer_end_ >= 2 && buffer_[0] == 0x1f && buffer_[1] == 0x8b)
      gzip_ = std::make_unique<Gzip>();
  } catch (...) {
    close(file_);
    throw;
  }
}

InputFile::~InputFile() { close(file_); }

void InputFile::fail(const std::string& what) const { throw Error("'" + path_ + "' " + what); }

size_t InputFile::read_stored(uint8_t* to, size_t n) {
  for (;;) {
    const ssize_t got = ::read(file_, to, n);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) fail(std::string("cannot be read: ") + std::strerror(errno));
  }
}

/// More stored bytes behind those that are in the buffer; false at the end of the file.
bool InputFile::refill() {
  std::copy(buffer_.data() + buffer_at_, buffer_.data() + buffer_end_, buffer_.data());
  buffer_end_ -= buffer_at_;
  buffer_at_ = 0;
  const size_t got = read_stored(buffer_.data() + buffer_end_, buffer_.size() - buffer_end_);
  buffer_end_ += got;
  return got > 0;
}

size_t InputFile::read_some(uint8_t* to, size_t n) {
  size_t done = 0;
  if (gzip_) {
    done = inflate_some(to, n);
  } else {
    done = std::min(n, buffer_end_ - buffer_at_);
    std::memcpy(to, buffer_.data() + buffer_at_, done);
    buffer_at_ += done;
    while (done < n) {
      const size_t got = read_stored(to + done, n - done);
      if (got == 0) break;
      done += got;
    }
  }
  taken_ += done;
  return done;
}

/// False where the file ends behind a member.
bool InputFile::begin_member() {
  while (buffer_end_ - buffer_at_ < 2 && refill()) {
  }
  if (buffer_at_ == buffer_end_) return false;
  if (buffer_end_ - buffer_at_ < 2 || buffer_[buffer_at_] != 0x1f ||
      buffer_[buffer_at_ + 1] != 0x8b)
    fail(
        "goes on behind its compressed data with bytes that are none: it is damaged, get it again");
  inflateReset(&gzip_->stream);
  gzip_->in_member = true;
  return true;
}

size_t InputFile::inflate_some(uint8_t* to, size_t n) {
  z_stream& stream = gzip_->stream;
  size_t done = 0;
  while (done < n) {
    if (!gzip_->in_member && !begin_member()) break;
    if (buffer_at_ == buffer_end_ && !refill())
      fail("ends inside its compressed data: it is truncated, get it again");
    const size_t most = std::min<size_t>(n - done, size_t{1} << 30);
    stream.next_in = buffer_.data() + buffer_at_;
    stream.avail_in = static_cast<uInt>(buffer_end_ - buffer_at_);
    stream.next_out = to + done;
    stream.avail_out = static_cast<uInt>(most);
    const int code = inflate(&stream, Z_NO_FLUSH);
    buffer_at_ = buffer_end_ - stream.avail_in;
    done += most - stream.avail_out;
    if (code == Z_STREAM_END) gzip_->in_member = false;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      fail(text::cat("cannot be read, it is damaged: ",
                     stream.msg ? stream.msg : "its compressed data are wrong"));
    if (const uint64_t inflated = taken_ + done;
        inflated > kInflatedFreely && inflated / kMostInflation > size_)
      fail(text::cat("inflates to more than ", kMostInflation, " times its ", size_,
                     " bytes, as no data set does; if it is what you want, unpack it with gunzip"));
  }
  return done;
}

std::vector<uint8_t> InputFile::bytes(uint64_t n, const std::string& what) {
  const auto ends = [&](uint64_t there) {
    fail(text::cat("ends inside its ", what, ": ", n, " bytes should be there, but only ", there,
                   " are; it is truncated or not of this format"));
  };
  // The size of what the kernel makes up (/proc) is 0.
  if (!gzip_ && size_ > 0 && n > size_ - std::min(size_, taken_))
    ends(size_ - std::min(size_, taken_));
  if (n > physical_memory())
    fail(
        text::cat("needs ", n, " bytes of memory for its ", what, ", more than this computer has"));
  std::vector<uint8_t> out;
  if (!gzip_ && size_ > 0) out.reserve(static_cast<size_t>(n));
  while (out.size() < n) {
    const size_t had = out.size(), want = static_cast<size_t>(std::min<uint64_t>(kChunk, n - had));
    out.resize(had + want);
    const size_t got = read_some(out.data() + had, want);
    if (got < want) ends(had + got);
  }
  return out;
}

std::vector<uint8_t> InputFile::rest(uint64_t most) {
  const auto check = [&](uint64_t n) {
    if (n > most) fail(text::cat("has more than the ", most, " bytes that belong there"));
  };
  if (!gzip_ && size_ > taken_) check(size_ - taken_);
  std::vector<uint8_t> out;
  for (;;) {
    const size_t had = out.size();
    out.resize(had + kChunk);
    const size_t got = read_some(out.data() + had, kChunk);
    out.resize(had + got);
    check(out.size());
    if (got == 0) return out;
  }
}

void InputFile::expect_end() {
  uint8_t extra;
  if (read_some(&extra, 1) != 0) fail("goes on after the last sample that its header announces");
}

std::string existing(const std::string& folder, const std::string& name,
                     const std::string& data_set) {
  const std::string plain = (std::filesystem::path(folder) / name).string();
  std::vector<std::string> candidates{plain + ".gz", plain};
  if (const size_t idx = plain.rfind("-idx"); idx != std::string::npos) {
    std::string dotted = plain;
    dotted[idx] = '.';
    candidates.insert(candidates.end(), {dotted + ".gz", dotted});
  }
  std::error_code ignored;
  for (const std::string& candidate : candidates)
    if (std::filesystem::exists(candidate, ignored)) return candidate;
  throw Error(text::cat("there is no '", plain, "' and no '", plain, ".gz': 'altprop data get ",
                        data_set, "' downloads data set '", data_set,
                        "', option data-dir or ALTPROP_DATA says where it is"));
}

std::string path_in(const std::string& folder, const std::string& path) {
  std::error_code ignored;
  return path.empty() || std::filesystem::exists(path, ignored)
             ? path
             : (std::filesystem::path(folder) / path).string();
}

Tensor to_tensor(std::vector<uint8_t> bytes, IntArrayRef shape, at::ScalarType type) {
  TORCH_INTERNAL_ASSERT(c10::multiply_integers(shape) *
                            static_cast<int64_t>(c10::elementSize(type)) ==
                        static_cast<int64_t>(bytes.size()));
  auto owner = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
  return at::from_blob(
      owner->data(), shape, [owner](void*) {}, type);
}

std::vector<std::string> names_in(const std::string& path, int64_t count) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(1 << 20);
  std::vector<std::string> out;
  for (const std::string& line : text::split(std::string(bytes.begin(), bytes.end()), '\n'))
    if (std::string name = text::trim(line); !name.empty()) out.push_back(name);
  if (!text::is_utf8({reinterpret_cast<const char*>(bytes.data()), bytes.size()}))
    file.fail("has class names that are no UTF-8 text");
  if (static_cast<int64_t>(out.size()) != count)
    file.fail(
        text::cat("has ", out.size(), " class names, but the data set has ", count, " classes"));
  return out;
}

}  // namespace altprop::data
