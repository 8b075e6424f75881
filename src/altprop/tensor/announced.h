// Own kernels announce themselves to libtorch's recorder, so that profilers and the count of
// arithmetic (probes/kernels.h) see them as operations of the library.
#pragma once

#include <ATen/record_function.h>

#include <vector>

namespace altprop {

class Announced {
 public:
  /// Lasts as long as this object. @param operands tensors, numbers and lists of numbers; they are
  /// looked at only while something records
  template <class... Operands>
  explicit Announced(const char* name, const Operands&... operands)
      : record_(at::RecordScope::FUNCTION) {
    if (!record_.isActive()) return;
    operands_ = {c10::IValue(operands)...};
    record_.before(name, c10::ArrayRef<const c10::IValue>(operands_.data(), operands_.size()));
  }

 private:
  std::vector<c10::IValue> operands_;
  at::RecordFunction record_;
};

}  // namespace altprop
