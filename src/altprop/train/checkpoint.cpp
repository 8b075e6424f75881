#include "altprop/train/checkpoint.h"

#include <torch/csrc/jit/serialization/pickle.h>
#include <zlib.h>

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/train/archive.h"
#include "altprop/train/files.h"

namespace altprop {

namespace {

// A checkpoint is a zip archive, whose reader in libtorch checks no sums. So the archive's comment,
// which other readers skip, holds the sum of all bytes before it.
constexpr size_t kComment = 22;

std::string comment_for(const std::string& archive) {
  const uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(archive.data()), archive.size());
  char text[kComment + 1];
  std::snprintf(text, sizeof text, "altprop crc32 %08lx", sum);
  return text;
}

bool is_whole(const std::string& bytes) {
  // The archive's last record ends with the length of the comment.
  const size_t at = end_of_archive(bytes);
  if (at == std::string::npos) return false;
  const size_t length = bytes.size() - at;
  if (static_cast<unsigned char>(bytes[at - 2]) +
          256u * static_cast<unsigned char>(bytes[at - 1]) !=
      length)
    return false;
  // What Python's torch.save wrote has no comment, but a sum for each part.
  return length == 0 ? archive_is_whole(bytes)
                     : comment_for(bytes.substr(0, at)) == bytes.substr(at);
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const TensorMap& tensors) {
  c10::Dict<std::string, Tensor> dictionary;
  for (const auto& [name, tensor] : tensors) dictionary.insert(name, tensor);
  const std::vector<char> bytes = torch::jit::pickle_save(dictionary);
  std::string archive(bytes.begin(), bytes.end());
  archive[archive.size() - 2] =
      static_cast<char>(kComment);  // its last two bytes are the length of the comment
  write_atomically(path, archive + comment_for(archive));
}

TensorMap load_checkpoint(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    if (!is_whole(bytes)) throw Error("");
    const c10::IValue value = torch::jit::pickle_load({bytes.begin(), bytes.end()});
    TensorMap out;
    for (const auto& item : value.toGenericDict()) {
      const Tensor tensor = item.value().toTensor();
      if (!tensor.defined() || tensor.layout() != at::kStrided || !tensor.device().is_cpu() ||
          tensor.is_quantized())
        throw Error("");
      out[item.key().toStringRef()] = tensor;
    }
    return out;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    throw Error(
        "'" + path.string() +
        "' is damaged or is no altprop checkpoint; use an earlier one or start the run again");
  }
}

}  // namespace altprop
