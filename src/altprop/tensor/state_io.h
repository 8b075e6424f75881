// Saving and loading with one function: state(io) names each thing once, and io either writes it
// down or fills it in.
#pragma once

#include <map>
#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Named tensors, the content of a checkpoint.
using TensorMap = std::map<std::string, Tensor>;

class StateIO {
 public:
  /// Saving: entries are added to `map` (copies, on the CPU).
  static StateIO saving(TensorMap& map) { return {map, false, ""}; }
  /// Loading: entries are read from `map`.
  static StateIO loading(TensorMap& map) { return {map, true, ""}; }

  bool is_loading() const { return loading_; }
  /// The same map with "name." before every key.
  StateIO scope(const std::string& name) const { return {map_, loading_, prefix_ + name + "."}; }

  /// Loading copies into the existing tensor, or makes one if it is undefined. @throws Error if the
  /// entry is missing or of another shape
  void tensor(const std::string& name, Tensor& value);
  void integer(const std::string& name, int64_t& value);
  void number(const std::string& name, double& value);
  void text(const std::string& name, std::string& value);
  bool has(const std::string& name) const { return map_.count(prefix_ + name) != 0; }

 private:
  StateIO(TensorMap& map, bool loading, std::string prefix)
      : map_(map), loading_(loading), prefix_(std::move(prefix)) {}
  const Tensor& entry(const std::string& name) const;

  TensorMap& map_;
  bool loading_;
  std::string prefix_;
};

}  // namespace altprop
