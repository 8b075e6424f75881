// Curves in a terminal, records as tables, and where two runs part.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/report/differences.h"
#include "altprop/report/flat_records.h"
#include "altprop/report/outcome.h"
#include "altprop/report/terminal_chart.h"

namespace altprop::report {
namespace {

using nlohmann::json;

std::vector<std::string> lines_of(const std::string& s) {
  std::vector<std::string> out(1);
  for (const char c : s) {
    if (c == '\n') out.emplace_back();
    else out.back() += c;
  }
  return out;
}

TEST(TerminalChart, DrawsARisingLineFromCornerToCorner) {
  const auto lines = lines_of(terminal_chart("rise", {{"a", {{1, 0}, {2, 0.5}, {3, 1}}}},
                                             {.width = 40, .utf8 = false}, 100));
  ASSERT_EQ(lines.size(), 12u);
  EXPECT_EQ(lines[0], "rise");
  EXPECT_EQ(lines[1].substr(0, 5), "100 |");
  EXPECT_EQ(lines[8].substr(0, 6), "  0 |*");
  EXPECT_TRUE(lines[1].ends_with("*  * a")) << lines[1];
  for (size_t i = 1; i + 1 < 8; ++i) {  // each row has dots left of those above it
    EXPECT_LT(lines[i + 1].find_last_of('*'), lines[i].find('*') + 40);
    EXPECT_NE(lines[i].find('*'), std::string::npos);
  }
  EXPECT_TRUE(lines[10].ends_with("3  epoch"));
  for (const std::string& line : lines) EXPECT_LE(columns_of(line), 40u);
}

TEST(TerminalChart, BrailleHasEightDotsToACharacter) {
  const std::string chart =
      terminal_chart("dots", {{"a", {{0, 0}, {1, 1}}}}, {.width = 30, .utf8 = true});
  EXPECT_NE(chart.find("\u2860"), std::string::npos) << chart;
  EXPECT_EQ(chart.find('\033'), std::string::npos);
  EXPECT_NE(terminal_chart("dots", {{"a", {{0, 0}}}}, {.colour = true}).find("\033[34m"),
            std::string::npos);
}

TEST(TerminalChart, LeavesOutWhatIsNoNumber) {
  EXPECT_EQ(terminal_chart("none", {{"a", {{1, NAN}, {NAN, 1}, {2, INFINITY}}}}, {}), "");
  EXPECT_EQ(terminal_chart("none", {}, {}), "");
  const std::string one = terminal_chart("one", {{"a", {{1, NAN}, {2, 5}}}}, {.utf8 = false});
  EXPECT_NE(one.find("5 |"), std::string::npos);
  EXPECT_NE(terminal_chart("t", {{"a", {{1, 1}, {2, 1000}}}}, {}).find("logarithmic"),
            std::string::npos);
  EXPECT_EQ(terminal_chart("t", {{"a", {{1, -1}, {2, 1000}}}}, {}).find("logarithmic"),
            std::string::npos);
}

TEST(TerminalChart, NamesManyLinesOnRowsOfTheirOwn) {
  std::vector<ChartLine> lines;
  for (int i = 0; i < 12; ++i) lines.push_back({"line" + std::to_string(i), {{1, 1}, {2, 1}}});
  const std::string chart = terminal_chart("many", lines, {.utf8 = false});
  for (const ChartLine& line : lines) EXPECT_NE(chart.find(" " + line.label), std::string::npos);
}

TEST(TerminalChart, CutsTextsAtCharacters) {
  EXPECT_EQ(padded("größer", 8), "größer  ");
  EXPECT_EQ(padded("größer", 4), "grö~");
  EXPECT_EQ(padded("7", 3, true), "  7");
}

TEST(FlatRecords, NameColumnsByLayersAndStages) {
  const json record = json::parse(
      R"({"epoch": 1, "figures": {"steps": 3}, "gradient": [{"name": "fc1.weight", "cosine": 0.5}],
          "ode_credit": [{"name": "w", "step": 0, "stage": 1, "cosine": 1},
                         {"name": "w", "step": 1, "stage": 1, "cosine": 2}],
          "twice": [{"name": "a", "v": 1}, {"name": "a", "v": 2}], "list": [1, 2], "empty": []})");
  const json row = flat(record);
  EXPECT_EQ(row["figures.steps"], 3);
  EXPECT_EQ(row["gradient.fc1.weight.cosine"], 0.5);
  EXPECT_EQ(row["ode_credit.w.0.1.cosine"], 1);
  EXPECT_EQ(row["ode_credit.w.1.1.cosine"], 2);
  EXPECT_EQ(row["twice.a.v"], 1);
  EXPECT_EQ(row["twice.a.1.v"], 2);
  EXPECT_EQ(row["list"], json::parse("[1, 2]"));
  Records records;
  records.runs.push_back({.summary = {{"label", "a,\"b\""}, {"seed", 1}}, .epochs = {record}});
  records.runs.push_back({.summary = json::object(), .epochs = {{{"epoch", 2}, {"later", nullptr}}}});
  const FlatTable table = flat_table(records);
  const std::string written = csv(table);
  EXPECT_EQ(written.substr(0, 24), "folder,label,seed,epoch,");
  EXPECT_NE(written.find("\"a,\"\"b\"\"\",1,1,"), std::string::npos) << written;
  EXPECT_NE(written.find("\"[1,2]\""), std::string::npos);
  EXPECT_EQ(json_rows(table)[1]["gradient.fc1.weight.cosine"], nullptr);
}

using OneRun = report::Run;  // a test has a member of the shorter name

OneRun run_of(std::vector<json> epochs) {
  return {.summary = json::object(), .epochs = std::move(epochs)};
}

TEST(Outcomes, TakeTheLaterOfTwoRecordsOfAnEpoch) {
  const OneRun run = run_of({{{"epoch", 1}, {"test_loss", 5.0}}, {{"epoch", 2}, {"test_loss", 1.0}},
                          {{"epoch", 2}, {"test_loss", 3.0}}});
  const auto found = measure(run, "test_loss");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->best, 3.0);
  EXPECT_EQ(found->best_epoch, 2);
  EXPECT_EQ(found->points.size(), 2u);
}

TEST(Outcomes, AreThoseOfTheBestValidationEpoch) {
  OneRun run = run_of({{{"epoch", 1}, {"test_accuracy", 0.7}}, {{"epoch", 2}, {"test_accuracy", 0.9}}});
  EXPECT_EQ(best_accuracy(run), 0.9);
  run.summary["best_epoch"] = 1;
  EXPECT_EQ(best_accuracy(run), 0.7);
  EXPECT_TRUE(std::isnan(best_loss(run)));
}

TEST(Outcomes, WorstLayersAreWeights) {
  const OneRun run = run_of({{{"epoch", 1},
                           {"gradient", {{{"name", "a.weight"}, {"angle_degrees", 10.0}},
                                         {{"name", "b.weight"}, {"angle_degrees", 40.0}},
                                         {{"name", "b.bias"}, {"angle_degrees", 80.0}},
                                         {{"name", "c.weight"}, {"angle_degrees", nullptr}}}}}});
  const auto worst = worst_layers(run, 5);
  ASSERT_EQ(worst.size(), 2u);
  EXPECT_EQ(worst[0].name, "b.weight");
}

TEST(Differences, ClocksDoNotCount) {
  const json one = {{"epoch", 1}, {"seconds", 1.0}, {"run", "a"}, {"test_loss", 0.5}};
  json other = {{"epoch", 1}, {"seconds", 2.0}, {"run", "b"}, {"test_loss", 0.5}};
  EXPECT_EQ(first_difference(run_of({one}), run_of({other})), "");
  other["test_loss"] = 0.25;
  EXPECT_EQ(first_difference(run_of({one}), run_of({other})), "epoch 1: test_loss is 0.5 and 0.25");
  other.erase("test_loss");
  EXPECT_EQ(first_difference(run_of({one}), run_of({other})), "epoch 1: test_loss is 0.5 and nothing");
}

}  // namespace
}  // namespace altprop::report
