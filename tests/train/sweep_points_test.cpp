// What a sweep tries: values of axes, combinations, and who trains how long.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/train/sweep/points.h"
#include "altprop/train/sweep/scores.h"

namespace altprop::sweeps {
namespace {

using Values = std::vector<std::string>;

TEST(SweepPoints, ARangeIsEvenInItsLogarithm) {
  EXPECT_EQ(range("lr=1e-4..1:5").values, (Values{"0.0001", "0.001", "0.01", "0.1", "1"}));
  EXPECT_EQ(range("lr=0.01..0.1:3").values, (Values{"0.01", "0.03162", "0.1"}));
  EXPECT_EQ(range("batch=8..128:5").values, (Values{"8", "16", "32", "64", "128"}));
  EXPECT_EQ(range("batch=1..3:7").values, (Values{"1", "2", "3"}));  // whole numbers, each once
  for (const char* wrong : {"lr=1..1:3", "lr=-1..1:3", "lr=1..2:1", "lr=1..2", "lr=a..2:3", "lr",
                            "lr=1..inf:3", "lr=1..2:2000"})
    EXPECT_THROW(range(wrong), UsageError) << wrong;
}

TEST(SweepPoints, AGridIsAsWritten) {
  const Axis axis = grid(" kp:--kp_form = explicit, implicit ");
  EXPECT_EQ(axis.rule, "kp");
  EXPECT_EQ(axis.option, "kp-form");
  EXPECT_EQ(axis.values, (Values{"explicit", "implicit"}));
  EXPECT_EQ(grid("net=mlp:784-8-10:relu,mlp:784-9-10:relu").values.size(), 2u);
}

TEST(SweepPoints, PointsAreAllCombinationsBehindTheRulesOwnBrackets) {
  std::vector<std::string> labels;
  for (const Point& point : points_of("fa[feedback.scale=2]", {grid("lr=1,2"), grid("momentum=0,0.5"),
                                                              grid("kp:kp.form=implicit")}))
    labels.push_back(point.label);
  EXPECT_EQ(labels, (Values{"fa[feedback.scale=2,lr=1,momentum=0]", "fa[feedback.scale=2,lr=1,momentum=0.5]",
                            "fa[feedback.scale=2,lr=2,momentum=0]", "fa[feedback.scale=2,lr=2,momentum=0.5]"}));
  EXPECT_EQ(points_of("bp", {grid("kp:kp.form=implicit")}).at(0).label, "bp");
  EXPECT_EQ(points_of("kolen-pollack", {grid("kp:kp.form=implicit")}).at(0).label,
            "kolen-pollack[kp.form=implicit]");
  EXPECT_THROW(points_of("fa[lr=1]", {grid("lr=1,2")}), UsageError);
  EXPECT_THROW(points_of("kp[form=implicit]", {grid("kp.form=explicit")}), UsageError);
}

std::vector<std::pair<size_t, int64_t>> rungs(size_t points, int64_t epochs, int64_t factor) {
  std::vector<std::pair<size_t, int64_t>> out;
  for (const Rung& rung : rungs_of(points, epochs, factor)) out.emplace_back(rung.points, rung.epochs);
  return out;
}

TEST(SweepPoints, HalvingEndsWithOnePointOfFullLength) {
  using Pairs = std::vector<std::pair<size_t, int64_t>>;
  EXPECT_EQ(rungs(9, 9, 3), (Pairs{{9, 1}, {3, 3}, {1, 9}}));
  EXPECT_EQ(rungs(8, 40, 2), (Pairs{{8, 5}, {4, 10}, {2, 20}, {1, 40}}));
  EXPECT_EQ(rungs(7, 9, 3), (Pairs{{7, 1}, {3, 3}, {1, 9}}));
  EXPECT_EQ(rungs(27, 3, 3), (Pairs{{27, 1}, {1, 3}}));  // too few epochs for more rounds
  EXPECT_EQ(rungs(9, 9, 0), (Pairs{{9, 9}}));
  EXPECT_EQ(rungs(1, 9, 3), (Pairs{{1, 9}}));
  EXPECT_EQ(rungs(9, 1, 3), (Pairs{{9, 1}}));
  for (size_t points = 2; points < 40; ++points)
    for (int64_t epochs = 2; epochs < 30; ++epochs) {
      const auto all = rungs(points, epochs, 3);
      EXPECT_EQ(all.front().first, points);
      EXPECT_EQ(all.back(), (std::pair<size_t, int64_t>{1, epochs}));
      for (size_t i = 1; i < all.size(); ++i) {
        EXPECT_LT(all[i].first, all[i - 1].first);
        EXPECT_GT(all[i].second, all[i - 1].second);
      }
    }
}

TEST(SweepScores, AreTheBestOfTheFirstEpochsAndNeverOfTestData) {
  using nlohmann::json;
  const std::vector<json> records = {
      json::parse(R"({"epoch": 1, "validation_accuracy": 0.5, "validation_loss": 2.0})"),
      json::parse(R"({"epoch": 2, "validation_accuracy": 0.4, "validation_loss": 1.0})"),
      json::parse(R"({"epoch": 3, "validation_accuracy": 0.9, "validation_loss": null})")};
  const Choice accuracy = choice_of(records[0], ""), loss = choice_of(records[0], "loss");
  EXPECT_TRUE(accuracy.more_is_better);
  EXPECT_FALSE(loss.more_is_better);
  EXPECT_EQ(best_score(records, 2, accuracy), 0.5);
  EXPECT_EQ(best_score(records, 3, accuracy), 0.9);
  EXPECT_EQ(best_score(records, 1, loss), 2.0);
  EXPECT_EQ(best_score(records, 3, loss), 1.0);
  EXPECT_EQ(best_score({records[2]}, 3, loss), std::nullopt);
  EXPECT_TRUE(has_reached(records, 3));
  EXPECT_FALSE(has_reached(records, 4));
  EXPECT_THROW(choice_of(records[0], "f1"), UsageError);
  EXPECT_THROW(checked_score("test_accuracy"), UsageError);
  EXPECT_THROW(checked_score("Test-Loss"), UsageError);
  EXPECT_EQ(checked_score("validation_accuracy"), "accuracy");
}

}  // namespace
}  // namespace altprop::sweeps
