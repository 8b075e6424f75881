// What a checkpoint says beside its tensors: of the program that wrote it, of the machine where
// that matters to the last bit, and of the records that stand beside it.
#pragma once

#include <nlohmann/json.hpp>

#include "altprop/tensor/linear.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/train/safetensors.h"

namespace altprop {

struct RunMeta {
  int64_t threads = 0;
  LinearBackend backend = LinearBackend::Aten;
  OwnKernels kernels_off;
  std::string instructions, library_instructions;
  std::string run;            ///< its id; "" in a file that was converted from an earlier version
  std::string data;           ///< digest of its data
  nlohmann::json settings;    ///< as they were when the checkpoint was written
  int64_t metrics_bytes = 0;  ///< of the records when the checkpoint was written
  std::string metrics_sum;    ///< their CRC-32, as `crc32_text` writes it
  std::string metrics_line;   ///< the record that is appended to them next; "" if none is

  /// Of this program on this machine.
  static RunMeta here();
  /// Of a checkpoint. @param path for errors. @throws Error if it is damaged or of a format that
  /// this version does not know
  static RunMeta of(const Texts& texts, const std::string& path);
  /// As it stands in a checkpoint.
  Texts texts() const;

  /// Kernels and libraries are chosen anew as they were, but instructions are the processor's: what
  /// cannot be taken here has to be said, because the run goes on in other last bits. "" if
  /// nothing.
  std::string what_differs() const;
};

}  // namespace altprop
