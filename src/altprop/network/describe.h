// A network as a table: per operation its shape, parameters, arithmetic and memory.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// A multiply-add counts as 2 floating point operations (FLOPs); work per value, such as an
/// activation's, is not counted. Numbers of arithmetic are per sample, bytes are for the whole
/// batch.
struct Description {
  struct Row {
    std::string name, op, settings;
    std::vector<int64_t> shape;  ///< of the output, without the batch
    std::string
        unusual;  ///< what its values are, where no real numbers of each sample: unusual_text
    int64_t parameters = 0;      ///< first seen here: a shared parameter counts once
    bool shared = false;         ///< some parameters belong to an operation above
    int64_t multiply_adds = 0;
    int64_t forward_flops = 0;
    int64_t backward_flops = 0;  ///< of the exact gradient: weight gradient and credit of the input
    int64_t activation_bytes = 0;  ///< of the output; 0 where memory is shared with the input
  };
  std::vector<Row> rows;
  int64_t batch = 1;
  int64_t parameters = 0, weight_bytes = 0, buffer_bytes = 0;
  int64_t multiply_adds = 0, forward_flops = 0, training_flops = 0;
  int64_t activation_bytes = 0;  ///< kept from the forward pass for the backward pass
  /// Learning rules and why they refuse the network ("": they accept it); filled in by who knows
  /// the rules.
  std::vector<std::pair<std::string, std::string>> rules;

  /// Aligned columns, totals below.
  std::string table() const;
  nlohmann::json json() const;
};

Description describe(const Graph& net, int64_t batch = 1);

}  // namespace altprop
