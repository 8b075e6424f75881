#include "altprop/data/read/csv.h"

#include <gtest/gtest.h>

#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

TEST(Csv, FindsHeaderSeparatorAndTarget) {
  TempFolder folder;
  auto read = [&](const std::string& content, const CsvFormat& format = {}) {
    return read_csv(write(folder / "a.csv", content), format);
  };
  const Tensor expected = at::tensor({1.5f, -2.0f, 3.0f, 4e3f}).view({2, 2});
  for (const char* content : {"1.5,-2,cat\n3,4e3,dog\n", "a,b,kind\r\n1.5,-2,cat\r\n\r\n3,4e3,dog",
                              "1.5;-2;cat\n3;4e3;dog",
                              "\xEF\xBB\xBF"
                              "1.5\t-2\tcat\n3\t4e3\tdog\n",
                              "1.5  -2 cat\n 3 4e3   dog \n",
                              "\"x, \"\"y\"\"\",b,c\n\"1.5\", -2 ,\"cat\"\n3,4e3,dog\n"}) {
    const CsvTable table = read(content);
    EXPECT_TRUE(table.features.equal(expected)) << content;
    EXPECT_EQ(table.targets, (std::vector<std::string>{"cat", "dog"})) << content;
  }
  EXPECT_EQ(read("k,b,c\n7,1,2\n", {.target = "k"}).targets, std::vector<std::string>{"7"});
  EXPECT_EQ(read("7,1,2\n", {.target = "first"}).targets, std::vector<std::string>{"7"});
  EXPECT_EQ(read("7,1,2\n", {.target = "1"}).targets, std::vector<std::string>{"1"});
  EXPECT_EQ(read("7,1,2\n8,3,4\n", {.header = "yes"}).lines, std::vector<int64_t>{2});
}

TEST(Csv, RefusesDamagedFilesNamingFileAndLine) {
  TempFolder folder;
  const std::string path = folder / "bad.csv";
  auto refuse = [&](const std::string& content, std::initializer_list<std::string> parts,
                    const CsvFormat& format = {}) {
    write(path, content);
    expect_error([&] { read_csv(path, format); }, {path});
    expect_error([&] { read_csv(path, format); }, parts);
  };
  refuse("", {"has no samples"});
  refuse("a,b,c\n", {"has no samples"});
  refuse("1,2,3\n1,2\n", {"line 2 has 2 fields, but the first line has 3"});
  refuse("1,2,3\n\n1,2,3,4\n", {"line 3 has 4 fields"});
  refuse("1,2,3\n1,x,3\n", {"line 2", "'x' in column 1"});
  refuse("1,2,3\n1,nan,3\n", {"'nan' in column 1", "not a finite number"});
  refuse("1,2,3\n1,,3\n", {"'' in column 1"});
  refuse("1,2,3\n1,1e99,3\n", {"'1e99' in column 1"});
  refuse("12\n13\n", {"single column"});
  refuse("1,\"2,3\n", {"line 1", "quote that is not closed"});
  refuse("1,\"2\"x,3\n", {"behind a closing quote"});
  refuse("a,b\n1,2\n", {"no column 'kind'"}, {.target = "kind"});
  refuse("1,2\n", {"columns 0 to 1", "column 5"}, {.target = "5"});
  refuse(gzipped("1,2,3\n1,2,3\n").substr(0, 20), {"truncated"});
  expect_error([&] { read_csv(folder / "none.csv", {}); }, {folder / "none.csv", "No such file"});
}

TEST(Csv, SourceNumbersClasses) {
  TempFolder folder;
  write(folder / "train.csv", "w,h,kind\n1,10,dog\n2,20,cat\n3,30,dog\n4,40,ant\n");
  write(folder / "test.csv", "w,h,kind\n1,10,cat\n");
  OptionValues options{
      {"data-dir", folder.path()}, {"csv.train", "train.csv"}, {"csv.test", "test.csv"}};
  const Splits data = load("csv", options);
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"ant", "cat", "dog"}));
  EXPECT_TRUE(data.train.targets.equal(at::tensor({2, 1, 2, 0}, at::kLong)));
  EXPECT_TRUE(data.test.targets.equal(at::tensor({1}, at::kLong)));
  EXPECT_EQ(data.test.mean, data.train.mean) << "the test part is normalised as the training part";
  write(folder / "test.csv", "w,h,kind\n1,10,bee\n");
  expect_error([&] { load("csv", options); },
               {folder / "test.csv", "line 2", "'bee'", "the training file does not have"});

  options = {{"data-dir", folder.path()}, {"csv.train", "train.csv"}};
  write(folder / "train.csv", "1,10,0\n2,20,2\n");
  EXPECT_EQ(load("csv", options).train.classes, 3);
  options["csv.classes"] = "2";
  expect_error([&] { load("csv", options); }, {"train.csv", "line 2", "target '2'", "0 to 1"});
  options.erase("csv.classes");
  write(folder / "train.csv", "1,10,0.5\n2,20,2\n");
  expect_error([&] { load("csv", options); }, {"train.csv", "'0.5'", "regression"});
  options["csv.task"] = "regression";
  EXPECT_TRUE(load("csv", options).train.targets.equal(at::tensor({0.5f, 2.0f}).view({2, 1})));
  options["csv.shape"] = "1x1x2";
  EXPECT_EQ(load("csv", options).train.sample_shape(), (std::vector<int64_t>{1, 1, 2}));
  options["csv.shape"] = "3x2";
  expect_error([&] { load("csv", options); }, {"csv.shape", "6 values", "2 features"});
  options["csv.shape"] = "2xx";
  expect_error([&] { load("csv", options); }, {"csv.shape", "1x28x28"});
  expect_error([&] { load("csv", {}); }, {"csv.train"});
}

}  // namespace
}  // namespace altprop::data::testing
