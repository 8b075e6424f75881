// Large numbers with small differences keep them until they are standardised.
#include "altprop/data/precision.h"

#include <gtest/gtest.h>

#include "altprop/data/loader.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

Tensor delivered(const Dataset& data, at::ScalarType dtype = at::kFloat) {
  return Loader(data, {.batch = 100, .dtype = dtype}).at(0, 0).inputs.to(at::kDouble);
}

TEST(Precision, SecondsSince1970SurviveInTables) {
  TempFolder folder;
  const OptionValues options{
      {"csv.train",
       write(folder / "t.csv", "1700000000,0\n1700000001,0\n1700000002,1\n1700000003,1\n")}};
  const Splits data = load("csv", options);
  const double d = std::sqrt(1.25);
  const Tensor expected =
      at::tensor({-1.5 / d, -0.5 / d, 0.5 / d, 1.5 / d}, at::kDouble).view({4, 1});
  for (at::ScalarType dtype : {at::kFloat, at::kDouble})
    EXPECT_TRUE(delivered(data.train, dtype).allclose(expected, 1e-6, 1e-6)) << dtype;
  Dataset by_batch = data.train;
  const Loader loader(by_batch, {.batch = 4, .resident_bytes = 0});
  EXPECT_TRUE(loader.at(0, 0).inputs.to(at::kDouble).allclose(expected, 1e-6, 1e-6));
  for (const char* range : {"unit", "symmetric"}) {
    OptionValues to = options;
    to["normalise"] = range;
    const Tensor values = delivered(load("csv", to).train);
    EXPECT_NEAR((values[1] - values[0]).item<double>(),
                std::string(range) == "unit" ? 1. / 3 : 2. / 3, 1e-6);
  }
  OptionValues raw = options;
  raw["normalise"] = "none";
  expect_error([&] { delivered(load("csv", raw).train); },
               {"t.csv", "channel 0", "1.7e+09 to 1700000003", "normalise"});
  EXPECT_EQ(delivered(load("csv", raw).train, at::kDouble)[3].item<double>(), 1700000003);
}

TEST(Precision, TensorsKeepWhatTheirTypeHas) {
  const Tensor y = at::tensor({0, 1, 1}, at::kLong),
               seconds = at::tensor({1700000000, 1700000001, 1700000002}, at::kLong).view({3, 1});
  for (const Tensor& x : {seconds, seconds.to(at::kInt), seconds.to(at::kDouble)}) {
    const Splits data = from_tensors(x, y);
    EXPECT_EQ(data.train.inputs.scalar_type(), at::kDouble);
    expect_error([&] { delivered(data.train); }, {"float32 cannot tell apart", "normalise"});
    const Splits standard = prepare(data, {});
    EXPECT_TRUE(
        delivered(standard.train)
            .allclose(at::tensor({-1.2247448714, 0.0, 1.2247448714}, at::kDouble).view({3, 1}),
                      1e-6, 1e-6));
  }
  const Tensor small = at::tensor({1, 2, 16777216}, at::kLong).view({3, 1});
  EXPECT_EQ(from_tensors(small, y).train.inputs.scalar_type(), at::kFloat);
  EXPECT_EQ(from_tensors(small + 1, y).train.inputs.scalar_type(), at::kDouble);
  EXPECT_EQ(from_tensors(small.neg() - 1, y).train.inputs.scalar_type(), at::kDouble);
  EXPECT_EQ(from_tensors(small.to(at::kByte), y).train.inputs.scalar_type(), at::kByte);
  EXPECT_EQ(from_tensors(small.to(at::kFloat), y).train.inputs.scalar_type(), at::kFloat);
  const Tensor huge = at::tensor({int64_t{1}, int64_t{2}, (int64_t{1} << 53) + 1}).view({3, 1});
  expect_error([&] { from_tensors(huge, y); }, {"2^53"});
  expect_error([&] { from_tensors(-huge, y); }, {"2^53"});
  expect_error([&] { from_tensors(at::full({3, 1}, INT64_MIN, at::kLong), y); }, {"2^53"});
  // A constant, and small steps that float32 has, lose nothing.
  EXPECT_NO_THROW(delivered(from_tensors(at::full({3, 1}, 1.7e9 + 0.3, at::kDouble), y).train));
  EXPECT_NO_THROW(delivered(
      from_tensors(at::tensor({1e6, 1e6 + 0.5, 1e6}, at::kDouble).view({3, 1}), y).train));
  expect_error(
      [&] {
        delivered(from_tensors(at::tensor({1e300, 1.0, 2.0}, at::kDouble).view({3, 1}), y).train);
      },
      {"float32 does not hold"});
  expect_error(
      [&] {
        prepare(from_tensors(at::tensor({1e300, 1.0, 2.0}, at::kDouble).view({3, 1}), y), {});
      },
      {"too large to be standardised"});
}

TEST(Precision, TargetsThatFloat32CannotTellApartAreRefused) {
  const Tensor x = at::rand({3, 2}), y = at::tensor({1.7e9, 1.7e9 + 1, 1.7e9 + 2}, at::kDouble);
  const Dataset data = from_tensors(x, y).train;
  expect_error([&] { Loader(data, {}); }, {"targets from 1.7e+09", "offset"});
  EXPECT_NO_THROW(Loader(data, {.dtype = at::kDouble}));
  EXPECT_NO_THROW(Loader(from_tensors(x, y - 1.7e9).train, {}));
}

}  // namespace
}  // namespace altprop::data::testing
