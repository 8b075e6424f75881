#include "altprop/cores/strengths.h"

#include <algorithm>
#include <array>

#include "altprop/cores/limits.h"

namespace altprop::cores {

namespace {

using TableOfFour = std::array<float, kAxonTypes>;

std::vector<TableOfFour> tables_to_deal(StrengthKind kind) {
  if (kind == StrengthKind::Signs) return {{1, -1, 1, -1}};
  std::vector<TableOfFour> out;
  TableOfFour table = {-2, -1, 1, 2};
  do {
    out.push_back(table);
  } while (std::next_permutation(table.begin(), table.end()));
  return out;
}

/// 0 .. choices - 1 over and over, in random order, so that each occurs as often as any other, but
/// for one.
std::vector<int64_t> dealt(int64_t n, int64_t choices, const Stream& stream) {
  const Tensor order = stream.permutation(n);
  std::vector<int64_t> out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = order[i].item<int64_t>() % choices;
  return out;
}

}  // namespace

Strengths draw_strengths(const CoreLayout& layout, StrengthKind kind, const Stream& stream) {
  const int64_t axons = layout.axons_each();
  const std::vector<TableOfFour> tables = tables_to_deal(kind);
  Strengths out{at::empty({layout.size(), axons}, at::kLong),
                at::empty({layout.outputs(), axons}, at::kFloat)};
  int64_t* type = out.types.mutable_data_ptr<int64_t>();
  float* synapse = out.synapse.mutable_data_ptr<float>();
  for (int64_t core = 0; core < layout.size(); ++core, type += axons) {
    const Stream of_core = stream.at(core);
    for (int64_t i = 0; i < axons; ++i) type[i] = i % kAxonTypes;
    if (kind == StrengthKind::Permuted) {
      const std::vector<int64_t> types = dealt(axons, kAxonTypes, of_core.at("types"));
      std::copy(types.begin(), types.end(), type);
    }
    const int64_t neurons = layout.neurons[static_cast<size_t>(core)];
    for (const int64_t which :
         dealt(neurons, static_cast<int64_t>(tables.size()), of_core.at("tables")))
      for (int64_t i = 0; i < axons; ++i)
        *synapse++ = tables[static_cast<size_t>(which)][static_cast<size_t>(type[i])];
  }
  return out;
}

}  // namespace altprop::cores
