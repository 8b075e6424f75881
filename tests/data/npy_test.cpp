#include "altprop/data/read/npy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

std::string npy(const std::string& header, const std::string& values, int version = 1) {
  std::string out = "\x93NUMPY" + std::string(1, static_cast<char>(version)) + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    out += static_cast<char>(header.size() >> (8 * i));
  return out + header + values;
}

template <class T>
std::string array(const std::string& descr, const std::string& shape, const std::vector<T>& values,
                  const std::string& fortran = "False", int version = 1) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return npy("{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape +
                 ", }          \n",
             bytes, version);
}

TEST(Npy, ReadsTypesVersionsAndOrders) {
  TempFolder folder;
  auto read = [&](const std::string& bytes) { return read_npy(write(folder / "a.npy", bytes)); };
  const Tensor expected = at::tensor({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}).view({2, 3});
  const std::vector<float> floats{1, 2, 3, 4, 5, 6};
  for (int version : {1, 2, 3})
    EXPECT_TRUE(read(array("<f4", "(2, 3)", floats, "False", version)).equal(expected)) << version;
  const Tensor fortran = read(array<float>("<f4", "(2, 3)", {1, 4, 2, 5, 3, 6}, "True"));
  EXPECT_TRUE(fortran.equal(expected));
  EXPECT_TRUE(fortran.is_contiguous());
  EXPECT_TRUE(read(gzipped(array("<f4", "(2, 3)", floats))).equal(expected));
  EXPECT_TRUE(
      read(array<double>("<f8", "(2,)", {0.1, -2})).equal(at::tensor({0.1, -2.0}, at::kDouble)));
  EXPECT_TRUE(read(array<uint8_t>("|u1", "(2,)", {3, 255})).equal(at::tensor({3, 255}, at::kByte)));
  EXPECT_TRUE(
      read(array<int32_t>("<i4", "(2,)", {-3, 255})).equal(at::tensor({-3, 255}, at::kInt)));
  EXPECT_TRUE(read(array<uint8_t>("|b1", "(2,)", {0, 1}))
                  .equal(at::tensor({0, 1}, at::kLong).to(at::kBool)));
  // Python 2 writes long integers with an L.
  EXPECT_TRUE(read(array("<f4", "(2L, 3L)", floats)).equal(expected));
  EXPECT_TRUE(
      read(array<double>("<f8", "(2L,)", {0.1, -2})).equal(at::tensor({0.1, -2.0}, at::kDouble)));
  EXPECT_TRUE(read(array<int64_t>("<i8", "()", {-3})).equal(at::scalar_tensor(-3, at::kLong)));
}

/// The bytes of each value in the other order.
template <class T>
std::vector<T> swapped(std::vector<T> values) {
  for (T& value : values) {
    auto* bytes = reinterpret_cast<char*>(&value);
    std::reverse(bytes, bytes + sizeof(T));
  }
  return values;
}

template <class T>
void expect_values(const std::string& code, const std::vector<T>& values, at::ScalarType type,
                   const std::vector<double>& numbers) {
  TempFolder folder;
  const std::string shape = text::cat("(", values.size(), ",)");
  const Tensor expected = at::tensor(numbers, at::kDouble).to(type);
  for (const char* order : {"<", "=", ">", "|", ""}) {
    if (sizeof(T) > 1 && std::string(order) == "|") continue;
    const std::string descr = order + code;
    const auto stored = std::string(order) == ">" ? swapped(values) : values;
    const Tensor found = read_npy(write(folder / "a.npy", array(descr, shape, stored)));
    EXPECT_EQ(found.scalar_type(), type) << descr;
    EXPECT_TRUE(found.equal(expected)) << descr << "\n" << found;
    const Tensor turned = read_npy(write(
        folder / "b.npy", array(descr, text::cat("(1, ", values.size(), ")"), stored, "True")));
    EXPECT_TRUE(turned.equal(expected.view({1, -1}))) << descr;
  }
}

TEST(Npy, ReadsEveryTypeInEitherByteOrderExactly) {
  expect_values<uint8_t>("b1", {0, 1, 7}, at::kBool, {0, 1, 1});
  expect_values<uint8_t>("u1", {0, 255}, at::kByte, {0, 255});
  expect_values<int8_t>("i1", {-128, 127}, at::kChar, {-128, 127});
  expect_values<uint16_t>("u2", {0, 1, 0x8000, 65535}, at::kInt, {0, 1, 32768, 65535});
  expect_values<int16_t>("i2", {-32768, 258}, at::kShort, {-32768, 258});
  expect_values<uint32_t>("u4", {3, 0x80000000u, 4294967295u}, at::kLong,
                          {3, 2147483648.0, 4294967295.0});
  expect_values<int32_t>("i4", {-2147483647, 66051}, at::kInt, {-2147483647, 66051});
  expect_values<uint64_t>("u8", {5, uint64_t{1} << 62}, at::kLong, {5, 4611686018427387904.0});
  expect_values<int64_t>("i8", {-1, int64_t{1} << 52}, at::kLong, {-1, 4503599627370496.0});
  // 1, -2, 65504, the smallest one above 0, infinity
  expect_values<uint16_t>("f2", {0x3C00, 0xC000, 0x7BFF, 0x0001, 0x7C00}, at::kFloat,
                          {1, -2, 65504, 5.9604644775390625e-08, HUGE_VAL});
  expect_values<float>("f4", {0.1f, -3e38f}, at::kFloat, {0.1f, -3e38f});
  expect_values<double>("f8", {0.1, -1e300}, at::kDouble, {0.1, -1e300});
}

TEST(Npy, RefusesWhatItCannotReadNamingTheFile) {
  TempFolder folder;
  const std::string path = folder / "bad.npy",
                    good = array<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6});
  auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> parts) {
    write(path, bytes);
    expect_error([&] { read_npy(path); }, {path});
    expect_error([&] { read_npy(path); }, parts);
  };
  refuse("", {"ends inside its header"});
  refuse("PK\3\4 a zip archive", {"is no NPY file"});
  refuse(good.substr(0, 30), {"ends inside its header"});
  refuse(good.substr(0, good.size() - 1), {"ends inside its values", "24 bytes", "23"});
  refuse(good + "x", {"goes on after"});
  refuse(npy("{}", "", 9), {"NPY version 9"});
  refuse("\x93NUMPY\2" + std::string(1, '\0') + "\xff\xff\xff\x7f", {"header of 2147483647 bytes"});
  for (const char* type : {"<c8", "<f3", "|S4", "<U4", "|O", "<M8[ns]", "|V4", "", "<", ">", "f16"})
    refuse(array<float>(type, "(1,)", {1, 1}),
           {text::cat("type '", type, "'"), "bool, u1, u2, u4, u8", "f2", "astype"});
  refuse(array<uint64_t>("<u8", "(2,)", {1, uint64_t{1} << 63}), {"u8", "2^63"});
  refuse(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "xxxx"),
         {"several fields"});
  refuse(array<float>("<f4", "(99999999999, 99999999999)", {1}), {"too large"});
  refuse(array<float>("<f4", "(0, 99999999999, 99999999999)", {1}), {"too large"});
  refuse(array<float>("<f4", "(99999999999999999999,)", {1}), {"no NPY header"});
  refuse(array<float>("<f4", "(4000000000,)", {1}), {"ends inside its values"});
  refuse(array<float>("<f4", "(-1,)", {1}), {"no NPY header"});
  refuse(array<float>("<f4", "(1", {1}), {"no NPY header"});
  refuse(array<float>("<f4", "(1LL,)", {1}), {"no NPY header"});
  refuse(npy("{'descr': '<f4', 'shape': (1,)}", "xxxx"), {"no NPY header"});
  expect_error([&] { read_npy(folder / "none.npy"); }, {folder / "none.npy", "No such file"});
}

TEST(Npy, SourceBuildsClassesAndRegression) {
  TempFolder folder;
  write(folder / "x.npy", array<float>("<f4", "(3, 2)", {1, 2, 3, 4, 5, 6}));
  write(folder / "y.npy", array<int32_t>("<i4", "(3, 1)", {0, 2, 1}));
  write(folder / "t.npy", array<double>("<f8", "(3,)", {0.5, 1, 2}));
  OptionValues options{
      {"data-dir", folder.path()}, {"npy.train-x", "x.npy"}, {"npy.train-y", "y.npy"}};
  Splits data = load("npy", options);
  EXPECT_EQ(data.train.classes, 3);
  EXPECT_TRUE(data.train.targets.equal(at::tensor({0, 2, 1}, at::kLong)));
  EXPECT_TRUE(data.test.empty());
  EXPECT_NEAR(data.train.mean[0], 3, 1e-12);
  EXPECT_NEAR(data.train.stddev[1], std::sqrt(8.0 / 3), 1e-12);
  options["npy.train-y"] = "t.npy";
  data = load("npy", options);
  EXPECT_EQ(data.train.classes, 0);
  EXPECT_EQ(data.train.targets.sizes().vec(), (std::vector<int64_t>{3, 1}));
  options["npy.test-x"] = "x.npy";
  expect_error([&] { load("npy", options); }, {"npy.test-y"});
  expect_error([&] { load("npy", {}); }, {"npy.train-x"});
  options["npy.test-y"] = "y.npy";
  expect_error([&] { load("npy", options); }, {"x.npy", "y.npy"});
  write(folder / "y.npy", array<int32_t>("<i4", "(2,)", {0, 1}));
  options = {{"data-dir", folder.path()}, {"npy.train-x", "x.npy"}, {"npy.train-y", "y.npy"}};
  expect_error([&] { load("npy", options); }, {"x.npy", "y.npy", "3 inputs, but 2 targets"});
}

class NpySource : public ::testing::Test {
 protected:
  Splits read(const std::string& y, OptionValues options = {}) {
    write(folder / "y.npy", y);
    options.insert({{"npy.train-x", folder / "x.npy"}, {"npy.train-y", folder / "y.npy"}});
    return load("npy", options);
  }
  void refuse(const std::string& y, std::initializer_list<std::string> parts,
              const OptionValues& options = {}) {
    expect_error([&] { read(y, options); }, {"y.npy"});
    expect_error([&] { read(y, options); }, parts);
  }
  TempFolder folder;
  std::string x = write(folder / "x.npy", array<float>("<f4", "(3, 2)", {1, 2, 3, 4, 5, 6}));
};

TEST_F(NpySource, LabelsFromOneOrWithGaps) {
  const Splits data = read(array<int64_t>("<i8", "(3,)", {30000, 100, 2000}));
  EXPECT_EQ(data.train.classes, 3);
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"100", "2000", "30000"}));
  EXPECT_TRUE(data.train.targets.equal(at::tensor({2, 0, 1}, at::kLong)));
  EXPECT_EQ(read(array<uint8_t>("|u1", "(3,)", {1, 2, 2})).train.classes, 2);
  write(folder / "t.npy", array<int64_t>("<i8", "(3,)", {100, 100, 7}));
  expect_error(
      [&] {
        read(array<int64_t>("<i8", "(3,)", {30000, 100, 2000}),
             {{"npy.test-x", folder / "x.npy"}, {"npy.test-y", folder / "t.npy"}});
      },
      {"t.npy", "label 7 at sample 2", "does not have"});
  refuse(array<int64_t>("<i8", "(3,)", {0, -1, 1}), {"label -1 at sample 1", "no class"});
}

TEST_F(NpySource, UnsignedAndHalfNumbersAreInputsAndLabels) {
  write(folder / "x.npy", array<uint16_t>(">u2", "(3, 1)", swapped<uint16_t>({0, 40000, 65535})));
  const Splits data = read(array<uint32_t>("<u4", "(3,)", {4000000000u, 7, 7}));
  EXPECT_TRUE(data.train.inputs.equal(at::tensor({0.f, 40000.f, 65535.f}).view({3, 1})));
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"7", "4000000000"}));
  write(folder / "x.npy", array<uint16_t>("<f2", "(3, 1)", {0x3C00, 0xC000, 0x0001}));
  EXPECT_TRUE(
      read(array<uint64_t>("<u8", "(3,)", {0, 1, 1}))
          .train.inputs.equal(at::tensor({1.f, -2.f, 5.9604644775390625e-08f}).view({3, 1})));
  refuse(array<uint64_t>("<u8", "(3,)", {0, 1, ~uint64_t{0}}), {"2^63"});
  write(folder / "x.npy", array<uint64_t>("<u8", "(3, 1)", {0, 1, (uint64_t{1} << 53) + 1}));
  expect_error([&] { read(array<uint64_t>("<u8", "(3,)", {0, 1, 1})); }, {"x.npy", "beyond 2^53"});
}

TEST_F(NpySource, BytesInOnePartAndFloatsInAnotherAreRefused) {
  write(folder / "b.npy", array<uint8_t>("|u1", "(3, 2)", {1, 2, 3, 4, 5, 6}));
  const std::string y = array<uint8_t>("|u1", "(3,)", {0, 1, 1});
  write(folder / "t.npy", y);
  for (const auto& [train, test] : {std::pair{"x.npy", "b.npy"}, {"b.npy", "x.npy"}})
    expect_error(
        [&] {
          read(y, {{"npy.train-x", folder / train},
                   {"npy.test-x", folder / test},
                   {"npy.test-y", folder / "t.npy"}});
        },
        {"bytes (uint8)", "other numbers than bytes", "one type"});
}

TEST_F(NpySource, OneHotAndFloatingLabelsAreNamed) {
  const std::string one_hot = array<double>("<f8", "(3, 2)", {1, 0, 0, 1, 1, 0}),
                    hot_integers = array<int64_t>("<i8", "(3, 2)", {1, 0, 0, 1, 1, 0}),
                    floats = array<double>("<f8", "(3,)", {0, 1, 1}),
                    column = array<float>("<f4", "(3, 1)", {0, 1, 1}),
                    numbers = array<double>("<f8", "(3,)", {0.5, 1, 1});
  refuse(one_hot, {"one-hot", "[3, 2]", "argmax"});
  refuse(hot_integers, {"one-hot", "argmax"});
  const OptionValues classes{{"npy.task", "classification"}},
      regression{{"npy.task", "regression"}};
  refuse(one_hot, {"one-hot", "argmax"}, classes);
  EXPECT_EQ(read(one_hot, regression).train.targets.sizes().vec(), (std::vector<int64_t>{3, 2}));
  for (const std::string& labels : {floats, column}) {
    refuse(labels, {"all whole numbers, from 0 to 1", "npy.task"});
    EXPECT_TRUE(read(labels, classes).train.targets.equal(at::tensor({0, 1, 1}, at::kLong)));
    EXPECT_EQ(read(labels, regression).train.classes, 0);
  }
  refuse(numbers, {"no whole numbers"}, classes);
  EXPECT_EQ(read(numbers).train.classes, 0);
  EXPECT_EQ(
      read(array<int64_t>("<i8", "(3,)", {5, 9, 9}), regression).train.targets.sum().item<double>(),
      23);
}

TEST_F(NpySource, ImagesWithTheirChannelsLastAreNoticed) {
  std::vector<uint8_t> pixels(3 * 8 * 9 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7);
  write(folder / "x.npy", array("|u1", "(3, 8, 9, 3)", pixels));
  const std::string y = array<uint8_t>("|u1", "(3,)", {0, 1, 1});
  expect_error([&] { read(y); },
               {"x.npy", "[3, 8, 9, 3]", "8 channels of 9x3", "npy.layout", "channels-last"});
  const Tensor stored = at::tensor(pixels, at::kByte).view({3, 8, 9, 3});
  const Splits last = read(y, {{"npy.layout", "channels-last"}});
  EXPECT_TRUE(last.train.inputs.equal(stored.permute({0, 3, 1, 2})));
  EXPECT_EQ(last.train.inputs.scalar_type(), at::kByte);
  EXPECT_EQ(last.train.mean.size(), 3u);
  EXPECT_TRUE(read(y, {{"npy.layout", "channels-first"}}).train.inputs.equal(stored));
  write(folder / "x.npy", array("|u1", "(3, 3, 9, 8)", pixels));
  EXPECT_EQ(read(y).train.channels(), 3);
  write(folder / "x.npy", array<float>("<f4", "(3, 2)", {1, 2, 3, 4, 5, 6}));
  expect_error([&] { read(y, {{"npy.layout", "channels-last"}}); }, {"x.npy", "npy.layout"});
}

TEST_F(NpySource, ARowOfNumbersIsSamplesOfOneNumber) {
  write(folder / "x.npy", array<double>("<f8", "(3,)", {1, 2, 4}));
  const Splits data = read(array<uint8_t>("|u1", "(3,)", {0, 1, 1}));
  EXPECT_EQ(data.train.sample_shape(), std::vector<int64_t>{1});
}

TEST_F(NpySource, IntegersBeyondFloat32Survive) {
  write(folder / "x.npy", array<int64_t>("<i8", "(3, 1)", {1700000000, 1700000001, 1700000002}));
  const Splits data = read(array<uint8_t>("|u1", "(3,)", {0, 1, 1}));
  EXPECT_EQ(data.train.inputs.scalar_type(), at::kDouble);
  EXPECT_NEAR(data.train.stddev[0], std::sqrt(2.0 / 3), 1e-6);
}

}  // namespace
}  // namespace altprop::data::testing
