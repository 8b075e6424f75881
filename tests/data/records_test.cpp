// CSV as fields: against what was written, and against Python's csv module on generated files.
#include "altprop/data/read/records.h"

#include <gtest/gtest.h>

#include "altprop/data/read/csv.h"
#include "altprop/tensor/random.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

using Table = std::vector<std::vector<std::string>>;

Table fields_of(const std::string& path, char separator = 0) {
  InputFile file(path);
  RecordReader reader(file);
  reader.set_separator(separator ? separator : reader.guess_separator());
  Table out;
  Record record;
  while (reader.next(record)) {
    out.emplace_back();
    for (size_t i = 0; i < record.size(); ++i) out.back().emplace_back(record[i]);
  }
  return out;
}

TEST(Records, QuotesSeparatorsAndLineEnds) {
  TempFolder folder;
  const struct {
    std::string content;
    Table fields;
  } cases[] = {
      {"\"a, x\";\"b, x\";y\n0;0;0\n", {{"a, x", "b, x", "y"}, {"0", "0", "0"}}},
      {"0, 0, \"x, y\"\n1, 1, \"z\"\n", {{"0", "0", "x, y"}, {"1", "1", "z"}}},
      {"\"a\nb\",c,y\n0,0,0\n", {{"a\nb", "c", "y"}, {"0", "0", "0"}}},
      {"\"a\r\nb\",c\r\n1,2\r\n", {{"a\nb", "c"}, {"1", "2"}}},
      {"a,b,y\r0,0,0\r1,1,1\r", {{"a", "b", "y"}, {"0", "0", "0"}, {"1", "1", "1"}}},
      {"a,b\r\n1,2\n3,4\r5,6", {{"a", "b"}, {"1", "2"}, {"3", "4"}, {"5", "6"}}},  // mixed
      {"a,\n,b\n,", {{"a", ""}, {"", "b"}, {"", ""}}},
      {"\"\",\"\"\"\"\n", {{"", "\""}}},
      {"\n \n1,2\n\n", {{"1", "2"}}},
      {"1,2 \"x\" 3\n", {{"1", "2 \"x\" 3"}}},
      {"\t 1\t2\t\n \t\t \t\n", {{"", "1", "2", ""}, {"", "", "", ""}}},
      {" 1  2\t3 \n\"a b\" 4 5\n", {{"1", "2", "3"}, {"a b", "4", "5"}}},
      {"\"a\" , b\n", {{"a", "b"}}},
      {"\xEF\xBB\xBF\"x\",y\n", {{"x", "y"}}},
      {"caf\xC3\xA9,\xE6\x97\xA5\n", {{"caf\xC3\xA9", "\xE6\x97\xA5"}}},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(fields_of(write(folder / "a.csv", c.content)), c.fields) << c.content;
    EXPECT_EQ(fields_of(write(folder / "a.gz", gzipped(c.content))), c.fields) << c.content;
  }
}

TEST(Records, LinesAreCountedThroughFieldsOfSeveral) {
  TempFolder folder;
  InputFile file(write(folder / "a.csv", "\"a\n\n\",b\n1,\"x\r\ny\"\r\n\n\"p\rq\",z\r5,6"));
  RecordReader reader(file);
  Record record;
  std::vector<std::pair<int64_t, int64_t>> lines;
  while (reader.next(record)) lines.emplace_back(record.line(0), record.line(1));
  EXPECT_EQ(lines, (std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {4, 4}, {7, 8}, {9, 9}}));
  const std::string path = write(folder / "b.csv", "\"a\nb\",c,y\n0,0,0\n1,\"x\n\",1\n");
  expect_error([&] { read_csv(path, {}); }, {path, "line 4 has 'x", "column 1 ('c')"});
  write(path, "\"a\nb\",c,y\n0,0,0\n1,1\n");
  expect_error([&] { read_csv(path, {}); }, {path, "line 4 has 2 fields"});
}

TEST(Records, WhatIsNoTableIsNamed) {
  TempFolder folder;
  auto refuse = [&](const std::string& content, std::initializer_list<std::string> parts) {
    const std::string path = write(folder / "a.csv", content);
    expect_error([&] { fields_of(path); }, {path});
    expect_error([&] { fields_of(path); }, parts);
  };
  using namespace std::string_literals;
  refuse(
      "\xFF\xFE"
      "1\0,\0002\0\n\0"s,
      {"UTF-16", "save it as UTF-8"});
  refuse("\xFE\xFF\0001\0,\0002\0\n"s, {"UTF-16", "save it as UTF-8"});
  refuse("1,2\n3,\0004\n"s, {"line 2", "zero byte"});
  refuse("PK\3\4 a workbook", {"workbook", "export it as CSV"});
  refuse("1,2\n3,caf\xE9\n", {"line 2", "column 1", "no UTF-8"});
  refuse("1,2\n3,\"4\n5,6\n", {"line 2", "quote that is not closed"});
  refuse("1,\"" + std::string(3 << 20, 'x') + "\"\n", {"line 1", "more than 1048576 bytes"});
  refuse("1," + std::string(3 << 20, 'x') + "\n", {"line 1", "more than 1048576 bytes"});
  refuse("1,2,0\n3,\"4\" 5,1\n", {"line 2", "behind a closing quote"});
}

TEST(Records, SeparatorsAreGuessedFromSeveralRecords) {
  TempFolder folder;
  auto guess = [&](const std::string& content) {
    InputFile file(write(folder / "a.csv", content));
    return RecordReader(file).guess_separator();
  };
  EXPECT_EQ(guess("1,5;2,5;0\n3,5;4,5;1\n"), ';');
  EXPECT_EQ(guess("1,5 2,5 0\n3,5 4,5 1\n"), ' ');
  EXPECT_EQ(guess("\"a, x\";\"b, x\";y\n0;0;0\n"), ';');
  EXPECT_EQ(guess("a;b,c d,y\n1,2,3\n"), ',');
  EXPECT_EQ(guess("1,2,big cat\n3,4,small dog\n"), ',');
  EXPECT_EQ(guess("1, 2, 3\n4, 5, 6\n"), ',');
  EXPECT_EQ(guess("1;2;a,b\n3;4;c\n"), ';');
  EXPECT_EQ(guess("a b\tc d\n1\t2\n"), '\t');
  EXPECT_EQ(guess("1,2,3\n1,2\n"), ',');
  EXPECT_EQ(guess("1\n2\n"), ' ');
}

// ---- against Python

std::string pick(const Stream& draw, std::initializer_list<const char*> pieces, int64_t most) {
  std::string out;
  const int64_t n = draw.integer_at(0, most + 1);
  for (int64_t i = 0; i < n; ++i)
    out += pieces.begin()[draw.integer_at(i + 1, static_cast<int64_t>(pieces.size()))];
  return out;
}

/// Fields as one line of hexadecimal digits, without the blanks around, line breaks as \n, empty
/// lines left out, as tests/data/csv_fields.py prints them.
std::string hex_of(const Table& table) {
  std::string out;
  for (const auto& record : table) {
    if (record.size() == 1 && record[0].empty()) continue;
    for (const std::string& field : record) {
      for (const unsigned char c : field) {
        out += "0123456789abcdef"[c >> 4];
        out += "0123456789abcdef"[c & 15];
      }
      out += ',';
    }
    out += '\n';
  }
  return out;
}

TEST(Records, AgreeWithPython) {
  TempFolder folder;
  std::vector<std::string> ours;
  std::vector<Table> written;
  const Stream stream(17);
  constexpr int64_t kFiles = 600;
  for (int64_t f = 0; f < kFiles; ++f) {
    const Stream draw = stream.at(f);
    const char separator = ",;\t"[draw.integer_at(0, 3)];
    const std::string sep(1, separator);
    const char* line_end =
        std::initializer_list<const char*>{"\n", "\r\n", "\r"}.begin()[draw.integer_at(1, 3)];
    std::string text;
    Table table;
    if (f % 3 > 0) {  // well-formed
      const int64_t columns = 2 + draw.integer_at(2, 4), records = 1 + draw.integer_at(3, 6);
      for (int64_t r = 0; r < records; ++r) {
        table.emplace_back();
        for (int64_t c = 0; c < columns; ++c) {
          const Stream cell = draw.at(r).at(c);
          std::string value =
              pick(cell, {"a", "7", ".5", "\"", ",", ";", "\n", " x", "y ", "\xC3\xA9"}, 5);
          const bool needs = value.find_first_of("\",;\t\n") != std::string::npos;
          const bool quote = needs || cell.integer_at(90, 3) == 0;
          std::string spelt = value;
          if (quote) {
            for (size_t i = 0; (i = spelt.find('"', i)) != std::string::npos; i += 2)
              spelt.insert(i, 1, '"');
            spelt = "\"" + spelt + "\"";
          }
          while (!value.empty() && value.back() == ' ') value.pop_back();
          while (!value.empty() && value.front() == ' ') value.erase(0, 1);
          table.back().push_back(value);
          text += (c ? sep : "") + spelt;
        }
        if (r + 1 < records || draw.integer_at(4, 2)) text += line_end;
      }
    } else {  // anything
      text = pick(draw, {"a", "\"", "\"\"", sep.c_str(), line_end, " ", "1", line_end}, 25);
    }
    const std::string name = folder / (std::to_string(f) + "." + std::to_string(int{separator}));
    write(name, text);
    try {
      const Table got = fields_of(name, separator);
      if (f % 3 > 0) {
        EXPECT_EQ(got, table) << text;
      }
      ours.push_back(hex_of(got));
    } catch (const Error& error) {
      EXPECT_EQ(f % 3, 0) << error.what() << ": " << text;
      ours.emplace_back("refused\n");
    }
  }
  const std::string command = "python3 '" ALTPROP_TEST_CSV "' '" + folder.path() + "' " +
                              std::to_string(kFiles) + " > '" + folder / "out" + "'";
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "there is no python3";
  std::string theirs = read_all(folder / "out");
  int64_t compared = 0;
  for (int64_t f = 0; f < kFiles; ++f) {
    const size_t end = theirs.find("end\n");
    ASSERT_NE(end, std::string::npos);
    const std::string one = theirs.substr(0, end);
    theirs.erase(0, end + 4);
    const std::string& own = ours[static_cast<size_t>(f)];
    // Python takes no blanks behind a closing quote, and we no quote that is not closed.
    if (one == "refused\n" || own == "refused\n") {
      EXPECT_EQ(f % 3, 0);
      continue;
    }
    EXPECT_EQ(own, one) << f;
    ++compared;
  }
  EXPECT_GT(compared, kFiles * 2 / 3 + 30) << "what only one of them reads compares nothing";
}

}  // namespace
}  // namespace altprop::data::testing
