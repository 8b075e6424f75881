// The table of a comparison: means and deviations over the runs that came to their end.
#include <gtest/gtest.h>

#include "altprop/train/compare.h"

namespace altprop::testing {
namespace {

nlohmann::json run(const char* label, const char* status, double accuracy, double angle) {
  return {{"label", label},
          {"status", status},
          {"test_accuracy", accuracy},
          {"time_relative_to_backprop", 2},
          {"gradient", {{{"angle_degrees", angle}, {"magnitude_ratio", 1}}}}};
}

TEST(CompareTable, DivergedRunsHaveNoOutcome) {
  const nlohmann::json table =
      compare_table({{"runs",
                      {run("fa", "done", 0.9, 40), run("fa", "diverged", 0.1, 90),
                       run("fa", "done", 0.8, 44), run("bp", "diverged", 0.5, 0)}}});
  ASSERT_EQ(table.size(), 2u);
  const nlohmann::json &fa = table[0], &bp = table[1];
  EXPECT_NEAR(fa["test_accuracy"]["mean"].get<double>(), 0.85, 1e-12);
  EXPECT_EQ(fa["test_accuracy"]["n"], 2);
  EXPECT_NEAR(fa["angle_degrees"]["mean"].get<double>(), 42, 1e-12);
  EXPECT_EQ(fa["time_relative_to_backprop"]["n"], 3) << "its steps took their time";
  EXPECT_EQ(fa["runs"], 3);
  EXPECT_EQ(fa["diverged"], 1);
  EXPECT_TRUE(bp["test_accuracy"].is_null());
  const std::string text = table_text(table);
  EXPECT_NE(text.find("fa: 1 of 3 runs diverged and has no outcome\n"), std::string::npos) << text;
  EXPECT_NE(text.find("bp: 1 of 1 runs diverged and has no outcome\n"), std::string::npos) << text;
}

TEST(CompareTable, HasAColumnForEachScoreThatSomeLearnerHas) {
  nlohmann::json own = run("sampled", "done", 0.9, 40);
  own["scores"] = {{{"name", "ensemble_8"}, {"more_is_better", true}}};
  own["test_ensemble_8"] = 0.95;
  own["stochastic"] = true;
  const nlohmann::json table = compare_table({{"runs", {run("bp", "done", 0.8, 0), own}}});
  EXPECT_TRUE(table[0]["scores"]["ensemble_8"].is_null()) << "backprop has none";
  EXPECT_EQ(table[1]["scores"]["ensemble_8"]["mean"], 0.95);
  const std::string text = table_text(table);
  EXPECT_NE(text.find("loss              ensemble_8"), std::string::npos) << text;
  EXPECT_NE(text.find("0.9500"), std::string::npos) << text;
  EXPECT_NE(text.find("sampled: its gradient is a random estimate"), std::string::npos) << text;
  EXPECT_EQ(text.find("bp: its gradient"), std::string::npos) << text;
}

}  // namespace
}  // namespace altprop::testing
