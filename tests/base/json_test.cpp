// Reading JSON: limits, and errors that say where.
#include "altprop/base/json.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "data/helpers.h"

namespace altprop {
namespace {

using data::testing::expect_error;

TEST(Json, ReadsADocument) {
  const nlohmann::json found =
      read_json("{\"a\": [1, 2.5, null, {\"b\": \"c\"}], \"d\": {\"b\": true}}", "it");
  EXPECT_EQ(found["a"][3]["b"], "c");
  EXPECT_EQ(found["d"]["b"], true);
}

TEST(Json, SaysWhere) {
  expect_error([] { read_json("{\n \"a\": 1,\n  x}", "'f.json'"); },
               {"'f.json'", "line 3, column 3"});
  expect_error([] { read_json("{\"a\": NaN}", "'f.json'"); }, {"line 1, column 7"});
  expect_error([] { read_json("", "'f.json'"); }, {"'f.json'", "ends too early"});
  expect_error([] { read_json("{\"a\": [1, 2", "'f.json'"); }, {"'f.json'", "ends too early"});
  expect_error([] { read_json("{} {}", "'f.json'"); }, {"line 1, column 4"});
  expect_error([] { read_json("[1e999]", "'f.json'"); }, {"'f.json'", "too large"});
  expect_error([] { read_json("\"\xff\"", "'f.json'"); }, {"line 1, column 2"});
}

TEST(Json, NamesAreUniqueInTheirObject) {
  expect_error([] { read_json("{\"a\": 1, \"b\": 2, \"a\": 3}", "it"); }, {"'a'", "twice"});
  expect_error([] { read_json("[{\"x\": {\"a\": 1, \"a\": 1}}]", "it"); }, {"'a'", "twice"});
  EXPECT_NO_THROW(read_json("{\"a\": {\"a\": 1}, \"b\": [{\"a\": 1}, {\"a\": 2}]}", "it"));
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW(read_json(nested(64), "it"));
  expect_error([&] { read_json(nested(65), "it"); }, {"it", "64"});
  expect_error([&] { read_json(nested(3'000'000), "it"); }, {"it", "64"});
  expect_error([] { read_json(std::string(3'000'000, '['), "it"); }, {"64"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  expect_error([&] { read_json(objects, "it"); }, {"64"});
}

TEST(Json, LengthIsBounded) {
  EXPECT_NO_THROW(read_json("[1, 2]", "it", {.bytes = 6}));
  expect_error([] { read_json("[1, 22]", "it", {.bytes = 6}); }, {"it", "7 bytes", "6"});
}

TEST(Json, FilesAreNamed) {
  const data::testing::TempFolder folder;
  data::testing::write(folder / "f.json", "{\"a\":\n}");
  expect_error([&] { read_json_file(folder / "f.json"); }, {folder / "f.json", "line 2, column 1"});
  expect_error([&] { read_json_file(folder.path()); }, {folder.path(), "a folder"});
  expect_error([&] { read_json_file(folder / "none.json"); }, {"none.json"});
}

}  // namespace
}  // namespace altprop
