#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "altprop/base/crc32.h"
#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/train/safetensors.h"

namespace altprop {

namespace {

constexpr std::pair<at::ScalarType, const char*> kStoredTypes[] = {
    {at::kBool, "BOOL"}, {at::kByte, "U8"},    {at::kChar, "I8"},         {at::kShort, "I16"},
    {at::kInt, "I32"},   {at::kLong, "I64"},   {at::kHalf, "F16"},        {at::kBFloat16, "BF16"},
    {at::kFloat, "F32"}, {at::kDouble, "F64"}, {at::kComplexFloat, "C64"}};

/// A JSON string; bytes that are no UTF-8 cannot stand in one.
std::string json_string(const std::string& s) {
  return nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view bytes_of_tensor(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::string tensor_entry(const std::string& name, const Tensor& tensor, size_t begin) {
  const char* dtype = safetensors_dtype(tensor.scalar_type());
  if (!dtype)
    throw Error(text::cat("'", name, "' is of the type ", tensor.scalar_type(),
                          ", which the safetensors layout lacks"));
  std::vector<std::string> shape;
  for (const int64_t n : tensor.sizes()) shape.push_back(std::to_string(n));
  return text::cat(",", json_string(name), R"(:{"dtype":")", dtype, R"(","shape":[)",
                   text::join(shape, ","), R"(],"data_offsets":[)", begin, ",",
                   begin + tensor.nbytes(), "]}");
}

}  // namespace

const char* safetensors_dtype(at::ScalarType type) {
  for (const auto& [known, name] : kStoredTypes)
    if (known == type) return name;
  return nullptr;
}

std::optional<at::ScalarType> type_of_safetensors(const std::string& dtype) {
  for (const auto& [type, name] : kStoredTypes)
    if (dtype == name) return type;
  return std::nullopt;
}

void write_safetensors(const std::filesystem::path& path, TensorMap tensors, const Texts& texts,
                       bool named) {
  using Item = TensorMap::value_type;
  std::vector<const Item*> order;
  for (auto& item : tensors) {
    item.second = item.second.to(at::kCPU).contiguous();
    order.push_back(&item);
  }
  // The largest elements first, so that each tensor stands at a multiple of its element's size.
  std::stable_sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
    return a->second.element_size() > b->second.element_size();
  });
  std::string header = text::cat("{\"__metadata__\":{\"", kCheckSum, "\":\"");
  const size_t digits = sizeof(uint64_t) + header.size();
  header += "00000000\"";
  for (const auto& [name, value] : texts)
    header += "," + json_string(name) + ":" + json_string(value);
  header += "}";
  size_t end = 0;
  for (const Item* item : order) {
    header += tensor_entry(item->first, item->second, end);
    end += item->second.nbytes();
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  const uint64_t length = header.size();
  std::string front(reinterpret_cast<const char*>(&length), sizeof length);
  front += header;
  std::vector<std::string_view> pieces = {front};
  for (const Item* item : order)
    if (item->second.nbytes()) pieces.push_back(bytes_of_tensor(item->second));
  uint32_t crc = 0;
  for (const std::string_view piece : pieces) crc = crc32_of(piece, crc);
  front.replace(digits, 8, crc32_text(crc));
  named ? write_output(path, pieces) : write_atomically(path, pieces);
}

}  // namespace altprop
