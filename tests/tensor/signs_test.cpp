#include "altprop/tensor/signs.h"

#include <gtest/gtest.h>

#include "altprop/tensor/random.h"

namespace altprop {
namespace {

TEST(Signs, EqualTheLibrarysTwoPasses) {
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const auto& shape : std::vector<std::vector<int64_t>>{{7, 33}, {3, 2, 3, 3}}) {
      Tensor w = Stream(1).normal(shape, dtype);
      w.view({-1}).narrow(0, 0, 3).zero_();
      const Tensor each = Stream(2).uniform(shape, dtype),
                   one = at::scalar_tensor(0.3, w.options());
      for (const Tensor& magnitudes : {each, one}) {
        Tensor out = at::full_like(w, NAN);
        signs_times(out, w, magnitudes);
        EXPECT_TRUE(out.equal(w.sign() * magnitudes));
        Tensor strided = at::full_like(w, NAN).transpose(0, 1).contiguous().transpose(0, 1);
        signs_times(strided, w, magnitudes);
        EXPECT_TRUE(strided.equal(out));
      }
    }
}

}  // namespace
}  // namespace altprop
