// Texts and names as sequences of token numbers.
#include <numeric>

#include "altprop/data/loader.h"
#include "altprop/data/read/characters.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

/// The characters of a row of token numbers.
std::string text_of(const Dataset& data, const Tensor& row) {
  std::string out;
  for (int64_t i = 0; i < row.numel(); ++i)
    if (const int64_t id = row[i].item<int64_t>(); id >= 0)
      out += data.class_names[static_cast<size_t>(id)];
  return out;
}

const std::string kText = "abcdefghijklmnopqrstuvwxyz0123456789";  // digits sort before letters

Splits load_text(const TempFolder& folder, const std::string& text, OptionValues options) {
  options["text.file"] = write(folder / "text.txt", text);
  return load("text", options);
}

TEST(Text, EveryCharacterIsPredictedFromThoseBeforeIt) {
  TempFolder folder;
  const Splits data = load_text(
      folder, kText, {{"text.length", "4"}, {"text.validation", "0.25"}, {"text.test", "0.25"}});
  EXPECT_EQ(data.train.vocabulary, 36);
  EXPECT_EQ(data.train.classes, 36);
  EXPECT_TRUE(data.train.per_step());
  EXPECT_EQ(data.train.class_names[0], "0");
  // 18 characters: windows begin at 0, 4, 8 and 12; the 17th character is the last target.
  ASSERT_EQ(data.train.inputs.sizes(), (IntArrayRef{4, 4}));
  EXPECT_EQ(text_of(data.train, data.train.inputs[0]), "abcd");
  EXPECT_EQ(text_of(data.train, data.train.targets[0]), "bcde");
  EXPECT_EQ(text_of(data.train, data.train.inputs[3]), "mnop");
  EXPECT_EQ(text_of(data.train, data.train.targets[3]), "nopq");
  // The parts follow each other and share no character.
  EXPECT_EQ(text_of(data.validation, data.validation.inputs[0]), "stuv");
  EXPECT_EQ(text_of(data.validation, data.validation.inputs[1]), "wxyz");
  EXPECT_EQ(text_of(data.test, data.test.inputs[0]), "1234");
  EXPECT_EQ(data.test.vocabulary, 36);
}

TEST(Text, StreamsAreReadInParallel) {
  TempFolder folder;
  const Splits data = load_text(
      folder, kText,
      {{"text.length", "3"}, {"text.validation", "0"}, {"text.test", "0"}, {"text.streams", "2"}});
  // 11 windows, of which 2 x 5 are read: one reader begins at "a", the other at "p".
  ASSERT_EQ(data.train.size(), 10);
  const std::vector<std::string> expected = {"abc", "pqr", "def", "stu"};
  for (size_t k = 0; k < expected.size(); ++k)
    EXPECT_EQ(text_of(data.train, data.train.inputs[static_cast<int64_t>(k)]), expected[k]);
  EXPECT_TRUE(data.validation.empty());
}

TEST(Text, LoaderDeliversTokenNumbersAsTheyAre) {
  TempFolder folder;
  const Splits data = load_text(
      folder, kText, {{"text.length", "4"}, {"text.validation", "0"}, {"text.test", "0"}});
  const Loader plain(data.train, {.batch = 3});
  const Batch first = plain.at(0, 0);
  EXPECT_EQ(first.inputs.scalar_type(), at::kLong);
  EXPECT_TRUE(at::equal(first.inputs, data.train.inputs.narrow(0, 0, 3)));
  const Loader shuffled(data.train,
                        {.batch = 3, .shuffle = true, .stream = Stream(1), .prefetch = 2});
  std::vector<int64_t> seen;
  for (int64_t i = 0; i < shuffled.batches(); ++i) {
    const Batch batch = shuffled.at(0, i);
    for (int64_t r = 0; r < batch.size; ++r) {
      const int64_t id = batch.ids[r].item<int64_t>();
      EXPECT_TRUE(at::equal(batch.inputs[r], data.train.inputs[id]));
      EXPECT_TRUE(at::equal(batch.targets[r], data.train.targets[id]));
      seen.push_back(id);
    }
  }
  std::sort(seen.begin(), seen.end());
  std::vector<int64_t> all(static_cast<size_t>(data.train.size()));
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

TEST(Text, Utf8IsReadByCharacters) {
  TempFolder folder;
  const std::string path = write(folder / "u",
                                 "\xEF\xBB\xBF"
                                 "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8D");
  EXPECT_EQ(read_characters(path), (std::vector<char32_t>{U'a', 0xE9, 0x20AC, 0x1F30D}));
  for (char32_t c : read_characters(path))
    EXPECT_EQ(read_characters(write(folder / "v", to_utf8(c))), std::vector<char32_t>{c});
  for (const char* bad :
       {"ab\xC3", "\x80", "\xC0\xAF", "\xED\xA0\x80", "a\xE2\x28\xA1", "\xF5\x80\x80\x80"})
    EXPECT_NE(
        error_of([&] { read_characters(write(folder / "bad", bad)); }).find("is no UTF-8 text"),
        std::string::npos);
  EXPECT_NE(error_of([&] {
              read_characters(write(folder / "zero", std::string("a\0b", 3)));
            }).find("byte 1, counted from 0, is zero"),
            std::string::npos);
}

TEST(Text, WhatCannotBeUsedIsRefused) {
  TempFolder folder;
  const auto message = [&](const std::string& text, OptionValues options) {
    return error_of([&] { load_text(folder, text, options); });
  };
  const std::vector<std::tuple<std::string, OptionValues, std::string>> cases = {
      {"", {}, "is empty: there is no text"},
      {"abc", {{"text.length", "50"}}, "is too short: its training part has 3 of 3 characters"},
      {kText, {{"text.length", "30"}}, "is too short: its validation part has 2 of 36"},
      {kText, {{"text.validation", "0.6"}, {"text.test", "0.5"}}, "leave nothing to train on"},
      {kText,
       {{"text.length", "2"}, {"text.streams", "99"}, {"text.validation", "0"}},
       "asks for 99 readers"},
      {kText,
       {{"image-size", "32"}, {"text.length", "2"}, {"text.validation", "0"}, {"text.test", "0"}},
       "needs images"}};
  for (const auto& [text, options, part] : cases)
    EXPECT_NE(message(text, options).find(part), std::string::npos) << message(text, options);
  EXPECT_NE(error_of([] { load("text", {}); }).find("needs option text.file"), std::string::npos);
  EXPECT_NE(error_of([&] {
              load("tinyshakespeare", {{"data-dir", folder.path()}});
            }).find("'altprop data get tinyshakespeare'"),
            std::string::npos);
}

TEST(Names, AreFoldedToTheAlphabetAndPadded) {
  TempFolder folder;
  write(folder / "names/French.txt", "Ch\xC3\xA9nier\nO'Neal\n\nLe F\xC3\xA8vre\n");
  write(folder / "names/Polish.txt", "\xC5\x9Alus\xC3\xA0rski\r\nWo\xC5\x82owicz-B\n");
  const Splits data = load("names", {{"data-dir", folder.path()}, {"names.test", "0"}});
  EXPECT_EQ(data.train.vocabulary, 57);
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"French", "Polish"}));
  EXPECT_TRUE(data.test.empty());
  ASSERT_EQ(data.train.inputs.sizes(), (IntArrayRef{5, 9}));
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'";
  const std::vector<std::string> expected = {"Chenier", "O'Neal", "Le Fevre", "Slusarski",
                                             "WoowiczB"};  // the barred l has no decomposition
  for (int64_t i = 0; i < 5; ++i) {
    std::string name;
    for (int64_t t = 0; t < 9; ++t)
      if (const int64_t id = data.train.inputs[i][t].item<int64_t>(); id >= 0)
        name += alphabet[static_cast<size_t>(id)];
    EXPECT_EQ(name, expected[static_cast<size_t>(i)]);
    EXPECT_EQ(data.train.targets[i].item<int64_t>(), i < 3 ? 0 : 1);
  }
}

TEST(Names, TheTestPartIsDrawnWithinEachLanguage) {
  TempFolder folder;
  std::string many, few;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b) (b < 'f' ? many : few) += {a, b, '\n'};
  write(folder / "names/A.txt", many);
  write(folder / "names/B.txt", few);
  const OptionValues here = {{"data-dir", folder.path()}, {"names.test", "0.2"}};
  const Splits data = load("names", here), again = load("names", here);
  EXPECT_EQ(data.test.targets.eq(0).sum().item<int64_t>(), 26);
  EXPECT_EQ(data.test.size() + data.train.size(), 26 * 26);
  EXPECT_TRUE(at::equal(data.test.inputs, again.test.inputs));
  OptionValues other = here;
  other["names.seed"] = "1";
  EXPECT_FALSE(at::equal(data.test.inputs, load("names", other).test.inputs));
  // Another language changes nothing in those that were there.
  write(folder / "names/C.txt", "x\ny\n");
  EXPECT_TRUE(
      at::equal(load("names", here).test.inputs.narrow(0, 0, data.test.size()), data.test.inputs));
}

TEST(Names, WhatCannotBeUsedIsRefused) {
  TempFolder folder;
  const auto message = [&] {
    return error_of([&] { load("names", {{"data-dir", folder.path()}}); });
  };
  EXPECT_NE(message().find("'altprop data get names'"), std::string::npos);
  write(folder / "names/A.txt", "Abc\n");
  EXPECT_NE(message().find("has 1 files of names"), std::string::npos);
  const std::string second = write(folder / "names/B.txt", "\n\n--\n");
  EXPECT_EQ(message(), "'" + second + "' is empty: there is no name in it");
  write(second, std::string(300, 'a'));
  EXPECT_NE(message().find("more than 200 letters in line 1"), std::string::npos);
  write(second, "ok\n\xFF\n");
  EXPECT_NE(message().find("is no UTF-8 text: byte 3"), std::string::npos);
}

TEST(Tokens, DatasetsAreChecked) {
  Dataset good;
  good.name = "t";
  good.vocabulary = good.classes = 4;
  good.inputs = at::tensor({0, 1, 2, 3, -1, -1}, at::kLong).view({2, 3});
  good.targets = at::tensor({1, 2, 3, 0, -1, -1}, at::kLong).view({2, 3});
  check(good);
  const auto with = [&](auto change) {
    Dataset bad = good;
    bad.inputs = good.inputs.clone();
    bad.targets = good.targets.clone();
    change(bad);
    return error_of([&] { check(bad); });
  };
  using D = Dataset&;
  EXPECT_NE(with([](D d) { d.inputs[1][0] = -1; }).find("without any token"), std::string::npos);
  EXPECT_NE(with([](D d) { d.inputs[1][2] = 1; }).find("with a hole"), std::string::npos);
  EXPECT_NE(with([](D d) { d.inputs[0][0] = 4; }).find("vocabulary of 4"), std::string::npos);
  EXPECT_NE(with([](D d) { d.inputs = d.inputs.to(at::kFloat); }).find("int64 [N, T]"),
            std::string::npos);
  EXPECT_NE(with([](D d) { d.targets[1][0] = -1; }).find("without a target"), std::string::npos);
  EXPECT_NE(with([](D d) { d.targets[1][0] = 4; }).find("class ids from"), std::string::npos);
  EXPECT_NE(with([](D d) { d.targets = d.targets.narrow(1, 0, 2); }).find("targets for 2 steps"),
            std::string::npos);
}

}  // namespace
}  // namespace altprop::data::testing
