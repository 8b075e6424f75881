#include "altprop/report/html_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "altprop/base/error.h"
#include "report/embedded.h"

namespace altprop::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Report : public ::testing::Test {
 protected:
  fs::path dir = fs::path(::testing::TempDir()) /
                 (std::string("altprop_report_") +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());

  void SetUp() override {
    fs::remove_all(dir);
    fs::create_directories(dir);
  }
  void TearDown() override { fs::remove_all(dir); }

  void put(const fs::path& name, const std::string& content) {
    fs::create_directories((dir / name).parent_path());
    std::ofstream(dir / name) << content;
  }
  std::string page() {
    write(dir);
    std::ifstream in(dir / "report.html");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string message(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(Report, EmbedsTheRecordsOfATrainingRun) {
  put("summary.json", R"({"rule": "backprop", "test_accuracy": 0.98, "test_loss": null})");
  put("metrics.jsonl", "{\"epoch\": 0}\n\n{\"epoch\": 1, \"train_loss\": 0.5}\n");
  const json data = embedded(page());
  EXPECT_EQ(data["runs"].size(), 1u);
  EXPECT_EQ(data["runs"][0]["summary"]["rule"], "backprop");
  EXPECT_EQ(data["runs"][0]["epochs"][1], json({{"epoch", 1}, {"train_loss", 0.5}}));
  EXPECT_EQ(data["notes"], json::array());
}

TEST_F(Report, EmbedsTheRunsOfAComparison) {
  put("summary.json",
      R"({"net": "mlp", "runs": [{"label": "a", "folder": "a-0"}, {"label": "b", "folder": "b-0"}]})");
  put("a-0/metrics.jsonl", "{\"epoch\": 1}\n");
  put("b-0/metrics.jsonl", "{\"epoch\": 2}\n");
  const json data = embedded(page());
  EXPECT_EQ(data["summary"], json({{"net", "mlp"}}));
  EXPECT_EQ(data["runs"][0]["epochs"][0]["epoch"], 1);
  EXPECT_EQ(data["runs"][1]["epochs"][0]["epoch"], 2);
}

TEST_F(Report, EmbedsWhatWasDeployed) {
  put("summary.json",
      R"({"runs": [{"label": "a", "folder": "a-0"}, {"label": "b", "folder": "b-0"}]})");
  for (const char* folder : {"a-0", "b-0"})
    put(fs::path(folder) / "metrics.jsonl", "{\"epoch\": 1}\n");
  put("b-0/deploy.json", R"({"ensembles": [{"members": 4}]})");
  json data = embedded(page());
  EXPECT_TRUE(data["runs"][0]["deployment"].is_null());
  EXPECT_EQ(data["runs"][1]["deployment"]["ensembles"][0]["members"], 4);
  EXPECT_EQ(data["notes"], json::array());
  for (const char* damaged : {"{", "[1, 2]", ""}) {
    put("b-0/deploy.json", damaged);
    data = embedded(page());
    EXPECT_TRUE(data["runs"][1]["deployment"].is_null());
    ASSERT_EQ(data["notes"].size(), 1u);
    EXPECT_EQ(data["notes"][0].get<std::string>().rfind("'b-0/deploy.json' is damaged", 0), 0u);
  }
  put("summary.json", "{}");
  put("deploy.json", R"({"cores": 5})");
  EXPECT_EQ(embedded(page())["runs"][0]["deployment"]["cores"], 5);
}

TEST_F(Report, IsOnePageThatLoadsNothing) {
  put("summary.json", "{}");
  const std::string text = page();
  EXPECT_EQ(text.rfind("<!DOCTYPE html>", 0), 0u);
  EXPECT_EQ(text.find("{{"), text.npos) << "a place of the template was not filled";
  EXPECT_EQ(text.find(" src="), text.npos);
  EXPECT_EQ(text.find("<link"), text.npos);
  EXPECT_EQ(text.find("@import"), text.npos);
  EXPECT_EQ(text.find("url(http"), text.npos);
}

TEST_F(Report, RecordsCannotBecomeMarkup) {
  const std::string nasty = "</script><script>alert(1)</script><!-- & {{script}}";
  put("summary.json", json({{"rule", nasty}, {"warnings", {nasty}}}).dump());
  put("metrics.jsonl", json({{"epoch", 0}, {"gradient", {{{"name", nasty}}}}}).dump());
  const std::string text = page();
  EXPECT_EQ(count(text, "<script>alert"), 0u);
  EXPECT_EQ(count(text, "</script>"), 2u) << "the page's own two elements";
  EXPECT_EQ(embedded(text)["runs"][0]["summary"]["rule"], nasty);
}

TEST_F(Report, ACutLastLineBecomesANote) {
  put("summary.json", "{}");
  put("metrics.jsonl", "{\"epoch\": 0}\n{\"epoch\": 1, \"train_l");
  const Records records = read_records(dir);
  EXPECT_EQ(records.runs[0].epochs.size(), 1u);
  EXPECT_EQ(
      records.notes,
      (std::vector<std::string>{"'metrics.jsonl' has 1 damaged or cut line, which is left out."}));
}

TEST_F(Report, MissingCurvesBecomeNotes) {
  put("summary.json",
      R"({"runs": [{"folder": "gone"}, {}, {"folder": "../elsewhere"}, {"folder": 3}]})");
  const Records records = read_records(dir);
  EXPECT_EQ(records.runs.size(), 4u);
  ASSERT_EQ(records.notes.size(), 4u);
  EXPECT_EQ(records.notes[0], "'gone/metrics.jsonl' cannot be read, so this run has no curves.");
  EXPECT_EQ(
      records.notes[2],
      "'summary.json' names the folder '../elsewhere' outside its own, so this run has no curves.");
}

TEST_F(Report, SaysWhatIsWrongWithASummary) {
  const std::string file = "'" + (dir / "summary.json").string() + "'";
  EXPECT_EQ(message([&] { write(dir); }), "cannot read " + file +
                                              "; a report is made of a folder that 'altprop train "
                                              "--out' or 'altprop compare --out' wrote");
  put("summary.json", "{\"rule\": ");
  EXPECT_EQ(message([&] { write(dir); }),
            file + " is no JSON that can be read: line 1, column 9: the text ends too early");
  put("summary.json", "[]");
  EXPECT_EQ(message([&] { write(dir); }), file + " is damaged: it is not a JSON object");
  put("summary.json", R"({"runs": [1]})");
  EXPECT_EQ(message([&] { write(dir); }),
            file + " is damaged: 'runs' is not a list of run records");
  put("summary.json", R"({"runs": []})");
  EXPECT_EQ(message([&] { write(dir); }), file + " lists no runs to report on");
  EXPECT_FALSE(fs::exists(dir / "report.html"));
}

TEST_F(Report, AReadOnlyFolderGivesOneSentence) {
  put("summary.json", "{}");
  fs::permissions(dir / "summary.json", fs::perms::all);
  fs::permissions(dir, fs::perms(0555));
  const uid_t me = ::geteuid();
  if (me == 0) {  // root may write anywhere, so this is run as nobody
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const std::string said = message([&] { write(dir); });
  if (me == 0) {
    ASSERT_EQ(::seteuid(me), 0);
  }
  fs::permissions(dir, fs::perms::owner_all);
  EXPECT_EQ(said, "writing '" + (dir / "report.html").string() + "' failed: Permission denied");
}

TEST_F(Report, AFailedWriteLeavesNothingBehind) {
  put("summary.json", "{}");
  put("report.html/in_the_way", "");
  EXPECT_EQ(message([&] { write(dir); }),
            "writing '" + (dir / "report.html").string() + "' failed: Is a directory");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 2);
}

}  // namespace
}  // namespace altprop::report
