// Damaged records: a page whose data can be read, or a sentence.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/report/html_report.h"
#include "altprop/report/records.h"
#include "data/helpers.h"
#include "report/embedded.h"
#include "support/fuzz.h"

namespace altprop::report {
namespace {

using data::testing::TempFolder;
using nlohmann::json;

const std::string kRun =
    R"({"rule": "backprop", "label": "bp", "folder": "bp-seed1", "seed": 1, "status": "done",)"
    R"( "test_accuracy": 0.98, "test_loss": null, "gradient": [{"name": "fc1", "cosine": 1.0}]})";
const std::string kLines =
    "{\"epoch\": 1, \"train_loss\": 0.5, \"gradient\": [{\"name\": \"fc1\", \"cosine\": 0.5}]}\n"
    "{\"epoch\": 2, \"train_loss\": null}\n";

void read_folder(const std::string& folder) {
  const Records records = read_records(folder);
  const json data = embedded(html(records));
  EXPECT_FALSE(records.runs.empty());
  EXPECT_EQ(data["runs"].size(), records.runs.size());
  for (size_t i = 0; i < records.runs.size(); ++i)
    EXPECT_EQ(data["runs"][i]["epochs"].size(), records.runs[i].epochs.size());
}

TEST(Fuzz, Summaries) {
  TempFolder folder;
  data::testing::write(folder / "bp-seed1/metrics.jsonl", kLines);
  fuzz::run({.name = "summary.json",
             .seeds = {kRun, R"({"net": "mlp", "runs": [)" + kRun + ", " + kRun + "]}"},
             .read =
                 [&](const std::string& input) {
                   data::testing::write(folder / "summary.json", input);
                   read_folder(folder.path());
                 },
             .rounds = 2000});
}

TEST(Fuzz, EpochRecords) {
  TempFolder folder;
  data::testing::write(folder / "summary.json", kRun);
  int64_t noted = 0;
  // No damage here is a reason to refuse the page; what is lost is said.
  for (int64_t i = 0; i < 2000; ++i) {
    const std::string input = fuzz::mutated({kLines}, Stream(1).at(i));
    data::testing::write(folder / "metrics.jsonl", input);
    SCOPED_TRACE(input);
    ASSERT_NO_THROW(read_folder(folder.path()));
    noted += !read_records(folder.path()).notes.empty();
  }
  EXPECT_GT(noted, 200);
}

TEST(Fuzz, Deployments) {
  TempFolder folder;
  data::testing::write(folder / "summary.json", kRun);
  data::testing::write(folder / "metrics.jsonl", kLines);
  int64_t noted = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const std::string input = fuzz::mutated(
        {R"({"cores": 5, "ensembles": [{"members": 1, "accuracy": 0.9}], "limit": {"rest": 0.1}})"},
        Stream(2).at(i));
    data::testing::write(folder / "deploy.json", input);
    SCOPED_TRACE(input);
    ASSERT_NO_THROW(read_folder(folder.path()));
    const Records records = read_records(folder.path());
    EXPECT_EQ(records.runs[0].deployment.is_null(), !records.notes.empty());
    noted += !records.notes.empty();
  }
  EXPECT_GT(noted, 200);
}

TEST(Fuzz, DeeplyNestedRecords) {
  TempFolder folder;
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  data::testing::write(folder / "summary.json", "{\"rule\": " + deep + "}");
  EXPECT_THROW(read_folder(folder.path()), Error);
  data::testing::write(folder / "summary.json", kRun);
  data::testing::write(folder / "metrics.jsonl", "{\"epoch\": " + deep + "}\n{\"epoch\": 2}\n");
  const Records records = read_records(folder.path());
  EXPECT_EQ(records.runs[0].epochs.size(), 1u);
  EXPECT_EQ(records.notes.size(), 1u);
}

}  // namespace
}  // namespace altprop::report
