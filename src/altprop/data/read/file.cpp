#include "altprop/data/read/file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::data {

namespace {

constexpr size_t kChunk = size_t{1} << 20;

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) fail("is a folder, not a file");
  errno = 0;
  file_ = gzopen(path_.c_str(), "rb");
  if (!file_)
    fail(std::string("cannot be opened: ") + (errno ? std::strerror(errno) : "out of memory"));
  gzbuffer(static_cast<gzFile>(file_), 1 << 17);
}

InputFile::~InputFile() { gzclose(static_cast<gzFile>(file_)); }

void InputFile::fail(const std::string& what) const { throw Error("'" + path_ + "' " + what); }

size_t InputFile::read_some(uint8_t* to, size_t n) {
  auto* file = static_cast<gzFile>(file_);
  const int got = gzread(file, to, static_cast<unsigned>(n));
  int code = Z_OK;
  const char* message = gzerror(file, &code);
  if (code == Z_BUF_ERROR) fail("ends inside its compressed data: it is truncated, get it again");
  if (got < 0 || code < 0)
    fail(text::cat("cannot be read, it is damaged: ",
                   code == Z_ERRNO ? std::strerror(errno) : message));
  return static_cast<size_t>(got);
}

std::vector<uint8_t> InputFile::bytes(uint64_t n, const std::string& what) {
  std::vector<uint8_t> out;
  while (out.size() < n) {
    const size_t had = out.size(), want = static_cast<size_t>(std::min<uint64_t>(kChunk, n - had));
    out.resize(had + want);
    const size_t got = read_some(out.data() + had, want);
    if (got < want)
      fail(text::cat("ends inside its ", what, ": ", n, " bytes should be there, but only ",
                     had + got, " are; it is truncated or not of this format"));
  }
  return out;
}

std::vector<uint8_t> InputFile::rest(uint64_t most) {
  std::vector<uint8_t> out;
  for (;;) {
    const size_t had = out.size();
    out.resize(had + kChunk);
    const size_t got = read_some(out.data() + had, kChunk);
    out.resize(had + got);
    if (out.size() > most) fail(text::cat("has more than the ", most, " bytes that belong there"));
    if (got == 0) return out;
  }
}

void InputFile::expect_end() {
  uint8_t extra;
  if (read_some(&extra, 1) != 0) fail("goes on after the last sample that its header announces");
}

std::string existing(const std::string& folder, const std::string& name,
                     const std::string& data_set) {
  const std::filesystem::path plain = std::filesystem::path(folder) / name;
  std::error_code ignored;
  for (const std::string& candidate : {plain.string() + ".gz", plain.string()})
    if (std::filesystem::exists(candidate, ignored)) return candidate;
  throw Error(text::cat("there is no '", plain.string(), "' and no '", plain.string(),
                        ".gz': 'altprop data get ", data_set, "' downloads data set '", data_set,
                        "', option data-dir or ALTPROP_DATA says where it is"));
}

Tensor to_tensor(std::vector<uint8_t> bytes, IntArrayRef shape) {
  TORCH_INTERNAL_ASSERT(c10::multiply_integers(shape) == static_cast<int64_t>(bytes.size()));
  auto owner = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
  return at::from_blob(
      owner->data(), shape, [owner](void*) {}, at::kByte);
}

std::vector<std::string> names_in(const std::string& path, int64_t count) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(1 << 20);
  std::vector<std::string> out;
  for (const std::string& line : text::split(std::string(bytes.begin(), bytes.end()), '\n'))
    if (std::string name = text::trim(line); !name.empty()) out.push_back(name);
  if (static_cast<int64_t>(out.size()) != count)
    file.fail(
        text::cat("has ", out.size(), " class names, but the data set has ", count, " classes"));
  return out;
}

}  // namespace altprop::data
