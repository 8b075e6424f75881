#include "altprop/data/read/npy.h"

#include <gtest/gtest.h>

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
  EXPECT_TRUE(read(array<int64_t>("<i8", "()", {-3})).equal(at::scalar_tensor(-3, at::kLong)));
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
  refuse(array<float>(">f4", "(1,)", {1}), {"big-endian"});
  refuse(array<float>("<c8", "(1,)", {1, 1}), {"type '<c8'"});
  refuse(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "xxxx"),
         {"several fields"});
  refuse(array<float>("<f4", "(99999999999, 99999999999)", {1}), {"too large"});
  refuse(array<float>("<f4", "(99999999999999999999,)", {1}), {"no NPY header"});
  refuse(array<float>("<f4", "(4000000000,)", {1}), {"ends inside its values"});
  refuse(array<float>("<f4", "(-1,)", {1}), {"no NPY header"});
  refuse(array<float>("<f4", "(1", {1}), {"no NPY header"});
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

}  // namespace
}  // namespace altprop::data::testing
