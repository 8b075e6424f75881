#include "altprop/rules/equilibrium/fields.h"

#include <algorithm>

#include "altprop/base/larger.h"

namespace altprop {

void add_to(Tensor& sum, const Tensor& part) {
  if (part.defined()) sum = sum.defined() ? sum + part : part;
}

double largest(const Field& field) {
  double out = 0;
  for (const Tensor& t : field)
    if (t.defined()) out = larger(out, t.abs().max().item<double>());
  return out;
}

Tensor flat_rows(const Tensor& t) { return t.dim() == 2 ? t : t.reshape({t.size(0), -1}); }

Tensor repeated(const Tensor& t, int64_t times) {
  if (times == 1) return t;
  std::vector<int64_t> repeats(static_cast<size_t>(t.dim()), 1);
  repeats[0] = times;
  return t.repeat(repeats).contiguous(t.suggest_memory_format());
}

}  // namespace altprop
