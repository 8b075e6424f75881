// CUDA graphs by the C functions of the CUDA runtime that libtorch has loaded, found by name: a
// CUDA build of torch comes without the headers that its own classes for graphs need.
#pragma once

#include <ATen/core/GraphImplInterface.h>

#include <memory>

namespace altprop {

/// The functions of the CUDA runtime that recording needs; all return an error code, 0 for none.
/// NVIDIA, CUDA Runtime API, stream and graph management.
struct CudaRuntime {
  int (*begin_capture)(void* stream, int mode) = nullptr;
  int (*end_capture)(void* stream, void** graph) = nullptr;
  int (*instantiate)(void** executable, void* graph, unsigned long long flags) = nullptr;
  int (*launch)(void* executable, void* stream) = nullptr;
  int (*destroy_executable)(void* executable) = nullptr;
  int (*destroy_graph)(void* graph) = nullptr;
  int (*last_error)() = nullptr;  ///< and forgets it
  const char* (*text_of_error)(int error) = nullptr;

  /// The loaded one; null where none is.
  static const CudaRuntime* loaded();
};

/// @param runtime must outlive the graph
/// @param stream the native handle of the present stream
/// @throws c10::Error from its functions, saying what the runtime says
///
/// Memory that the recorded work allocates is libtorch's as ever: it must not be given back between
/// recording and the last replay, which holds as long as nothing else allocates on the stream.
std::unique_ptr<at::GraphImplInterface> make_cuda_graph(const CudaRuntime& runtime,
                                                        void* (*stream)());

/// Makes CUDA graphs known to libtorch's registry of graphs, unless its CUDA part has done so or
/// there is no runtime.
void offer_cuda_graphs();

}  // namespace altprop
