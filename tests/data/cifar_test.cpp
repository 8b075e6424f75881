#include "altprop/data/read/cifar.h"

#include <gtest/gtest.h>

#include "altprop/data/read/file.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

std::string record(const std::string& labels, int first) {
  std::string out = labels;
  for (int i = 0; i < 3072; ++i) out += static_cast<char>(first + i / 1024 * 50);
  return out;
}

struct Read {
  Tensor x, y;
  explicit Read(const std::string& path, const CifarLayout& layout)
      : x(at::zeros({layout.records, 3, 32, 32}, at::kByte)),
        y(at::zeros({layout.records}, at::kLong)) {
    read_cifar(path, layout, x, y);
  }
};

TEST(Cifar, ReadsOneAndTwoLabelBytes) {
  TempFolder folder;
  const std::string ten = write(folder / "ten.bin", record("\7", 1) + record("\2", 9));
  const Read a(ten, {1, 0, 10, 2});
  EXPECT_TRUE(a.y.equal(at::tensor({7, 2}, at::kLong)));
  EXPECT_TRUE(a.x[1][2].eq(109).all().item<bool>()) << "planes follow each other: red, green, blue";
  EXPECT_TRUE(a.x[0][0].eq(1).all().item<bool>());
  const std::string hundred = write(folder / "hundred.bin", record("\23\143", 4));
  EXPECT_EQ(Read(hundred, {2, 0, 20, 1}).y.item<int64_t>(), 19);
  EXPECT_EQ(Read(hundred, {2, 1, 100, 1}).y.item<int64_t>(), 99);
  EXPECT_EQ(Read(hundred, {2, 1, 100, 1}).x[0][1][5][5].item<int64_t>(), 54);
}

TEST(Cifar, RefusesDamagedFilesNamingThem) {
  TempFolder folder;
  const std::string path = folder / "batch.bin", good = record("\7", 1) + record("\2", 9);
  auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> parts) {
    write(path, bytes);
    expect_error([&] { Read(path, {1, 0, 10, 2}); }, {path});
    expect_error([&] { Read(path, {1, 0, 10, 2}); }, parts);
  };
  refuse("", {"has 0 bytes", "2 records of 3073 bytes are 6146"});
  refuse(good.substr(0, 3073), {"has 3073 bytes", "truncated"});
  refuse(good.substr(0, 6145), {"has 6145 bytes"});
  refuse(good + "x", {"more than the 6146 bytes"});
  refuse(record("\7", 1) + record("\12", 9), {"label 10 at record 1"});
  expect_error(
      [&] {
        Read(folder / "none.bin", {1, 0, 10, 2});
      },
      {folder / "none.bin", "No such file"});
}

TEST(Cifar, ClassNamesMustFitTheClasses) {
  TempFolder folder;
  const std::string path = write(folder / "names.txt", "cat\n dog \r\n\n");
  EXPECT_EQ(names_in(path, 2), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_TRUE(names_in(folder / "none.txt", 2).empty());
  expect_error([&] { names_in(path, 3); }, {path, "has 2 class names", "3 classes"});
}

}  // namespace
}  // namespace altprop::data::testing
