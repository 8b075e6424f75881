// What labels mean as classes, in tables, arrays and tensors.
#include "altprop/data/labels.h"

#include <gtest/gtest.h>

#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

using Names = std::vector<std::string>;

/// A table of two features with these targets.
std::string table(const Names& targets) {
  std::string out;
  for (size_t i = 0; i < targets.size(); ++i)
    out += std::to_string(i) + ",1.5," + targets[i] + "\n";
  return out;
}

class LabelsInTables : public ::testing::Test {
 protected:
  Splits read(const Names& train, const Names& test = {}, int64_t classes = 0) {
    write(folder / "train.csv", table(train));
    OptionValues options{{"csv.train", folder / "train.csv"},
                         {"csv.classes", std::to_string(classes)},
                         {"csv.header", "no"}};
    if (!test.empty()) options["csv.test"] = write(folder / "test.csv", table(test));
    return load("csv", options);
  }
  TempFolder folder;
};

Tensor ids(std::initializer_list<int64_t> values) {
  return at::tensor(std::vector<int64_t>(values), at::kLong);
}

TEST_F(LabelsInTables, IdsAndNumbersWithGaps) {
  const struct {
    Names texts;
    Tensor ids;
    int64_t classes;
    Names names;
  } cases[] = {
      {{"0", "1", "2"}, ids({0, 1, 2}), 3, {}},
      {{"0.0", "1.0"}, ids({0, 1}), 2, {}},  // as np.savetxt writes
      {{"1.000000000000000000e+00", "0.000000000000000000e+00"}, ids({1, 0}), 2, {}},
      {{"1", "1.0", "0"}, ids({1, 1, 0}), 2, {}},
      {{"-0", "+1"}, ids({0, 1}), 2, {}},
      {{"1", "2"}, ids({0, 1}), 2, {"1", "2"}},
      {{"2.0", "1.0"}, ids({1, 0}), 2, {"1", "2"}},
      {{"30000", "100", "2000"}, ids({2, 0, 1}), 3, {"100", "2000", "30000"}},
      {{"10", "9", "0"}, ids({2, 1, 0}), 3, {"0", "9", "10"}},  // in the order of numbers
      {{"-1", "1"}, ids({0, 1}), 2, {"-1", "1"}},
      {{"b", "a", "10"}, ids({2, 1, 0}), 3, {"10", "a", "b"}},
      {{"007", "012"}, ids({0, 1}), 2, {"007", "012"}},
      {{"12345678901234567890", "12345678901234567891"},
       ids({0, 1}),
       2,
       {"12345678901234567890", "12345678901234567891"}},
  };
  for (const auto& c : cases) {
    const Splits data = read(c.texts);
    EXPECT_TRUE(data.train.targets.equal(c.ids)) << c.texts[0];
    EXPECT_EQ(data.train.classes, c.classes) << c.texts[0];
    EXPECT_EQ(data.train.class_names, c.names) << c.texts[0];
  }
}

TEST_F(LabelsInTables, SpellingsOfOneNumberAreRefusedNamingBoth) {
  for (const Names& texts : {Names{"007", "07"}, Names{"007", "7"}, Names{"1", "1.0", "cat"}})
    expect_error([&] { read(texts); },
                 {"train.csv' line", "'" + texts[0] + "'", "'" + texts[1] + "'", "two spellings"});
}

TEST_F(LabelsInTables, TheTestPartMeansTheSame) {
  const Splits data = read({"100", "2000", "30000"}, {"2000.0", "100"});
  EXPECT_TRUE(data.test.targets.equal(ids({1, 0})));
  EXPECT_EQ(data.test.class_names, data.train.class_names);
  EXPECT_TRUE(read({"0", "1", "2"}, {"2"}).test.targets.equal(ids({2})));
  expect_error(
      [&] {
        read({"1", "2"}, {"1", "3"});
      },
      {"test.csv' line 2", "'3'", "the training file does not have"});
  expect_error([&] { read({"0", "1"}, {"2"}); }, {"test.csv' line 1", "'2'", "classes 0 to 1"});
  expect_error([&] { read({"007", "008"}, {"7"}); }, {"test.csv' line 1", "'7'"});
  expect_error([&] { read({"0", "1"}, {"cat"}); }, {"test.csv' line 1", "'cat'"});
}

TEST_F(LabelsInTables, TheNumberOfClassesCanBeGiven) {
  EXPECT_EQ(read({"0", "2"}, {"4"}, 5).train.classes, 5);
  EXPECT_TRUE(read({"0", "2"}, {"4"}, 5).test.targets.equal(ids({4})));
  EXPECT_EQ(read({"1", "2"}, {}, 2).train.class_names, (Names{"1", "2"}));
  expect_error(
      [&] {
        read({"0", "3", "1"}, {}, 2);
      },
      {"line 2", "'3'", "csv.classes", "0 to 1", "3 different labels"});
  expect_error([&] { read({"0", "1", "2"}, {}, 2); }, {"line 3", "'2'", "csv.classes"});
  expect_error([&] { read({"a", "b", "c"}, {}, 2); }, {"csv.classes", "3 different class names"});
}

TEST_F(LabelsInTables, WhatIsDifferentNearlyEverywhereIsNoClass) {
  Names prices, names;
  for (int i = 0; i < 150; ++i) {
    prices.push_back(std::to_string(100 + 7 * i));
    names.push_back("n" + std::to_string(i));
  }
  expect_error([&] { read(prices); }, {"150 different ones in 150 samples", "regression"});
  expect_error([&] { read(names); }, {"150 different ones in 150 samples", "csv.classes"});
  EXPECT_EQ(read(prices, {}, 150).train.classes, 150);
  EXPECT_EQ(read(names, {}, 150).train.classes, 150);
  Names twice = prices;
  twice.insert(twice.end(), prices.begin(), prices.end());
  EXPECT_EQ(read(twice).train.classes, 150) << "two samples of each";
}

TEST(LabelsInTensors, AreNumberedByTheTrainingPart) {
  const Tensor x = at::rand({3, 2});
  const Splits data = from_tensors(x, ids({30, 10, 20}), x, ids({20, 20, 10}));
  EXPECT_TRUE(data.train.targets.equal(ids({2, 0, 1})));
  EXPECT_TRUE(data.test.targets.equal(ids({1, 1, 0})));
  EXPECT_EQ(data.test.class_names, (Names{"10", "20", "30"}));
  EXPECT_EQ(from_tensors(x, ids({-1, 1, 1})).train.class_names, (Names{"-1", "1"}));
  EXPECT_EQ(from_tensors(x, ids({0, 1, 2}), {}, {}, 7).train.classes, 7);
  EXPECT_EQ(from_tensors(x, ids({0, 2, 2}), {}, {}, 7).train.classes, 7) << "ids below the number";
  expect_error(
      [&] {
        from_tensors(x, ids({0, 1, 1}), x, ids({0, 1, 2}));
      },
      {"label 2 at sample 2", "classes 0 to 1"});
  expect_error(
      [&] {
        from_tensors(x, ids({10, 20, 30}), x, ids({10, 11, 20}));
      },
      {"label 11 at sample 1", "does not have"});
  expect_error([&] { from_tensors(x, ids({0, -1, 1})); }, {"label -1 at sample 1", "no class"});
  expect_error([&] { from_tensors(x, at::eye(3, at::kLong).narrow(1, 0, 3)); },
               {"one-hot", "[3, 3]", "argmax"});
}

TEST(LabelsInTensors, OneHotRows) {
  EXPECT_TRUE(is_one_hot(at::eye(3)));
  EXPECT_FALSE(is_one_hot(at::ones({3, 3})));
  EXPECT_FALSE(is_one_hot(at::ones({3, 1})));
  EXPECT_FALSE(is_one_hot(at::eye(3) * 2));
  EXPECT_FALSE(is_one_hot(at::zeros({3, 2})));
}

}  // namespace
}  // namespace altprop::data::testing
