// A network in the making, from Python: operations of the library whose parameters are tensors of the
// caller's, and boxes of libtorch's operators for the rest.
#pragma once

#include <torch/csrc/utils/pybind.h>
#include <unistd.h>

#include <mutex>

#include "altprop/network/graph.h"

namespace altprop::python {

class Network {
 public:
  int input(const std::vector<int64_t>& shape, const std::string& dtype, const std::string& name);
  /// The value lies where `tensor` lies. @returns its number
  int param(const std::string& name, const Tensor& tensor, bool learnt);
  /// An operation of the library. @param settings what its kind reads @param params numbers, -1: none
  int add(const std::string& kind, const pybind11::dict& settings, const std::vector<int>& params,
          const std::vector<int>& inputs, const std::string& name);
  /// libtorch's operators (network/ops/aten_box.h).
  int box(const std::string& program, const std::vector<Tensor>& constants,
          const std::vector<int>& params, const std::vector<int>& inputs, const std::string& name);
  void output(int node) { graph_.output(node); }

  /// Tensors of parameters as they are now, in the order of their numbers: those that lie elsewhere
  /// than before are taken over.
  void refresh(const std::vector<Tensor>& tensors);
  const std::vector<ParamPtr>& params() const { return params_; }
  Graph& graph() { return graph_; }
  std::string describe() const;
  /// An operation draws random numbers in training.
  bool draws() const;

  /// To be held while anything computes with it: boxes keep what they record, norms move, and
  /// values are taken over, for every rule that is bound to it. Wait for it without the
  /// interpreter's lock.
  std::mutex& one_at_a_time() { return one_at_a_time_; }
  /// Networks do not go through a fork: libtorch's threads are left behind. @throws UsageError
  void expect_own_process() const;

 private:
  ParamPtr at(const std::vector<int>& numbers, size_t i) const;

  Graph graph_;
  std::vector<ParamPtr> params_;
  std::mutex one_at_a_time_;
  pid_t process_ = ::getpid();
};

}  // namespace altprop::python
