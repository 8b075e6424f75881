#include "altprop/network/scores.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"

namespace altprop {
namespace {

TEST(Scores, AddUpOverBatchesOfDifferentSize) {
  Scores a, b;
  a.add("loss", 6, 3);
  a.add("accuracy", 2, 3, true);
  b.add("loss", 2, 1);
  b.add("ensemble_4", 1, 1, true);
  a.add(b);
  EXPECT_EQ(a.loss(), 2);
  EXPECT_EQ(*a.accuracy(), 2.0 / 3);
  EXPECT_EQ(*a.mean("ensemble_4"), 1);
  EXPECT_EQ(a.mean("other"), std::nullopt);
  ASSERT_EQ(a.all().size(), 3u);
  EXPECT_EQ(a.all()[2].name, "ensemble_4") << "in the order in which they came";
  EXPECT_TRUE(std::isnan(Scores().loss()));
}

TEST(Scores, NamesAreThoseThatRecordsCanHold) {
  Scores scores;
  for (const char* name : {"", "Loss", "a b", "a.b", "x\n"})
    EXPECT_THROW(scores.add(name, 1, 1), Error) << name;
  scores.add("error", 1, 1);
  EXPECT_THROW(scores.add("error", 1, 1, true), Error);
}

}  // namespace
}  // namespace altprop
