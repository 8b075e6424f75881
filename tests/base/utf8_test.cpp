// Texts that are no UTF-8: where, and that nothing of them reaches a record.
#include "altprop/base/utf8.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"

namespace altprop::text {
namespace {

const std::vector<std::pair<std::string, size_t>> kBad = {
    {"\xff", 0},
    {"abc\xe4\x62", 3},       // Latin-1
    {"\xc3", 0},              // cut
    {"a\xe2\x82", 1},         // cut
    {"\xc0\x80", 0},          // longer than needed
    {"\xe0\x80\xaf", 0},      // longer than needed
    {"x\xed\xa0\x80", 1},     // half of a pair
    {"\xf4\x90\x80\x80", 0},  // beyond Unicode
    {"\xc3\xa4\x80", 2},      // goes on without a beginning
    {std::string("\xf0\x9f\x98\x80\xf8", 5), 4},
};

TEST(Utf8, FindsTheFirstByteThatIsNone) {
  for (const auto& [bytes, place] : kBad) {
    EXPECT_EQ(not_utf8(bytes), place) << printable(bytes);
    EXPECT_FALSE(is_utf8(bytes));
    EXPECT_THROW((void)nlohmann::json(bytes).dump(), nlohmann::json::type_error);
  }
  for (const char* good :
       {"", "abc", "K\xc3\xa4uzchen", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbf\xbf", "\x7f"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
    EXPECT_NO_THROW((void)nlohmann::json(good).dump());
  }
  const Utf8 euro = first_character("\xe2\x82\xac rest");
  EXPECT_EQ(euro.code, 0x20ac);
  EXPECT_EQ(euro.bytes, 3u);
}

TEST(Utf8, TheSentenceNamesWhatAndWhere) {
  try {
    require_utf8("mlp:784-\xe4-10", "the network text");
    FAIL();
  } catch (const UsageError& error) {
    const std::string said = error.what();
    EXPECT_NE(said.find("the network text must be UTF-8 text, but byte 9"), std::string::npos);
    EXPECT_NE(said.find("'mlp:784-\\xe4-10'"), std::string::npos) << said;
    EXPECT_TRUE(is_utf8(said));
  }
  std::string longer(100'000, 'x');
  longer[70'000] = '\xff';
  try {
    require_utf8(longer, "the network text");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_LT(std::string(error.what()).size(), 400u);
    EXPECT_NE(std::string(error.what()).find("byte 70001"), std::string::npos);
  }
}

TEST(Utf8, WhatIsPrintedIsAlwaysText) {
  for (const auto& [bytes, place] : kBad) EXPECT_TRUE(is_utf8(printable(bytes)));
  EXPECT_EQ(printable("a\xff\n\xc3\xa4"), "a\\xff\\x0a\xc3\xa4");
  // Cut between characters, not inside of one.
  EXPECT_EQ(printable("\xc3\xa4\xc3\xa4", 3), "\xc3\xa4...");
  EXPECT_EQ(printable("\xc3\xa4\xc3\xa4", 4), "\xc3\xa4\xc3\xa4");
  EXPECT_EQ(printable("abc", 2), "ab...");
}

}  // namespace
}  // namespace altprop::text
