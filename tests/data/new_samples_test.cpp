// Files that a trained network is applied to: read as the training data were, or refused.
#include "altprop/data/new_samples.h"

#include <gtest/gtest.h>

#include <cstring>

#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

class NewTable : public ::testing::Test {
 protected:
  explicit NewTable(const std::string& train = "w,h,kind\n1,10,dog\n2,20,cat\n3,60,ant\n",
                    OptionValues more = {})
      : options(std::move(more)) {
    options.insert({{"csv.train", write(folder / "train.csv", train)}});
  }
  NewSamples read(const std::string& table, NewFiles files = {}) {
    files.inputs = write(folder / "new.csv", table);
    Request request("csv");
    request.options().set_all(options);
    return request.load_new(files, request.load().train);
  }
  void refuse(const std::string& table, std::initializer_list<std::string> parts,
              const NewFiles& files = {}) {
    const std::string message = error_of([&] { read(table, files); });
    EXPECT_LT(message.size(), 700u) << message;
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' in: " << message;
  }
  static Tensor rows(std::initializer_list<double> values) {
    return at::tensor(std::vector<double>(values), at::kDouble).view({-1, 2});
  }
  TempFolder folder;
  OptionValues options;
};

TEST_F(NewTable, IsNormalisedAndNumberedAsInTraining) {
  const NewSamples found = read("w,h,kind\n5,7,cat\n6,8,ant\n");
  EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8})));
  EXPECT_TRUE(found.data.targets.equal(at::tensor({1, 0}, at::kLong)));
  EXPECT_EQ(found.data.class_names, (std::vector<std::string>{"ant", "cat", "dog"}));
  EXPECT_EQ(found.data.classes, 3);
  EXPECT_DOUBLE_EQ(found.data.mean.at(0), 2) << "of the training samples, not of these";
  EXPECT_DOUBLE_EQ(found.data.mean.at(1), 30);
  EXPECT_TRUE(found.ids.empty());
}

TEST_F(NewTable, NeedsNoTarget) {
  for (const char* table : {"w,h\n5,7\n6,8\n", "h,w\n7,5\n8,6\n", "5,7\n6,8\n"}) {
    const NewSamples found = read(table);
    EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8}))) << table;
    EXPECT_FALSE(found.data.labelled()) << table;
    EXPECT_EQ(found.data.classes, 3);
  }
}

TEST_F(NewTable, ColumnsAreFoundByNameBesideOthersThatAreLeftOut) {
  for (const char* table : {"kind,h,w\ncat,7,5\nant,8,6\n", "h,kind,w\n7,cat,5\n8,ant,6\n"}) {
    const NewSamples found = read(table);
    EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8}))) << table;
    EXPECT_TRUE(found.data.targets.equal(at::tensor({1, 0}, at::kLong))) << table;
  }
  const std::string wide = "name,w,h,note\nrex,5,7,x\n\"a, b\",6,8,\n";
  NewSamples found = read(wide, {.leave_out = {"note", "name"}});
  EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8})));
  EXPECT_TRUE(found.ids.empty());
  found = read(wide, {.leave_out = {"note"}, .id = "name"});
  EXPECT_EQ(found.ids, (std::vector<std::string>{"rex", "a, b"}));
  EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8})));
  refuse(wide, {"new.csv", "line 1", "'name', 'note'", "option leave-out"});
  // A feature may be what samples are called by, and the target may be left out.
  found = read("w,h,kind\n5,7,wolf\n6,8,\n", {.leave_out = {"kind"}, .id = "w"});
  EXPECT_EQ(found.ids, (std::vector<std::string>{"5", "6"}));
  EXPECT_FALSE(found.data.labelled());
}

TEST_F(NewTable, RefusesWhatTheNetworkCannotBeGiven) {
  refuse("w,h,kind\n5,7,cat\n6,8,wolf\n", {"new.csv", "line 3", "'wolf'", "does not have"});
  refuse("w,kind\n5,cat\n", {"new.csv", "line 1", "no column 'h'"});
  refuse("w\n5\n", {"new.csv", "no column 'h'"});
  refuse("", {"new.csv", "no samples"});
  refuse("w,h\n", {"new.csv", "no samples"});
  refuse("w,h\n5,\n", {"new.csv", "line 2", "column 1 ('h')", "missing"});
  refuse("w,h\n5,x\n", {"new.csv", "line 2", "'x' in column 1 ('h')"});
  refuse("w,h,kind\n5,7,\n", {"line 2", "no target", "leave the column out"});
  refuse("1,2,3,4\n", {"new.csv", "4 fields", "3 columns"});
  refuse("5\n", {"new.csv", "1 fields", "3 columns"});
  refuse("w,h\n5,7\n", {"'leave-out'", "'h'", "feature"}, {.leave_out = {"h"}});
  refuse("w,h\n5,7\n", {"'leave-out'", "'x'", "none of that name"}, {.leave_out = {"x"}});
  refuse("5,7\n", {"'leave-out'", "'x'", "no header"}, {.leave_out = {"x"}});
  refuse("w,h\n5,7\n", {"line 1", "no column 'x'", "name the samples"}, {.id = "x"});
  refuse("5,7\n", {"line 1", "no header", "'x'"}, {.id = "x"});
  refuse("w,h\n5,7\n", {"targets of a table", "'y.npy'"}, {.targets = "y.npy"});
}

struct NewTableWithIds : NewTable {
  NewTableWithIds()
      : NewTable("id,w,kind,h\n7,1,dog,10\n8,2,cat,20\n9,3,ant,60\n",
                 {{"csv.leave-out", "id"}, {"csv.target", "kind"}}) {}
};

TEST_F(NewTableWithIds, WithoutAHeaderWhatIsMissingMustBeKnown) {
  EXPECT_TRUE(read("1,5,cat,7\n2,6,ant,8\n").data.inputs.equal(rows({5, 7, 6, 8})));
  for (const char* table : {"w,h\n5,7\n6,8\n", "h,w,id\n7,5,1\n8,6,2\n"})
    EXPECT_TRUE(read(table).data.inputs.equal(rows({5, 7, 6, 8}))) << table;
  EXPECT_EQ(read("h,w,id\n7,5,a1\n8,6,a2\n", {.id = "id"}).ids,
            (std::vector<std::string>{"a1", "a2"}));
  // Three numbers a line: is it the id that is missing, or the target?
  refuse("1,5,7\n2,6,8\n", {"new.csv", "3 fields and no header", "not known which one"});
}

struct NewTableTargetFirst : NewTable {
  NewTableTargetFirst() : NewTable("dog,1,10\ncat,2,20\nant,3,60\n", {{"csv.target", "first"}}) {}
};

TEST_F(NewTableTargetFirst, FeaturesMoveWhereTheTargetIsMissing) {
  const NewSamples found = read("5,7\n6,8\n");
  EXPECT_TRUE(found.data.inputs.equal(rows({5, 7, 6, 8})));
  EXPECT_FALSE(found.data.labelled());
  EXPECT_TRUE(read("cat,5,7\nant,6,8\n").data.targets.equal(at::tensor({1, 0}, at::kLong)));
}

struct NewTableOfOneFeature : NewTable {
  NewTableOfOneFeature()
      : NewTable("petal width,y\n1,0.5\n2,1.5\n3,2.5\n", {{"csv.task", "regression"}}) {}
};

TEST_F(NewTableOfOneFeature, BlanksInItsNameSeparateNothing) {
  const NewSamples found = read("petal width\n5\n6\n");
  EXPECT_TRUE(found.data.inputs.equal(at::tensor({5.0, 6.0}, at::kDouble).view({2, 1})));
  EXPECT_FALSE(found.data.labelled());
  EXPECT_EQ(found.data.classes, 0);
  EXPECT_TRUE(
      read("y,petal width\n9,5\n").data.targets.equal(at::tensor({9.0}, at::kDouble).view({1, 1})));
  refuse("petal width,y\n5,much\n", {"line 2", "'much'", "not a finite number"});
}

template <class T>
std::string npy_of(const std::string& descr, const std::string& shape,
                   const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  const std::string header =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return "\x93NUMPY\1" + std::string(1, '\0') + static_cast<char>(header.size()) + '\0' + header +
         bytes;
}

class NewArray : public ::testing::Test {
 protected:
  NewSamples read(const std::string& source, const OptionValues& options, const std::string& x,
                  const std::string& y = "") {
    NewFiles files{.inputs = write(folder / "new-x", x)};
    if (!y.empty()) files.targets = write(folder / "new-y", y);
    Request request(source);
    request.options().set_all(options);
    return request.load_new(files, request.load().train);
  }
  OptionValues arrays(const std::string& x, const std::string& y) {
    return {{"npy.train-x", write(folder / "x.npy", x)},
            {"npy.train-y", write(folder / "y.npy", y)}};
  }
  TempFolder folder;
  const std::string floats = npy_of<float>("<f4", "(3, 2)", {1, 10, 2, 20, 3, 60}),
                    labels = npy_of<int64_t>("<i8", "(3,)", {100, 7, 100});
  const OptionValues glyphs{{"glyphs.train", "50"}, {"glyphs.test", "0"}};
};

TEST_F(NewArray, IsNormalisedAndNumberedAsInTraining) {
  const OptionValues options = arrays(floats, labels);
  const std::string x = npy_of<double>("<f8", "(2, 2)", {5, 7, 6, 8});
  NewSamples found = read("npy", options, x);
  EXPECT_TRUE(found.data.inputs.equal(at::tensor({5.0, 7.0, 6.0, 8.0}, at::kDouble).view({2, 2})));
  EXPECT_FALSE(found.data.labelled());
  EXPECT_DOUBLE_EQ(found.data.mean.at(1), 30);
  found = read("npy", options, x, npy_of<int32_t>("<i4", "(2,)", {100, 7}));
  EXPECT_TRUE(found.data.targets.equal(at::tensor({1, 0}, at::kLong)));
  EXPECT_EQ(found.data.class_names, (std::vector<std::string>{"7", "100"}));
  expect_error(
      [&] {
        read("npy", options, x, npy_of<int32_t>("<i4", "(2,)", {100, 8}));
      },
      {"new-y", "label 8 at sample 1", "does not have"});
  expect_error(
      [&] {
        read("npy", options, x, npy_of<double>("<f8", "(2,)", {100, 7.5}));
      },
      {"new-y", "no whole numbers"});
  expect_error([&] { read("npy", options, x, npy_of<int32_t>("<i4", "(1,)", {100})); },
               {"2 inputs, but 1 targets"});
  expect_error(
      [&] {
        read("npy", options, npy_of<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6}));
      },
      {"new-x", "shape [2]", "shape [3]"});
  expect_error(
      [&] {
        read("npy", options, npy_of<uint8_t>("|u1", "(1, 2)", {1, 2}));
      },
      {"new-x", "bytes (uint8)", "one type"});
  expect_error([&] { read("npy", options, npy_of<float>("<f4", "(0, 2)", {})); },
               {"new-x", "no samples"});
  expect_error(
      [&] {
        read("npy", options, npy_of<float>("<f4", "(1, 2)", {1, NAN}));
      },
      {"new-x", "not finite"});
  expect_error([&] { read("npy", options, "w,h\n1,2\n"); }, {"new-x", "no NPY file"});
}

TEST_F(NewArray, RegressionTakesNumbersOfTheSameWidth) {
  const OptionValues options = arrays(floats, npy_of<float>("<f4", "(3,)", {0.5f, 1, 2}));
  const std::string x = npy_of<float>("<f4", "(2, 2)", {5, 7, 6, 8});
  EXPECT_TRUE(read("npy", options, x, npy_of<int64_t>("<i8", "(2,)", {3, 4}))
                  .data.targets.to(at::kDouble)
                  .equal(at::tensor({3.0, 4.0}, at::kDouble).view({2, 1})));
  expect_error(
      [&] {
        read("npy", options, x, npy_of<float>("<f4", "(2, 2)", {1, 2, 3, 4}));
      },
      {"new-y", "[2, 2]", "1 number"});
}

TEST_F(NewArray, ImagesOfAnySourceAreGivenAsArraysOrIdx) {
  std::vector<uint8_t> pixels(2 * 784);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7);
  const Tensor expected = at::tensor(pixels, at::kByte).view({2, 1, 28, 28});
  const std::string bytes(pixels.begin(), pixels.end());
  const std::string idx = be32({2051, 2, 28, 28}) + bytes;
  for (const std::string& x : {npy_of("|u1", "(2, 1, 28, 28)", pixels), idx, gzipped(idx)}) {
    const NewSamples found = read("glyphs", glyphs, x, be32({2049, 2}) + "\3\7");
    EXPECT_TRUE(found.data.inputs.equal(expected));
    EXPECT_TRUE(found.data.targets.equal(at::tensor({3, 7}, at::kLong)));
    EXPECT_EQ(found.data.scale, 1.0 / 255);
    EXPECT_EQ(found.data.class_names.size(), 10u);
  }
  OptionValues padded = glyphs;
  padded["image-size"] = "32";
  EXPECT_EQ(read("glyphs", padded, idx).data.sample_shape(), (std::vector<int64_t>{1, 32, 32}));
  expect_error(
      [&] {
        read("glyphs", glyphs, idx, be32({2049, 2}) + "\3\12");
      },
      {"new-y", "label 10 at sample 1", "classes 0 to 9"});
  expect_error(
      [&] {
        read("glyphs", glyphs, idx, npy_of<int64_t>("<i8", "(2,)", {-1, 2}));
      },
      {"new-y", "label -1 at sample 0", "classes 0 to 9"});
  expect_error(
      [&] {
        read("glyphs", glyphs,
             npy_of<float>("<f4", "(1, 1, 28, 28)", std::vector<float>(784, 0.5f)));
      },
      {"new-x", "other numbers than bytes", "bytes (uint8)"});
  expect_error([&] { read("glyphs", glyphs, be32({2051, 2, 28, 28})); }, {"new-x", "ends inside"});
  expect_error([&] { read("glyphs", glyphs, "GIF89a..."); }, {"new-x", "NumPy", "IDX"});
  expect_error([&] { read("glyphs", glyphs, ""); }, {"new-x", "is empty"});
  EXPECT_THROW(read_new_arrays({.inputs = folder / "new-x", .id = "name"}, Dataset()), UsageError);
  EXPECT_THROW(read_new_arrays({.inputs = folder / "new-x", .leave_out = {"name"}}, Dataset()),
               UsageError);
}

TEST_F(NewArray, SequencesAreRefused) {
  const std::string path = write(folder / "text", "to be or not to be, that is the question. ");
  expect_error(
      [&] {
        read("text",
             {{"text.file", path},
              {"text.length", "5"},
              {"text.test", "0"},
              {"text.validation", "0"}},
             "to be");
      },
      {"sequences", "--data"});
}

}  // namespace
}  // namespace altprop::data::testing
