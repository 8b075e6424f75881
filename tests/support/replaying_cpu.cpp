#include "support/replaying_cpu.h"

#include <ATen/core/GraphImplInterface.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <mutex>
#include <set>

namespace altprop::test {

namespace {

constexpr auto kKey = c10::DispatchKey::TESTING_ONLY_GenericMode;

struct Call {
  c10::OperatorHandle op;
  torch::jit::Stack arguments, results;
};

/// A tensor that an operation has written into while recording, and what it held before.
struct Written {
  at::Tensor tensor, before;
};

class Recording : public at::GraphImplInterface {
 public:
  static inline bool on = false;
  static inline int64_t replayed = 0, recorded = 0;
  static inline Recording* present = nullptr;

  void capture_begin(at::MempoolId_t, at::GraphCaptureMode) override {
    present = this;
    c10::impl::tls_set_dispatch_key_included(kKey, true);
  }
  void capture_end() override {
    c10::impl::tls_set_dispatch_key_included(kKey, false);
    present = nullptr;
    for (size_t i = written_.size(); i-- > 0;) written_[i].tensor.copy_(written_[i].before);
    written_.clear();
    ++recorded;
  }
  void instantiate() override {}
  void replay() override {
    ++replayed;
    for (const Call& call : calls_) {
      torch::jit::Stack stack = call.arguments;
      call.op.callBoxed(&stack);
      for (size_t i = 0; i < stack.size(); ++i) put(stack[i], call.results[i]);
    }
  }
  void reset() override { calls_.clear(); }
  at::MempoolId_t pool() const override { return {0, 0}; }
  void enable_debug_mode() override {}
  void debug_dump(const std::string&) override {}

  void take(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    const auto& schema = op.schema();
    static const std::set<std::string> kReading = {"aten::item",       "aten::_local_scalar_dense",
                                                   "aten::nonzero",    "aten::equal",
                                                   "aten::is_nonzero", "aten::masked_select"};
    TORCH_CHECK(!kReading.count(schema.name()), schema.name(), " reads numbers while recording");
    const size_t n = schema.arguments().size();
    Call call{op, {stack->end() - static_cast<std::ptrdiff_t>(n), stack->end()}, {}};
    for (size_t i = 0; i < n; ++i) {
      const auto* alias = schema.arguments()[i].alias_info();
      if (alias && alias->isWrite() && call.arguments[i].isTensor() &&
          call.arguments[i].toTensor().defined())
        written_.push_back({call.arguments[i].toTensor(), call.arguments[i].toTensor().clone()});
    }
    op.callBoxed(stack);
    call.results.assign(stack->end() - static_cast<std::ptrdiff_t>(schema.returns().size()),
                        stack->end());
    calls_.push_back(std::move(call));
  }

 private:
  /// The recorded result gets the numbers of the new one, where it has memory of its own.
  static void put(const c10::IValue& now, const c10::IValue& then) {
    if (now.isTensor()) {
      const at::Tensor &from = now.toTensor(), &to = then.toTensor();
      if (from.defined() && from.unsafeGetTensorImpl()->has_storage() &&
          from.storage().data() != to.storage().data())
        to.copy_(from);
    } else if (now.isTensorList()) {
      const auto from = now.toTensorList(), to = then.toTensorList();
      for (size_t i = 0; i < from.size(); ++i) put(from.get(i), to.get(i));
    }
  }

  std::vector<Call> calls_;
  std::vector<Written> written_;
};

void record(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard below(kKey);
  if (Recording::present)
    Recording::present->take(op, stack);
  else
    op.callBoxed(stack);
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&record>());
}

}  // namespace

ReplayingCpu::ReplayingCpu() {
  static std::once_flag once;
  std::call_once(once, [] {
    at::GraphImplRegistry()->Register(
        "CPU", [](const at::GraphImplArgs&) -> std::unique_ptr<at::GraphImplInterface> {
          return Recording::on ? std::make_unique<Recording>() : nullptr;
        });
  });
  Recording::on = true;
  Recording::replayed = Recording::recorded = 0;
}
ReplayingCpu::~ReplayingCpu() { Recording::on = false; }
int64_t ReplayingCpu::replays() { return Recording::replayed; }
int64_t ReplayingCpu::recordings() { return Recording::recorded; }

}  // namespace altprop::test
