// Files in the safetensors layout (https://github.com/huggingface/safetensors): named tensors and
// texts that any language reads without executing anything.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"__metadata__": {"name": "text"},
//                    "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//   the rest  the tensors' numbers, row by row, one behind the other
//
// A file that altprop wrote also has the text `altprop_crc32`: the CRC-32 of all bytes of the file,
// with its own eight digits taken as zeros.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "altprop/tensor/state_io.h"

namespace altprop {

/// The `__metadata__` of a file; UTF-8.
using Texts = std::map<std::string, std::string>;

struct Safetensors {
  TensorMap tensors;    ///< on the CPU, contiguous
  Texts texts;          ///< without the check sum
  bool summed = false;  ///< the file had a check sum, which was right
};

/// The name under which the check sum stands among the texts.
inline constexpr const char* kCheckSum = "altprop_crc32";

/// Reads strictly: every byte of the file belongs to exactly one tensor, names are unique, shapes
/// and types fit the bytes. Takes no more memory than a small factor of the file's size.
/// @throws Error naming the file and what is wrong with it
Safetensors read_safetensors(const std::filesystem::path& path);

/// Writes tensors of any device and layout in one step, with a check sum. Those that are on the CPU
/// and contiguous are not copied.
/// @param named by the user: a device or a pipe is written to as it is
/// @throws Error on a full disk, a folder that cannot be written, a type that the layout lacks
void write_safetensors(const std::filesystem::path& path, TensorMap tensors, const Texts& texts,
                       bool named = false);

/// The layout's name of a number format; nullptr if it has none.
const char* safetensors_dtype(at::ScalarType type);
/// The number format of that name, if it is known here.
std::optional<at::ScalarType> type_of_safetensors(const std::string& dtype);

}  // namespace altprop
