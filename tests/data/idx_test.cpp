#include "altprop/data/read/idx.h"

#include <gtest/gtest.h>

#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

std::string images(uint32_t n, uint32_t rows, uint32_t columns) {
  std::string out = be32({2051, n, rows, columns});
  for (uint32_t i = 0; i < n * rows * columns; ++i) out += static_cast<char>(i * 7);
  return out;
}

std::string labels(const std::string& values) {
  return be32({2049, static_cast<uint32_t>(values.size())}) + values;
}

TEST(Idx, ReadsPlainAndCompressedFiles) {
  TempFolder folder;
  const Tensor plain = read_idx_images(write(folder / "plain", images(3, 4, 5)));
  EXPECT_EQ(plain.sizes().vec(), (std::vector<int64_t>{3, 1, 4, 5}));
  EXPECT_EQ(plain.scalar_type(), at::kByte);
  EXPECT_EQ(plain[2][0][1][3].item<int64_t>(), (2 * 20 + 1 * 5 + 3) * 7 % 256);
  EXPECT_TRUE(plain.equal(read_idx_images(write(folder / "packed.gz", gzipped(images(3, 4, 5))))));
  const Tensor y = read_idx_labels(write(folder / "labels", labels({'\3', '\0', '\2'})), 4);
  EXPECT_TRUE(y.equal(at::tensor({3, 0, 2}, at::kLong)));
}

TEST(Idx, RefusesDamagedImagesNamingTheFile) {
  TempFolder folder;
  const std::string good = images(3, 4, 5), path = folder / "damaged.gz";
  auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> parts) {
    write(path, bytes);
    expect_error([&] { read_idx_images(path); }, {path});
    expect_error([&] { read_idx_images(path); }, parts);
  };
  refuse("", {"ends inside its header"});
  refuse(good.substr(0, 10),
         {"ends inside its header", "16 bytes should be there, but only 10 are"});
  refuse(good.substr(0, good.size() - 1), {"ends inside its pixels", "60 bytes", "59"});
  refuse(good + "x", {"goes on after the last sample"});
  refuse(labels("\1\2\3\4\5\6\7\1\2\3"), {"begins with the number 2049 instead of 2051"});
  refuse("<html><body>404 not found</body></html>", {"is no IDX file of images"});
  refuse(be32({2051, 0, 4, 5}), {"no values at all"});
  refuse(be32({2051, 1, 0xffffffff, 0xffffffff}), {"announces images of 4294967295x4294967295"});
  refuse(be32({2051, 0xffffffff, 16384, 16384}), {"ends inside its pixels"});
  const std::string packed = gzipped(good);
  refuse(packed.substr(0, packed.size() - 9), {"truncated"});
  refuse(packed.substr(0, packed.size() - 4), {"truncated"});
  refuse(packed.substr(0, 12), {"truncated"});
  std::string flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // the CRC
  refuse(flipped, {"damaged"});
  expect_error([&] { read_idx_images(folder / "missing"); }, {folder / "missing", "No such file"});
  expect_error([&] { read_idx_images(folder.path()); }, {folder.path(), "is a folder"});
}

TEST(Idx, RefusesDamagedLabels) {
  TempFolder folder;
  const std::string path = folder / "labels";
  write(path, labels({'\3', '\12', '\2'}));
  expect_error([&] { read_idx_labels(path, 10); }, {path, "label 10 at sample 1", "10 classes"});
  write(path, labels("\1\2").substr(0, 9));
  expect_error([&] { read_idx_labels(path, 10); }, {path, "ends inside its labels"});
  write(path, labels("\1\2") + "\3");
  expect_error([&] { read_idx_labels(path, 10); }, {path, "goes on"});
  write(path, images(1, 1, 1));
  expect_error([&] { read_idx_labels(path, 10); }, {path, "2051 instead of 2049"});
}

TEST(Idx, SourceChecksThatFilesBelongTogether) {
  TempFolder folder;
  auto put = [&](const std::string& name, const std::string& bytes) {
    write(folder / ("mnist/" + name), bytes);
  };
  const OptionValues here{{"data-dir", folder.path()}};
  expect_error([&] { load("mnist", here); }, {folder / "mnist/train-images-idx3-ubyte",
                                              "altprop data get mnist", "ALTPROP_DATA"});
  put("train-images-idx3-ubyte.gz", gzipped(images(3, 4, 5)));
  put("train-labels-idx1-ubyte.gz", gzipped(labels("\1\2")));
  put("t10k-images-idx3-ubyte", images(2, 4, 5));
  put("t10k-labels-idx1-ubyte", labels("\1\2"));
  expect_error([&] { load("mnist", here); }, {"train-images-idx3-ubyte.gz' has 3 images",
                                              "train-labels-idx1-ubyte.gz' has 2 labels"});
  put("train-labels-idx1-ubyte.gz", gzipped(labels("\1\2\3")));
  const Splits data = load("mnist", here);
  EXPECT_EQ(data.train.size(), 3);
  EXPECT_EQ(data.test.size(), 2);
  EXPECT_EQ(data.train.mean, std::vector<double>{0.1307});
  put("t10k-images-idx3-ubyte", images(2, 5, 5));
  expect_error([&] { load("mnist", here); }, {"mnist", "[1, 4, 5]", "[1, 5, 5]"});
}

TEST(Idx, NamesMayHaveADotInFrontOfIdx) {
  TempFolder folder;
  write(folder / "mnist/train-images.idx3-ubyte", images(2, 4, 5));
  write(folder / "mnist/train-labels.idx1-ubyte.gz", gzipped(labels("\1\2")));
  write(folder / "mnist/t10k-images-idx3-ubyte", images(2, 4, 5));
  write(folder / "mnist/t10k-labels.idx1-ubyte", labels("\1\2"));
  EXPECT_EQ(load("mnist", {{"data-dir", folder.path()}}).train.size(), 2);
}

TEST(Idx, SourceReadsAnyNumberOfClasses) {
  TempFolder folder;
  const auto of = [&](const std::string& train, const std::string& test, OptionValues more = {}) {
    const auto n = [](const std::string& values) { return static_cast<uint32_t>(values.size()); };
    write(folder / "x", images(n(train), 4, 5));
    write(folder / "y.gz", gzipped(labels(train)));
    write(folder / "tx", images(n(test), 4, 5));
    write(folder / "ty", labels(test));
    more.insert({{"data-dir", folder.path()},
                 {"idx.train-images", "x"},
                 {"idx.train-labels", "y.gz"},
                 {"idx.test-images", "tx"},
                 {"idx.test-labels", "ty"}});
    return load("idx", more);
  };
  std::string letters, balanced;
  for (char c = 1; c <= 26; ++c) letters += c;
  for (char c = 46; c >= 0; --c) balanced += c;
  const Splits data = of(letters, "\32\1");
  EXPECT_EQ(data.train.classes, 26);
  EXPECT_EQ(data.train.class_names.front(), "1");
  EXPECT_EQ(data.train.class_names.back(), "26");
  EXPECT_TRUE(data.test.targets.equal(at::tensor({25, 0}, at::kLong)));
  EXPECT_NE(data.train.mean, std::vector<double>{0.1307}) << "not the constants of MNIST";
  EXPECT_EQ(of(balanced, "\1").train.classes, 47);
  EXPECT_TRUE(of(balanced, "\1").train.class_names.empty());
  EXPECT_EQ(of("\1\2", "\3", {{"idx.classes", "62"}}).test.classes, 62);
  expect_error([&] { of("\1\2", "\3"); }, {"ty", "label 3 at sample 0", "does not have"});
  expect_error(
      [&] {
        of("\1\2\4", "\1", {{"idx.classes", "2"}});
      },
      {"y.gz", "label 2 at sample 1", "idx.classes"});
  expect_error([] { load("idx", {}); }, {"idx.train-images"});
  expect_error(
      [] {
        load("idx",
             {{"idx.train-images", "a"}, {"idx.train-labels", "b"}, {"idx.test-images", "c"}});
      },
      {"idx.test-labels"});
  // The sets that are known have ten classes, and say where others are read.
  expect_error([&] { read_idx_labels(folder / "ty", 1); }, {"'idx'"});
}

}  // namespace
}  // namespace altprop::data::testing
