#include <algorithm>
#include <bit>

#include "altprop/base/crc32.h"
#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/train/safetensors.h"

namespace altprop {

namespace {

static_assert(std::endian::native == std::endian::little, "the layout's numbers are little-endian");

constexpr uint64_t kMostHeader = 100'000'000;  // as in the layout's own reader
constexpr size_t kMostDimensions = 64;         // of libtorch's loops

/// What is wrong with a file; its name is added where it is known.
struct Malformed {
  std::string why;
};

struct StoredTensor {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;  ///< bytes behind the header
};

/// What an error can quote of a name.
std::string quoted_name(const std::string& name) { return "'" + name.substr(0, 80) + "'"; }

StoredTensor stored_tensor(const std::string& name, const nlohmann::json& entry, uint64_t data) {
  const auto count = [&](const nlohmann::json& value) {
    if (value.is_number_unsigned()) return value.get<uint64_t>();
    throw Malformed{"a number of " + quoted_name(name) + " is no whole number from 0 on"};
  };
  const nlohmann::json shape = entry.is_object() ? entry.value("shape", nlohmann::json()) : entry;
  const nlohmann::json place =
      entry.is_object() ? entry.value("data_offsets", nlohmann::json()) : entry;
  if (!entry.is_object() || !shape.is_array() || !place.is_array() || place.size() != 2 ||
      entry.size() != 3 || !entry.contains("dtype") || !entry["dtype"].is_string())
    throw Malformed{quoted_name(name) + " is not described by dtype, shape and data_offsets"};
  const auto type = type_of_safetensors(entry["dtype"].get<std::string>());
  if (!type) throw Malformed{"the type of " + quoted_name(name) + " is not known here"};
  StoredTensor out{name, *type, {}, count(place[0]), count(place[1])};
  // `extent` is the size were no dimension 0: libtorch calculates strides with it.
  uint64_t bytes = at::elementSize(*type), extent = bytes;
  for (const auto& item : shape) {
    const uint64_t n = count(item);
    bytes *= n;
    if (out.shape.size() == kMostDimensions ||
        __builtin_mul_overflow(extent, std::max<uint64_t>(n, 1), &extent) || extent > INT64_MAX)
      throw Malformed{"the shape of " + quoted_name(name) + " is too large"};
    out.shape.push_back(static_cast<int64_t>(n));
  }
  if (out.begin > out.end || out.end > data || out.end - out.begin != bytes)
    throw Malformed{"the place of " + quoted_name(name) + " in the file does not fit its shape"};
  return out;
}

/// In the order of their bytes, which leave nothing out and overlap nowhere.
std::vector<StoredTensor> stored_tensors(const nlohmann::json& header, uint64_t data) {
  std::vector<StoredTensor> out;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") out.push_back(stored_tensor(name, entry, data));
  std::sort(out.begin(), out.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair{a.begin, a.end} < std::pair{b.begin, b.end};
  });
  uint64_t at = 0;
  for (const StoredTensor& tensor : out) {
    if (tensor.begin != at)
      throw Malformed{"the bytes before " + quoted_name(tensor.name) + " do not add up"};
    at = tensor.end;
  }
  if (at != data)
    throw Malformed{
        text::cat("it has ", data, " bytes of numbers where its header describes ", at)};
  return out;
}

/// The texts, and the check sum among them. `header` is left as it was summed.
Texts stored_texts(const nlohmann::json& json, std::string& header, std::string& sum) {
  Texts out;
  if (!json.contains("__metadata__")) return out;
  if (!json["__metadata__"].is_object()) throw Malformed{"its __metadata__ is no object"};
  for (const auto& [name, value] : json["__metadata__"].items()) {
    if (!value.is_string()) throw Malformed{quoted_name(name) + " in its __metadata__ is no text"};
    out[name] = value.get<std::string>();
  }
  if (const auto found = out.extract(kCheckSum)) {
    // In other texts the quotes have backslashes, so this is found nowhere else.
    const std::string key = text::cat("\"", kCheckSum, "\":\"");
    const size_t at = header.find(key);
    if (at == std::string::npos || found.mapped().size() != 8 || header[at + key.size() + 8] != '"')
      throw Malformed{"its check sum is not written as altprop writes it"};
    sum = found.mapped();
    header.replace(at + key.size(), 8, 8, '0');
  }
  return out;
}

Safetensors read_layout(const std::filesystem::path& path) {
  RegularFile file(path);
  uint64_t length = 0;
  if (file.size() < sizeof length) throw Malformed{"it has fewer than 8 bytes"};
  file.read(&length, sizeof length);
  if (length > file.size() - sizeof length || length > kMostHeader)
    throw Malformed{
        text::cat("its header is said to have ", length, " bytes, but the file has ", file.size())};
  std::string header(length, '\0');
  file.read(header.data(), header.size());
  const nlohmann::json json =
      read_json(header, "'" + path.string() + "' is damaged or is no checkpoint: its header",
                {.depth = 3, .bytes = kMostHeader});
  if (!json.is_object()) throw Malformed{"its header is no JSON object"};
  const auto tensors = stored_tensors(json, file.size() - sizeof length - length);
  Safetensors out;
  std::string sum;
  out.texts = stored_texts(json, header, sum);
  uint32_t crc =
      crc32_of(header, crc32_of({reinterpret_cast<const char*>(&length), sizeof length}));
  for (const StoredTensor& stored : tensors) {
    const Tensor tensor = at::empty(stored.shape, stored.type);
    auto* bytes = static_cast<unsigned char*>(tensor.data_ptr());
    const size_t n = stored.end - stored.begin;
    file.read(bytes, n);
    crc = crc32_of({reinterpret_cast<const char*>(bytes), n}, crc);
    if (stored.type == at::kBool &&
        std::any_of(bytes, bytes + n, [](unsigned char b) { return b > 1; }))
      throw Malformed{quoted_name(stored.name) + " holds truth values that are neither 0 nor 1"};
    out.tensors[stored.name] = tensor;
  }
  if (!sum.empty() && sum != crc32_text(crc)) throw Malformed{"its check sum is wrong"};
  out.summed = !sum.empty();
  return out;
}

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& path) try {
  return read_layout(path);
} catch (const Malformed& malformed) {
  throw Error("'" + path.string() + "' is damaged or is no checkpoint in the safetensors layout (" +
              malformed.why + "); use an earlier one or start the run again");
}

}  // namespace altprop
