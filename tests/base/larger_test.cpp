#include "altprop/base/larger.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace altprop {
namespace {

TEST(Larger, KeepsWhatIsNoNumberWhereverItStands) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(larger(1, 2), 2);
  EXPECT_EQ(larger(2, 1), 2);
  EXPECT_EQ(larger(-infinity, -1), -1);
  EXPECT_EQ(larger(infinity, 1), infinity);
  for (const double number : {0.0, -1.0, 1e300, infinity, -infinity, nan}) {
    EXPECT_TRUE(std::isnan(larger(nan, number))) << number;
    EXPECT_TRUE(std::isnan(larger(number, nan))) << number;
  }
}

}  // namespace
}  // namespace altprop
