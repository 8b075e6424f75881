#include "altprop/train/checkpoint.h"

#include <torch/csrc/jit/serialization/pickle.h>

#include "altprop/base/error.h"
#include "altprop/train/files.h"

namespace altprop {

void save_checkpoint(const std::filesystem::path& path, const TensorMap& tensors) {
  c10::Dict<std::string, Tensor> dictionary;
  for (const auto& [name, tensor] : tensors) dictionary.insert(name, tensor);
  const std::vector<char> bytes = torch::jit::pickle_save(dictionary);
  write_atomically(path, {bytes.begin(), bytes.end()});
}

TensorMap load_checkpoint(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    const c10::IValue value = torch::jit::pickle_load({bytes.begin(), bytes.end()});
    TensorMap out;
    for (const auto& item : value.toGenericDict()) out[item.key().toStringRef()] = item.value().toTensor();
    return out;
  } catch (const std::exception&) {
    throw Error("'" + path.string() + "' is damaged or is no altprop checkpoint; use an earlier one or start the run again");
  }
}

}  // namespace altprop
