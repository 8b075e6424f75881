#include "altprop/data/read/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

static_assert(std::endian::native == std::endian::little, "little-endian values are copied");

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

/// The header is a Python dictionary literal of three known entries, such as
///   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
class HeaderParser {
 public:
  HeaderParser(const InputFile& file, const std::string& text) : file_(file), text_(text) {}

  Header parse() {
    Header out;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        if (peek() == '[' || peek() == '(')
          file_.fail("holds records with several fields; save one plain array");
        out.descr = quoted();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        out.fortran = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        out.shape = tuple();
        shape = true;
      } else {
        damaged();
      }
      if (!accept(',') && peek() != '}') damaged();
    }
    if (!descr || !order || !shape || peek() != '\0') damaged();
    return out;
  }

 private:
  [[noreturn]] void damaged() const {
    file_.fail("has a header that is no NPY header: " + text_.substr(0, 80));
  }

  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) damaged();
  }
  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged();
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string::npos) damaged();
    std::string out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }
  bool boolean() {
    peek();
    for (bool value : {true, false}) {
      const std::string word = value ? "True" : "False";
      if (text_.compare(at_, word.size(), word) != 0) continue;
      at_ += word.size();
      return value;
    }
    damaged();
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> out;
    expect('(');
    while (!accept(')')) {
      peek();
      const size_t end = text_.find_first_not_of("0123456789", at_);
      const auto value =
          text::to_integer(text_.substr(at_, end == std::string::npos ? end : end - at_));
      if (!value) damaged();
      out.push_back(*value);
      at_ = end == std::string::npos ? text_.size() : end;
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2's long integers
      if (!accept(',') && peek() != ')') damaged();
    }
    return out;
  }

  const InputFile& file_;
  const std::string& text_;
  size_t at_ = 0;
};

/// How values are stored, and as what they are read.
struct ValueType {
  at::ScalarType stored;  // of unsigned integers the signed ones of their size
  at::ScalarType read;
  bool is_unsigned = false, swapped = false;
};

ValueType type_of(const InputFile& file, const std::string& descr) {
  static const std::map<std::string, ValueType> types{
      {"b1", {at::kByte, at::kBool}},       {"u1", {at::kByte, at::kByte}},
      {"i1", {at::kChar, at::kChar}},       {"i2", {at::kShort, at::kShort}},
      {"i4", {at::kInt, at::kInt}},         {"i8", {at::kLong, at::kLong}},
      {"u2", {at::kShort, at::kInt, true}}, {"u4", {at::kInt, at::kLong, true}},
      {"u8", {at::kLong, at::kLong, true}}, {"f2", {at::kHalf, at::kFloat}},
      {"f4", {at::kFloat, at::kFloat}},     {"f8", {at::kDouble, at::kDouble}}};
  const bool prefixed =
      !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string::npos;
  const auto known = types.find(prefixed ? descr.substr(1) : descr);
  if (known == types.end())
    file.fail("has values of type '" + text::printable(descr, 40) +
              "'; supported are bool, u1, u2, u4, u8, i1, i2, i4, i8, f2, f4 and f8 of either byte "
              "order, so save it as one of these with astype");
  ValueType out = known->second;
  out.swapped = descr[0] == '>';
  return out;
}

void swap_bytes(std::vector<uint8_t>& bytes, size_t size) {
  for (size_t i = 0; i + size <= bytes.size(); i += size)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i + size));
}

/// Values as a type that this library calculates with, all of which it holds exactly.
Tensor as_read(const InputFile& file, const Tensor& stored, const ValueType& type) {
  if (type.read == at::kBool) return stored.ne(0);
  if (!type.is_unsigned) return stored.to(type.read);
  if (type.stored == at::kShort) return stored.to(at::kInt).bitwise_and_(0xFFFF);
  if (type.stored == at::kInt) return stored.to(at::kLong).bitwise_and_(int64_t{0xFFFFFFFF});
  if (stored.lt(0).any().item<bool>())
    file.fail(
        "has values of type u8 that are 2^63 or more, which no integer here holds; save it "
        "as another type");
  return stored;
}

}  // namespace

Tensor read_npy(const std::string& path) {
  InputFile file(path);
  const auto start = file.bytes(8, "header");
  if (std::memcmp(start.data(), "\x93NUMPY", 6) != 0)
    file.fail("is no NPY file: it does not begin with \\x93NUMPY; save each array on its own, with numpy.save");
  const int version = start[6];
  if (version < 1 || version > 3)
    file.fail(text::cat("is of NPY version ", version, "; known are 1 to 3"));
  uint32_t length = 0;
  const auto length_bytes = file.bytes(version == 1 ? 2 : 4, "header");
  for (size_t i = 0; i < length_bytes.size(); ++i) length |= uint32_t{length_bytes[i]} << (8 * i);
  if (length > 65536)
    file.fail(
        text::cat("announces a header of ", length, " bytes, more than 65536: it is damaged"));
  const auto header_bytes = file.bytes(length, "header");
  const std::string header_text(header_bytes.begin(), header_bytes.end());
  const Header header = HeaderParser(file, header_text).parse();
  const ValueType type = type_of(file, header.descr);

  int64_t size = static_cast<int64_t>(c10::elementSize(type.stored));
  int64_t without_zeros = size;  // what strides are made of
  for (int64_t extent : header.shape)
    if (__builtin_mul_overflow(size, extent, &size) || header.shape.size() > 16 ||
        __builtin_mul_overflow(without_zeros, std::max<int64_t>(extent, 1), &without_zeros))
      file.fail("announces an array of shape " + shape_text(header.shape) +
                ", which is too large: it is damaged");
  auto values = file.bytes(static_cast<uint64_t>(size), "values");
  file.expect_end();
  if (type.swapped) swap_bytes(values, c10::elementSize(type.stored));

  Tensor out = size > 0 ? to_tensor(std::move(values), header.shape, type.stored)
                        : at::empty(header.shape, type.stored);
  if (header.fortran) {
    const std::vector<int64_t> reversed(header.shape.rbegin(), header.shape.rend());
    std::vector<int64_t> axes;
    for (int64_t i = out.dim(); i > 0; --i) axes.push_back(i - 1);
    out = out.view(reversed).permute(axes).contiguous();
  }
  return as_read(file, out, type);
}

}  // namespace altprop::data
