// NaN, infinity, signed zero and denormals planted in operands, and results compared with those of
// the library: NaN where it has NaN, infinity where it has infinity, else numerically the same.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/random.h"

namespace altprop::test {

/// Whole sets of switches, under which every kernel's results have to be the library's.
struct Switches {
  const char* name;
  OwnKernels off;
};
inline void PrintTo(const Switches& s, std::ostream* out) { *out << s.name; }
inline std::vector<Switches> all_switches() {
  return {{"AllOn", {}},
          {"WithoutAvx512", {OwnKernel::Avx512}},
          {"WithoutVectors", {OwnKernel::Avx512, OwnKernel::Avx2}},
          {"AllOff", OwnKernels::all()}};
}

class UnderSwitches : public ::testing::TestWithParam<Switches> {
 private:
  KernelsOff off_{GetParam().off};
};

inline std::string name_of_switches(const ::testing::TestParamInfo<Switches>& info) {
  return info.param.name;
}

/// Normal numbers, every fifth of them 0, which meets infinity somewhere.
inline Tensor with_zeros(uint64_t seed, IntArrayRef shape, at::ScalarType type = at::kFloat) {
  Tensor t = Stream(seed).normal(shape, type);
  Tensor flat = t.view({-1});
  for (int64_t i = 2; i < flat.numel(); i += 5) flat[i] = 0;
  return t;
}

inline void expect_as_library(const Tensor& own, const Tensor& library, const std::string& what,
                              double tolerance = 1e-5) {
  ASSERT_EQ(own.sizes(), library.sizes()) << what;
  const Tensor a = own.to(at::kDouble), b = library.to(at::kDouble);
  EXPECT_TRUE(at::equal(a.isnan(), b.isnan()))
      << what << ": NaN in " << a.isnan().sum().item<int64_t>() << " places, the library in "
      << b.isnan().sum().item<int64_t>();
  EXPECT_TRUE(at::equal(a.isposinf(), b.isposinf())) << what << ": +infinity";
  EXPECT_TRUE(at::equal(a.isneginf(), b.isneginf())) << what << ": -infinity";
  const Tensor finite = a.isfinite().logical_and_(b.isfinite());
  EXPECT_TRUE(at::allclose(a.masked_select(finite), b.masked_select(finite), tolerance, tolerance))
      << what;
}

/// Calls `check(what)` with each special value at each of some positions of each operand in turn.
/// @param operands what the check reads; they are as before afterwards
inline void with_special_values(std::vector<Tensor> operands,
                                const std::function<void(const std::string&)>& check) {
  check("ordinary numbers");
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (size_t o = 0; o < operands.size(); ++o) {
    const Tensor before = operands[o].clone();
    Tensor flat = operands[o].view({-1});
    const int64_t n = flat.numel();
    for (const double value : {std::nan(""), inf, -inf, -0.0, 1e-41}) {
      std::set<int64_t> positions;
      for (const int64_t at : {int64_t{0}, int64_t{7}, n / 2, n - 1})
        if (at < n) positions.insert(at);
      for (const int64_t at : positions) {
        flat[at] = value;
        check("operand " + std::to_string(o) + ", " + std::to_string(value) + " at " +
              std::to_string(at) + " of " + std::to_string(n));
        operands[o].copy_(before);
        if (::testing::Test::HasFailure()) return;  // one sentence is enough
      }
    }
  }
}

/// What `f` returns with libtorch's operations alone.
template <class F>
auto by_library(F&& f) {
  const KernelsOff off(OwnKernels::all());
  return f();
}

}  // namespace altprop::test
