// The safetensors layout: what is written is read back to the last bit, and what does not add up is
// refused before memory is taken for it.
#include "altprop/train/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <limits>

#include "altprop/train/checkpoint.h"
#include "data/helpers.h"
#include "support/fuzz.h"

namespace altprop {
namespace {

using data::testing::error_of;
using data::testing::expect_error;
using data::testing::TempFolder;

/// A file of this header, with this many bytes of numbers.
std::string layout(const std::string& header, size_t numbers, char fill = 0) {
  const uint64_t length = header.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  return out + header + std::string(numbers, fill);
}

struct SafetensorsFile : ::testing::Test {
  TempFolder folder;
  const std::string path = folder / "file.safetensors";

  Safetensors read(const std::string& bytes) {
    data::testing::write(path, bytes);
    return read_safetensors(path);
  }
  void refuse(const std::string& bytes, std::initializer_list<std::string> parts) {
    SCOPED_TRACE(bytes.substr(0, 300));
    const std::string message = error_of([&] { read(bytes); });
    EXPECT_LT(message.size(), 700u);
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_NE(message.find(path), std::string::npos) << message;
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos)
          << "'" << part << "' is missing: " << message;
  }
};

TEST_F(SafetensorsFile, BringsBackEveryTypeToTheLastBit) {
  TensorMap map;
  for (const at::ScalarType type :
       {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16,
        at::kFloat, at::kDouble, at::kComplexFloat}) {
    const std::string name = toString(type);
    map[name] = at::arange(6).remainder(2).reshape({2, 3}).to(type);
    map[name + " alone"] = at::ones({}, type);
    map[name + " none"] = at::empty({3, 0, 2}, type);
  }
  map["turned"] = at::arange(6, at::kFloat).reshape({2, 3}).t();
  map["part"] = at::arange(12, at::kShort).slice(0, 1, 12, 3);
  map["a \"name\" \\ / \u00e9\n"] = at::ones({1});
  const Texts texts = {{"text", "with \"altprop_crc32\":\"00000000\" in it, \u00e9 and \n"},
                       {"", ""}};
  write_safetensors(path, map, texts);
  const Safetensors found = read_safetensors(path);
  EXPECT_TRUE(found.summed);
  EXPECT_EQ(found.texts, texts);
  ASSERT_EQ(found.tensors.size(), map.size());
  for (const auto& [name, tensor] : map) {
    const Tensor& back = found.tensors.at(name);
    EXPECT_EQ(back.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(back.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(back, tensor)) << name;
    EXPECT_TRUE(back.is_contiguous()) << name;
  }
}

TEST_F(SafetensorsFile, BringsBackNumbersAsTheyAre) {
  using Limits = std::numeric_limits<double>;
  std::vector<double> numbers = {0.0,
                                 -0.0,
                                 Limits::infinity(),
                                 -Limits::infinity(),
                                 Limits::quiet_NaN(),
                                 Limits::denorm_min(),
                                 -Limits::denorm_min(),
                                 Limits::min(),
                                 Limits::max(),
                                 0.1,
                                 1 + Limits::epsilon()};
  TensorMap map;
  StateIO saving = StateIO::saving(map).scope("deep").scope("deeper");
  for (size_t i = 0; i < numbers.size(); ++i) saving.number(std::to_string(i), numbers[i]);
  int64_t least = std::numeric_limits<int64_t>::min();
  saving.integer("least", least);
  save_checkpoint(path, map);
  TensorMap found = load_checkpoint(path).tensors;
  StateIO loading = StateIO::loading(found).scope("deep").scope("deeper");
  for (size_t i = 0; i < numbers.size(); ++i) {
    double back = 17;
    loading.number(std::to_string(i), back);
    EXPECT_EQ(std::bit_cast<uint64_t>(back), std::bit_cast<uint64_t>(numbers[i])) << numbers[i];
  }
  int64_t back = 0;
  loading.integer("least", back);
  EXPECT_EQ(back, least);
}

TEST_F(SafetensorsFile, NumbersStandAtMultiplesOfTheirSize) {
  write_safetensors(path,
                    {{"a", at::ones({3}, at::kByte)},
                     {"b", at::ones({1}, at::kDouble)},
                     {"c", at::ones({1}, at::kFloat)}},
                    {});
  const std::string bytes = data::testing::read_all(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
  const std::string header = bytes.substr(8, length);
  EXPECT_NE(header.find(R"("b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]})"),
            std::string::npos)
      << header;
  EXPECT_NE(header.find(R"("c":{"dtype":"F32","shape":[1],"data_offsets":[8,12]})"),
            std::string::npos)
      << header;
}

TEST_F(SafetensorsFile, ReadsWhatOthersWrite) {
  // In any order, with white space, not aligned, without a check sum.
  const Safetensors found = read(layout(
      R"({"b": {"shape": [], "data_offsets": [3, 7], "dtype": "F32"},)"
      R"( "a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}, "__metadata__": {"x": "y"}}  )",
      7, 1));
  EXPECT_FALSE(found.summed);
  EXPECT_EQ(found.texts.at("x"), "y");
  EXPECT_EQ(found.tensors.at("a").sum().item<int64_t>(), 3);
  EXPECT_EQ(found.tensors.at("b").dim(), 0);
  EXPECT_TRUE(read(layout("{}", 0)).tensors.empty());
  EXPECT_NO_THROW(load_weights(path));
  expect_error([&] { load_checkpoint(path); }, {path, "no check sum"});
}

TEST_F(SafetensorsFile, RefusesBytesThatDoNotFitTheShape) {
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& place) {
    return "{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + place +
           "}}";
  };
  ASSERT_NO_THROW(read(layout(one("F32", "[2]", "[0,8]"), 8)));
  // Fewer bytes than the shape has numbers, which once showed what was in memory; and more.
  refuse(layout(one("F32", "[1000000]", "[0,8]"), 8), {"'w'", "does not fit its shape"});
  refuse(layout(one("F32", "[1]", "[0,8]"), 8), {"'w'", "does not fit its shape"});
  refuse(layout(one("F32", "[2]", "[0,8]"), 7), {"'w'", "does not fit its shape"});
  refuse(layout(one("F32", "[2]", "[8,0]"), 8), {"'w'", "does not fit its shape"});
  refuse(layout(one("F32", "[2]", "[0,8]"), 9), {"9 bytes of numbers", "describes 8"});
  refuse(layout(one("F32", "[1]", "[4,8]"), 8), {"before 'w'"});
  refuse(layout(one("F32", "[1000000000]", "[0,4000000000]"), 8), {"does not fit its shape"});
  // Products that overflow, also behind a 0.
  refuse(layout(one("F32", "[4611686018427387904]", "[0,0]"), 0), {"'w'", "too large"});
  refuse(layout(one("U8", "[4294967296,4294967296]", "[0,0]"), 0), {"'w'", "too large"});
  refuse(layout(one("U8", "[0,4294967296,4294967296]", "[0,0]"), 0), {"'w'", "too large"});
  refuse(layout(one("U8", "[18446744073709551615]", "[0,1]"), 1), {"'w'", "too large"});
  refuse(layout(one("U8", "[18446744073709551616]", "[0,1]"), 1), {"'w'", "no whole number"});
  std::string ones = "[1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  refuse(layout(one("U8", ones + "]", "[0,1]"), 1), {"'w'", "too large"});
  refuse(layout(one("U8", "[-1]", "[0,1]"), 1), {"'w'", "no whole number"});
  refuse(layout(one("U8", "[1.0]", "[0,1]"), 1), {"'w'", "no whole number"});
  refuse(layout(one("U8", "[1]", "[0]"), 1), {"'w'", "not described"});
  refuse(layout(one("U8", "[1]", "[0,\"1\"]"), 1), {"'w'", "no whole number"});
  refuse(layout(one("F24", "[1]", "[0,3]"), 3), {"'w'", "type"});
  refuse(layout(one("BOOL", "[2]", "[0,2]"), 2, 7), {"'w'", "truth values"});
}

TEST_F(SafetensorsFile, RefusesTensorsThatShareBytesOrNames) {
  const std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const auto with = [&](const std::string& other) { return "{" + a + "," + other + "}"; };
  ASSERT_NO_THROW(read(layout(with(R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]})"), 8)));
  refuse(layout(with(R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})"), 4), {"before 'b'"});
  refuse(layout(with(R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]})"), 7), {"before 'b'"});
  refuse(layout(with(R"("b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]})"), 9), {"before 'b'"});
  refuse(layout(with(R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]})"), 8),
         {"'a'", "twice"});
  refuse(layout(with(R"("b":{"dtype":"U8","shape":[0],"data_offsets":[9,9]})"), 4), {"'b'"});
  refuse(layout(with(R"("b":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[4,4]})"), 4),
         {"twice"});
  refuse(layout(with(R"("b":{"dtype":"U8","shape":[0],"data_offsets":[4,4],"x":1})"), 4),
         {"'b'", "not described"});
  refuse(layout(with(R"("b":3)"), 4), {"'b'", "not described"});
}

TEST_F(SafetensorsFile, RefusesHeadersThatAreNone) {
  refuse("", {"fewer than 8 bytes"});
  refuse("1234567", {"fewer than 8 bytes"});
  refuse(std::string("\x10\0\0\0\0\0\0\0{}", 10), {"16 bytes", "the file has 10"});
  refuse(std::string(8, '\xff') + "{}", {"18446744073709551615 bytes"});
  refuse(layout("", 0), {"no JSON"});
  refuse(layout("[]", 0), {"no JSON object"});
  refuse(layout("{\"__metadata__\":{\"x\":3}}", 0), {"'x'", "no text"});
  refuse(layout("{\"__metadata__\":[]}", 0), {"__metadata__"});
  refuse(layout("{\"__metadata__\":{\"altprop_crc32\":\"0\"}}", 0), {"check sum"});
  refuse(layout("{\"__metadata__\":{\"altprop_crc32\" : \"00000000\"}}", 0), {"check sum"});
  refuse(layout("{\"__metadata__\":{\"altprop_crc32\":\"00000000\"}}", 0), {"check sum is wrong"});
  refuse(layout("{\"w\":" + std::string(30'000, '[') + std::string(30'000, ']') + "}", 0),
         {"open"});
  refuse(layout(std::string(1'000'000, '['), 0), {"open"});
}

TEST_F(SafetensorsFile, DamageIsFoundWhereverItIs) {
  save_checkpoint(path, {{"w", at::arange(50, at::kFloat)}}, {{"altprop", "text"}});
  const std::string bytes = data::testing::read_all(path);
  for (size_t i = 0; i < bytes.size(); ++i)
    for (const int bit : {0, 5, 7}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      data::testing::write(path, damaged);
      EXPECT_THROW(load_checkpoint(path), Error) << "byte " << i << ", bit " << bit;
      EXPECT_THROW(load_weights(path), Error) << "byte " << i << ", bit " << bit;
    }
}

TEST(Fuzz, SafetensorsWithoutASum) {
  TempFolder folder;
  const std::string path = folder / "weights.safetensors";
  const std::vector<std::string> seeds = {
      layout(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
             R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},)"
             R"("c":{"dtype":"BOOL","shape":[4],"data_offsets":[32,36]},"__metadata__":{"x":"y"}})",
             36),
      layout(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0)};
  fuzz::run({.name = "weights.safetensors",
             .seeds = seeds,
             .read =
                 [&](const std::string& input) {
                   data::testing::write(path, input);
                   const Safetensors found = read_safetensors(path);
                   size_t bytes = 0;
                   for (const auto& [name, tensor] : found.tensors) bytes += tensor.nbytes();
                   EXPECT_LE(bytes, input.size());
                 },
             .rounds = 4000,
             .most_bytes = int64_t{16} << 20});
}

}  // namespace
}  // namespace altprop
