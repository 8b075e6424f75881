// Whether the first line of a table is a header: by columns over several lines, or refused.
#include <gtest/gtest.h>

#include "altprop/data/read/csv.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

class CsvHeader : public ::testing::Test {
 protected:
  CsvTable read(const std::string& content, const CsvFormat& format = {}) {
    return read_csv(write(folder / "a.csv", content), format);
  }
  TempFolder folder;
};

TEST_F(CsvHeader, NamesOverNumbers) {
  const struct {
    const char* content;
    size_t samples;
    const char* first_name;  // "": no header
  } cases[] = {
      {"a,b,y\n0,0,0\n1,1,1\n", 2, "a"},
      {"0,1,label\n0.5,2,0\n1,1.5,1\n", 2, "0"},  // text in the target column alone
      {"1,1,cat\n2,2,dog\n1,2,cat\n", 3, ""},     // ... over names: data
      {"a,b,kind\n0,0,cat\n1,1,dog\n", 2, "a"},
      {"x,y\n1,0\n2,1\n", 2, "x"},
      {"1e-400,0,0\n1,1,1\n", 2, ""},  // too small for float64, but a number
      {"1,1,1\n1e-400,0,0\n", 2, ""},
      {"-1e-400,.5,0\n5.,+1,1\n", 2, ""},
      {"1,2,0\n", 1, ""},
      {"a 1,b 2,y\n1,2,0\n", 1, "a 1"},
      {"2019,2020,y\n1,2,0\n3,4,1\n", 2, "2019"},
  };
  for (const auto& c : cases) {
    const CsvTable table = read(c.content);
    EXPECT_EQ(table.lines.size(), c.samples) << c.content;
    const bool header = *c.first_name;
    EXPECT_EQ(table.columns.names.empty(), !header) << c.content;
    if (header) {
      EXPECT_EQ(table.columns.names[0], c.first_name) << c.content;
    }
  }
  EXPECT_EQ(read("1e-400,0,0\n1,1,1\n").features[0][0].item<double>(), 0);
  EXPECT_EQ(read("\"a, x\";\"b, x\";y\n0;0;0\n1;1;1\n").columns.names,
            (std::vector<std::string>{"a, x", "b, x", "y"}));
}

TEST_F(CsvHeader, DoubtIsRefusedNamingLineOneAndTheOption) {
  for (const char* content :
       {",0,0\n1,1,1\n0,1,0\n", "?,0,0\n1,1,1\n", "O.1,0,0\n1,1,1\n", "0,NA,0\n1,1,1\n",
        "a,1,y\n1,1,1\n0,0,0\n", "?,0\n1,1\n", "x,0\n1,1\n", "?,?,y\n1,1,1\n", "a,b,0\n1,2,1\n",
        "O.1,cat\n1,dog\n2,cat\n",  // a damaged sample of a class that others have
        "0,1,2\n5,6,1\n7,8,0\n",    // numbers for names, as pandas writes them
        "0,0,1O\n1,1,1\n0,1,0\n", "0,1,kind\n5,6,cat\n7,8,dog\n", "\n\n1,x,0\n2,3,1\n"}) {
    const std::string message = error_of([&] { read(content); });
    const std::string line = content[0] == '\n' ? "line 3 " : "line 1 ";
    for (const std::string& part : {folder / "a.csv", line, std::string("csv.header")})
      EXPECT_NE(message.find(part), std::string::npos) << content << ": " << message;
  }
}

// The numbers of rows that pandas writes are no feature.
TEST_F(CsvHeader, AColumnWithoutANameIsNoFeatureUnlessSomebodySaysSo) {
  const std::string pandas = ",b,y\n0,0,0\n1,1,1\n";
  expect_error([&] { read(pandas); }, {"line 1", "without a name for column 0", "csv.leave-out=0"});
  EXPECT_EQ(read(pandas, {.leave_out = {"0"}}).columns.features, std::vector<int64_t>{1});
  EXPECT_EQ(read(pandas, {.header = "yes"}).columns.features, (std::vector<int64_t>{0, 1}));
}

TEST_F(CsvHeader, TheOptionDecides) {
  const std::string first_row = ",0,0\n1,1,1\n0,1,0\n";
  EXPECT_EQ(read(first_row, {.header = "yes"}).lines.size(), 2u);
  expect_error([&] { read(first_row, {.header = "no"}); }, {"line 1", "'' in column 0", "missing"});
  EXPECT_EQ(read("0,1,2\n5,6,1\n", {.header = "no"}).lines.size(), 2u);
  EXPECT_EQ(read("0,1,2\n5,6,1\n", {.header = "yes"}).lines.size(), 1u);
  EXPECT_EQ(read("x,0\n1,1\n", {.header = "yes"}).columns.names,
            (std::vector<std::string>{"x", "0"}));
}

TEST_F(CsvHeader, ColumnsOfTextInAllLinesAreNoHeader) {
  expect_error([&] { read("Tom,1,0\nAnn,2,1\n"); }, {"line 1", "'Tom' in column 0"});
  expect_error([&] { read("id,a,y\nx1,1,0\n"); }, {"line 2", "'x1' in column 0 ('id')"});
}

}  // namespace
}  // namespace altprop::data::testing
