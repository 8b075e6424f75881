#include "altprop/tensor/cuda_graph.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <mutex>

namespace altprop {

namespace {

constexpr int kRelaxed = 2;  ///< cudaStreamCaptureModeRelaxed: allocating meanwhile is allowed

class CudaGraph : public at::GraphImplInterface {
 public:
  CudaGraph(const CudaRuntime& runtime, void* (*stream)()) : runtime_(runtime), stream_(stream) {}
  ~CudaGraph() override { release(); }

  void capture_begin(at::MempoolId_t, at::GraphCaptureMode) override {
    release();
    recorded_on_ = stream_();
    check(runtime_.begin_capture(recorded_on_, kRelaxed), "to record");
  }
  void capture_end() override {
    check(runtime_.end_capture(recorded_on_, &graph_), "to end a recording");
    instantiate();
  }
  void instantiate() override {
    if (!executable_) check(runtime_.instantiate(&executable_, graph_, 0), "to prepare a graph");
  }
  void replay() override {
    TORCH_CHECK(executable_, "a CUDA graph was to be launched before it was recorded");
    check(runtime_.launch(executable_, stream_()), "to launch a graph");
  }
  void reset() override { release(); }
  at::MempoolId_t pool() const override { return {0, 0}; }
  void enable_debug_mode() override {}
  void debug_dump(const std::string&) override {
    TORCH_CHECK_NOT_IMPLEMENTED(false, "CUDA graphs of this kind are not written to files");
  }

 private:
  void check(int error, const char* what) const {
    if (error == 0) return;
    runtime_.last_error();  // else the next operation, whichever it is, would find it
    TORCH_CHECK(false, "the CUDA runtime refused ", what, ": ", runtime_.text_of_error(error));
  }
  void release() {
    if (executable_) runtime_.destroy_executable(executable_);  // once it has run
    if (graph_) runtime_.destroy_graph(graph_);
    executable_ = graph_ = nullptr;
  }

  const CudaRuntime& runtime_;
  void* (*stream_)();
  void *recorded_on_ = nullptr, *graph_ = nullptr, *executable_ = nullptr;
};

void* symbol(const char* name) {
  if (void* found = dlsym(RTLD_DEFAULT, name)) return found;
  for (const char* library : {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"})
    if (void* opened = dlopen(library, RTLD_LAZY | RTLD_NOLOAD))
      if (void* found = dlsym(opened, name)) return found;
  return nullptr;
}

template <class Function>
bool find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(symbol(name));
  return function != nullptr;
}

void* present_stream() {
  const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
  return guard.getStreamNativeHandle(guard.getStream(guard.getDevice()));
}

}  // namespace

const CudaRuntime* CudaRuntime::loaded() {
  static CudaRuntime r;
  static const bool found =
      find(r.begin_capture, "cudaStreamBeginCapture") &&
      find(r.end_capture, "cudaStreamEndCapture") &&
      find(r.instantiate, "cudaGraphInstantiateWithFlags") && find(r.launch, "cudaGraphLaunch") &&
      find(r.destroy_executable, "cudaGraphExecDestroy") &&
      find(r.destroy_graph, "cudaGraphDestroy") && find(r.last_error, "cudaGetLastError") &&
      find(r.text_of_error, "cudaGetErrorString");
  return found ? &r : nullptr;
}

std::unique_ptr<at::GraphImplInterface> make_cuda_graph(const CudaRuntime& runtime,
                                                        void* (*stream)()) {
  return std::make_unique<CudaGraph>(runtime, stream);
}

void offer_cuda_graphs() {
  static std::once_flag once;
  std::call_once(once, [] {
    const CudaRuntime* const runtime = CudaRuntime::loaded();
    if (!runtime || at::has_graph_impl(c10::DeviceType::CUDA)) return;
    at::GraphImplRegistry()->Register(
        c10::DeviceTypeName(c10::DeviceType::CUDA, false), [](const at::GraphImplArgs&) {
          return make_cuda_graph(*CudaRuntime::loaded(), &present_stream);
        });
  });
}

}  // namespace altprop
