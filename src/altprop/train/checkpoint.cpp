#include "altprop/train/checkpoint.h"

#include <algorithm>

#include "altprop/base/error.h"

namespace altprop {

namespace {

Error without_sum(const std::filesystem::path& path) {
  return Error("'" + path.string() +
               "' is damaged or is no checkpoint of altprop (it has no check sum); use an earlier "
               "one or start the run again");
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, TensorMap tensors, const Texts& texts) {
  write_safetensors(path, std::move(tensors), texts);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
  Safetensors file = read_safetensors(path);
  if (!file.summed) throw without_sum(path);
  return {std::move(file.tensors), std::move(file.texts)};
}

Checkpoint load_weights(const std::filesystem::path& path) {
  Safetensors file = read_safetensors(path);
  // Altprop's own texts without its sum: damage to the sum's name must not turn the check off.
  const bool own = std::any_of(file.texts.begin(), file.texts.end(),
                               [](const auto& text) { return text.first.starts_with("altprop"); });
  if (own && !file.summed) throw without_sum(path);
  return {std::move(file.tensors), std::move(file.texts)};
}

}  // namespace altprop
