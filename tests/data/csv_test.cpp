// Tables: separators, columns, numbers, and the sentences for what cannot be read.
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
  const Tensor expected = at::tensor({1.5, -2.0, 3.0, 4e3}, at::kDouble).view({2, 2});
  for (const char* content : {"1.5,-2,cat\n3,4e3,dog\n", "a,b,kind\r\n1.5,-2,cat\r\n\r\n3,4e3,dog",
                              "1.5;-2;cat\n3;4e3;dog",
                              "\xEF\xBB\xBF"
                              "1.5\t-2\tcat\n3\t4e3\tdog\n",
                              "1.5  -2 cat\n 3 4e3   dog \n", "1.5,-2,cat\r3,4e3,dog\r",
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
    const std::string message = error_of([&] { read_csv(path, format); });
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_LT(message.size(), 700u + path.size());
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' in: " << message;
  };
  refuse("", {"has no samples"});
  refuse("\n \r\n \n", {"has no samples"});
  refuse("a,b,c\n", {"has no samples"});
  refuse("1,2,3\n1,2\n", {"line 2 has 2 fields, but the first line has 3"});
  refuse("1,2,3\n\n1,2,3,4\n", {"line 3 has 4 fields"});
  refuse("1,2,3\n1,x,3\n", {"line 2", "'x' in column 1", "csv.leave-out"});
  refuse("a,b,c\n1,2,3\n1,x,3\n", {"line 3", "'x' in column 1 ('b')"});
  refuse("1,2,3\n1,nan,3\n", {"'nan' in column 1", "not a finite number", "missing"});
  refuse("1,2,3\n1,,3\n", {"'' in column 1", "missing"});
  refuse("1,2,3\n1,inf,3\n", {"'inf' in column 1", "not a finite number"});
  refuse("1,2,3\n1,1e39,3\n", {"'1e39' in column 1", "single precision", "rescale"});
  refuse("1,2,3\n1,1e99,3\n", {"'1e99' in column 1"});
  refuse("1,2,3\n1,1e999,3\n", {"'1e999' in column 1"});
  refuse("1,2,3\n1,0x1p3,3\n", {"'0x1p3' in column 1"});
  refuse("1,2,3\n1,1 000,3\n", {"'1 000' in column 1"});
  refuse("1,2,3\n1,+-1,3\n", {"'+-1' in column 1"});
  refuse("12\n13\n", {"single column"});
  refuse("1,\"2,3\n", {"line 1", "quote that is not closed"});
  refuse("1,2,3\n1,\"2\n\n,3\n", {"line 2", "quote that is not closed"});
  refuse("1,\"2\"x,3\n", {"line 1", "behind a closing quote"});
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
  write(folder / "train.csv", "1,10,0.5\n2,20,2\n");
  expect_error([&] { load("csv", options); }, {"train.csv", "'0.5'", "regression"});
  options["csv.task"] = "regression";
  EXPECT_TRUE(
      load("csv", options).train.targets.equal(at::tensor({0.5, 2.0}, at::kDouble).view({2, 1})));
  options["csv.shape"] = "1x1x2";
  EXPECT_EQ(load("csv", options).train.sample_shape(), (std::vector<int64_t>{1, 1, 2}));
  options["csv.shape"] = "3x2";
  expect_error([&] { load("csv", options); }, {"csv.shape", "6 values", "2 features"});
  options["csv.shape"] = "2xx";
  expect_error([&] { load("csv", options); }, {"csv.shape", "1x28x28"});
  std::string image;
  for (int i = 0; i < 192; ++i) image += "7,";
  write(folder / "train.csv", image + "0\n" + image + "1\n");
  options["csv.shape"] = "8x8x3";  // height x width x channels
  expect_error([&] { load("csv", options); }, {"csv.shape", "8 channels of 8x3", "3x8x8"});
  options["csv.shape"] = "3x8x8";
  EXPECT_EQ(load("csv", options).train.channels(), 3);
  expect_error([&] { load("csv", {}); }, {"csv.train"});
}

TEST(Csv, MissingTargetsAreNoClass) {
  TempFolder folder;
  const OptionValues options{{"csv.train", folder / "t.csv"}};
  auto load_text = [&](const std::string& content, OptionValues more = {}) {
    write(folder / "t.csv", content);
    more.insert(options.begin(), options.end());
    return load("csv", more);
  };
  for (const char* word : {"", "NA", "na", "N/A", "n/a", "nan", "NaN", "-nan", "null", "NULL",
                           "None", "<NA>", "#N/A", "?", "\"\"", "\"NA\"", "  "})
    for (const char* task : {"classification", "regression"})
      for (const char* others : {"0", "cat"}) {
        if (std::string(others) == "cat" && std::string(task) == "regression") continue;
        const std::string table =
            std::string("a,b,y\n0,0,") + others + "\n1,1," + word + "\n0,1," + others + "\n";
        const std::string message = error_of([&] { load_text(table, {{"csv.task", task}}); });
        for (const char* part : {"t.csv' line 3 has no target", "column 2 ('y')"})
          EXPECT_NE(message.find(part), std::string::npos) << word << ": " << message;
        EXPECT_EQ(message.find("regression"), std::string::npos) << message;
      }
  // Where the words are classes, the field that is empty still is none.
  const Splits words = load_text("a,b,y\n0,0,NA\n1,1,DE\n0,1,None\n", {{"csv.missing", "empty"}});
  EXPECT_EQ(words.train.class_names, (std::vector<std::string>{"DE", "NA", "None"}));
  expect_error(
      [&] {
        load_text("a,b,y\n0,0,NA\n1,1,\n", {{"csv.missing", "empty"}});
      },
      {"line 3 has no target"});
  // Signs are classes (as in UCI's credit approval).
  EXPECT_EQ(load_text("0,0,-\n1,1,+\n").train.class_names, (std::vector<std::string>{"+", "-"}));
  expect_error([&] { load_text("0,0,1\n1,1,inf\n"); }, {"line 2", "'inf'", "not a finite number"});
}

TEST(Csv, ColumnsAreLeftOutByNameOrNumber) {
  TempFolder folder;
  auto load_text = [&](const std::string& content, const std::string& columns) {
    return load("csv", {{"csv.train", write(folder / "t.csv", content)},
                        {"csv.leave-out", columns},
                        {"normalise", "none"}});
  };
  const std::string table = "id,a,when,b,y\nx1,1,2020-01-01,2,0\nx2,3,2020-01-02,4,1\n";
  for (const char* columns : {"id,when", "0,2", "when,0"})
    EXPECT_TRUE(load_text(table, columns)
                    .train.inputs.equal(at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({2, 2})))
        << columns;
  const Splits plain = load_text("Tom,1,2,0\nAnn,3,4,1\n", "0");
  EXPECT_EQ(plain.train.size(), 2);
  // The target is the last of the columns that stay.
  EXPECT_TRUE(load_text("1,2,0,x\n3,4,1,y\n", "3").train.targets.equal(at::arange(2)));
  expect_error([&] { load_text(table, "idd"); }, {"t.csv", "no column 'idd'", "csv.leave-out"});
  expect_error([&] { load_text(table, "9"); }, {"columns 0 to 4", "column 9"});
  expect_error([&] { load_text("1,2\n3,4\n", "0"); }, {"no feature column"});
  expect_error([&] { load_text("Tom,1,2,0\nAnn,3,4,1\n", ""); },
               {"line 1", "'Tom' in column 0", "csv.leave-out"});
}

TEST(Csv, TestColumnsAreFoundByTheirNames) {
  TempFolder folder;
  write(folder / "train.csv", "a,b,y\n1,2,0\n3,4,1\n");
  OptionValues options{{"csv.train", folder / "train.csv"},
                       {"csv.test", folder / "test.csv"},
                       {"normalise", "none"}};
  auto test = [&](const std::string& content) {
    write(folder / "test.csv", content);
    return load("csv", options).test;
  };
  const Tensor expected = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({2, 2});
  for (const char* content :
       {"a,b,y\n1,2,0\n3,4,1\n", "y,b,a\n0,2,1\n1,4,3\n", "b;a;y\n2;1;0\n4;3;1\n",
        "1,2,0\n3,4,1\n"}) {  // the last has no names: by place
    const Dataset data = test(content);
    EXPECT_TRUE(data.inputs.equal(expected)) << content;
    EXPECT_TRUE(data.targets.equal(at::arange(2))) << content;
  }
  auto refuse = [&](const std::string& content, std::initializer_list<std::string> parts) {
    expect_error([&] { test(content); }, parts);
  };
  refuse("a,c,y\n1,2,0\n", {"test.csv' line 1", "no column 'b'"});
  refuse("a,b,c,y\n1,2,3,0\n", {"test.csv' line 1", "column 'c'", "csv.leave-out"});
  refuse("a,b,a,y\n1,2,3,0\n", {"'a'", "occur twice"});
  refuse("1,2,3,0\n", {"test.csv' line 1", "4 fields", "3 columns"});
  options["csv.leave-out"] = "c";
  write(folder / "train.csv", "c,a,b,y\nx,1,2,0\ny,3,4,1\n");
  EXPECT_TRUE(test("y,b,a\n0,2,1\n1,4,3\n").inputs.equal(expected)) << "an id need not be there";
  options["csv.leave-out"] = "0";
  EXPECT_TRUE(test("y,c,b,a\n0,z,2,1\n1,z,4,3\n").inputs.equal(expected));
  options["csv.target"] = "y";
  EXPECT_TRUE(test("y,c,b,a\n0,z,2,1\n1,z,4,3\n").inputs.equal(expected));
  options["csv.target"] = "1";  // by number in the training file is by name in the other
  write(folder / "train.csv", "a,y,b\n1,0,2\n3,1,4\n");
  options.erase("csv.leave-out");
  EXPECT_TRUE(test("y,b,a\n0,2,1\n1,4,3\n").targets.equal(at::arange(2)));
}

TEST(Csv, WideTablesAreRead) {
  TempFolder folder;
  constexpr int64_t kColumns = 1000000;
  std::string line;
  for (int64_t i = 0; i < kColumns; ++i) line += std::to_string(i % 10) + ",";
  const CsvTable table = read_csv(write(folder / "wide.csv", line + "0\n" + line + "1\n"), {});
  EXPECT_EQ(table.features.sizes().vec(), (std::vector<int64_t>{2, kColumns}));
  EXPECT_EQ(table.features[1][kColumns - 1].item<double>(), 9);
  const std::string message =
      error_of([&] { read_csv(write(folder / "wide.csv", line + "0\n" + line + "\n"), {}); });
  EXPECT_NE(message.find("line 2 has no target in column 1000000"), std::string::npos) << message;
}

TEST(Csv, DecimalCommasAreNamedAndRead) {
  TempFolder folder;
  auto load_text = [&](const std::string& content, OptionValues more = {}) {
    more.insert({{"csv.train", write(folder / "t.csv", content)}, {"normalise", "none"}});
    return load("csv", more);
  };
  const Tensor expected = at::tensor({1.5, -2.0, 3.25, 40.0}, at::kDouble).view({2, 2});
  for (const char* table :
       {"1,5;-2,0;0\n3,25;4e1;1\n", "1,5\t-2\t0\n3,25\t40,0\t1\n", "1,5 -2 0\n3,25 40 1\n"}) {
    expect_error([&] { load_text(table); }, {"line 1", "'1,5' in column 0", "csv.decimal"});
    EXPECT_TRUE(load_text(table, {{"csv.decimal", "comma"}}).train.inputs.equal(expected)) << table;
  }
  expect_error([&] { load_text("1;2;0,5\n3;4;1\n"); }, {"line 1", "'0,5'", "csv.decimal"});
  expect_error([&] { load_text("1,2,\"1,000\"\n3,4,5\n"); }, {"'1,000'", "thousands"});
  expect_error(
      [&] {
        load_text("1.5;2;0\n2,5;3;1\n", {{"csv.decimal", "comma"}});
      },
      {"line 1", "'1.5' in column 0", "comma"});
  const Splits numbers =
      load_text("1;2;0,5\n3;4;1\n", {{"csv.decimal", "comma"}, {"csv.task", "regression"}});
  EXPECT_EQ(numbers.train.targets[0][0].item<double>(), 0.5);
  expect_error(
      [&] {
        load_text("1,2\n", {{"csv.decimal", "comma"}, {"csv.separator", "comma"}});
      },
      {"csv.decimal", "csv.separator"});
}

}  // namespace
}  // namespace altprop::data::testing
