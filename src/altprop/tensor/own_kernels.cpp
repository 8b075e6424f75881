#include "altprop/tensor/own_kernels.h"

#include <array>
#include <cstdlib>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace detail {
constinit std::atomic<uint32_t> kernels_off{0};
}

namespace {

/// In the order of OwnKernel.
constexpr std::array kKernelNames = {"outer-product", "packed-matrix", "narrow-conv", "settle",
                                     "settle-pair",   "value-steps",   "lstm",        "planar",
                                     "softmax-pool",  "softmax-rows",  "signs",       "rows",
                                     "tanh",          "spike-events",  "core-loops",  "relu-sweep",
                                     "avx512",        "avx2"};
constexpr const char* kVariable = "ALTPROP_KERNELS";

OwnKernels named_kernel(const std::string& name) {
  for (size_t i = 0; i < kKernelNames.size(); ++i)
    if (name == kKernelNames[i]) return {static_cast<OwnKernel>(i)};
  throw UsageError(text::cat("there is no own kernel '", name, "'; there are ",
                             text::join(OwnKernels::all().names(), ", ")));
}

/// What is wrong with the variable, or nothing. Read when the library is loaded, so that no kernel
/// has to ask whether it was; and what is wrong is said later, because nobody could catch it then.
std::string read_kernels_variable() {
  const char* set = std::getenv(kVariable);
  if (!set) return "";
  try {
    set_kernels_off(OwnKernels::off_by(set));
    return "";
  } catch (const UsageError& error) {
    return text::cat(kVariable, ": ", error.what());
  }
}

const std::string variable_problem = read_kernels_variable();

}  // namespace

OwnKernels OwnKernels::all() { return OwnKernels((1u << kKernelNames.size()) - 1); }

OwnKernels OwnKernels::named(const std::vector<std::string>& names) {
  OwnKernels out;
  for (const std::string& name : names) out = out.with(named_kernel(name));
  return out;
}

OwnKernels OwnKernels::off_by(const std::string& text) {
  OwnKernels off;
  for (const std::string& piece : text::split(text, ',')) {
    const std::string word = text::trim(piece);
    if (word.empty()) continue;
    if (word == "all") {
      off = {};
    } else if (word == "none") {
      off = all();
    } else if (word[0] == '-') {
      off = off.with(named_kernel(word.substr(1)));
    } else {
      off = off.without(named_kernel(word));
    }
  }
  return off;
}

std::vector<std::string> OwnKernels::names() const {
  std::vector<std::string> out;
  for (size_t i = 0; i < kKernelNames.size(); ++i)
    if (has(static_cast<OwnKernel>(i))) out.push_back(kKernelNames[i]);
  return out;
}

OwnKernels kernels_off() { return OwnKernels(detail::kernels_off.load(std::memory_order_relaxed)); }

void set_kernels_off(OwnKernels off) {
  detail::kernels_off.store(off.bits(), std::memory_order_relaxed);
}

void check_kernels_variable() {
  if (!variable_problem.empty()) throw UsageError(variable_problem);
}

const char* own_instructions() {
  constexpr std::array names = {"plain", "avx2", "avx512"};
  return names[static_cast<size_t>(instructions_now())];
}

}  // namespace altprop
