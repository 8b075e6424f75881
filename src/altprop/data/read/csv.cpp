#include "altprop/data/read/csv.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string_view>

#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

std::string_view trimmed(std::string_view s) {
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

char guess_separator(std::string_view line) {
  char best = ' ';
  int64_t most = 0;
  for (char c : {',', ';', '\t'})
    if (const int64_t n = std::count(line.begin(), line.end(), c); n > most) most = n, best = c;
  return best;
}

class CsvParser {
 public:
  CsvParser(InputFile& file, const CsvFormat& format) : file_(file), format_(format) {}

  CsvTable parse() {
    const std::vector<uint8_t> bytes = file_.rest();
    std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      take_line(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (table_.lines.empty()) file_.fail("has no samples");
    const auto n = static_cast<int64_t>(table_.lines.size());
    table_.features = at::empty({n, static_cast<int64_t>(columns_) - 1}, at::kFloat);
    std::memcpy(table_.features.data_ptr(), values_.data(), values_.size() * sizeof(float));
    return std::move(table_);
  }

 private:
  void take_line(std::string_view line) {
    ++line_;
    if (trimmed(line).empty()) return;
    const bool first = columns_ == 0;
    if (first) separator_ = format_.separator ? format_.separator : guess_separator(line);
    split(line);
    if (first) {
      columns_ = fields_.size();
      if (columns_ < 2)
        fail("has a single column; a feature and a target are needed (see option csv.separator)");
      if (begin_table()) return;
    }
    if (fields_.size() != columns_)
      fail(text::cat("has ", fields_.size(), " fields, but the first line has ", columns_));
    for (size_t i = 0; i < columns_; ++i) {
      if (i == target_) continue;
      const auto value = text::to_number(fields_[i]);
      // A float32 that overflows is as useless as a missing value.
      if (!value || !std::isfinite(static_cast<float>(*value)))
        fail(text::cat("has '", fields_[i].substr(0, 40), "' in column ", i,
                       ", which is not a finite number"));
      values_.push_back(static_cast<float>(*value));
    }
    table_.targets.emplace_back(fields_[target_]);
    table_.lines.push_back(line_);
  }

  /// Finds the target column; true if the first line is a header.
  bool begin_table() {
    const auto index = text::to_integer(format_.target);
    const auto named = std::find(fields_.begin(), fields_.end(), format_.target);
    const bool by_name = format_.target != "first" && format_.target != "last" && !index;
    if (by_name) {
      if (named == fields_.end() || format_.header == "no")
        fail("has no column '" + format_.target + "', which is the target (option csv.target)");
      target_ = static_cast<size_t>(named - fields_.begin());
      return true;
    }
    target_ = format_.target == "first" ? 0 : columns_ - 1;
    if (index) {
      if (*index < 0 || *index >= static_cast<int64_t>(columns_))
        fail(text::cat("has columns 0 to ", columns_ - 1, ", but the target is column ", *index,
                       " (option csv.target)"));
      target_ = static_cast<size_t>(*index);
    }
    if (format_.header != "auto") return format_.header == "yes";
    for (size_t i = 0; i < columns_; ++i)
      if (i != target_ && !text::to_number(fields_[i])) return true;
    return false;
  }

  void split(std::string_view line) {
    fields_.clear();
    unquoted_.clear();
    size_t at = 0;
    for (;;) {
      if (separator_ == ' ') {  // any number of blanks separates
        while (at < line.size() && trimmed(line.substr(at, 1)).empty()) ++at;
        if (at >= line.size()) return;
      }
      if (at < line.size() && line[at] == '"') {
        at = quoted(line, at);
      } else {
        const size_t end = std::min(line.find(separator_, at), line.size());
        fields_.push_back(trimmed(line.substr(at, end - at)));
        at = end;
      }
      if (at >= line.size()) return;
      ++at;  // the separator; what follows it is a field, even if empty
    }
  }

  /// Takes the field whose opening quote is at `at`; returns the place of the separator after it.
  size_t quoted(std::string_view line, size_t at) {
    std::string value;
    for (++at;; ++at) {
      if (at >= line.size()) fail("has a quote that is not closed");
      if (line[at] != '"') {
        value += line[at];
      } else if (at + 1 < line.size() && line[at + 1] == '"') {
        value += '"';
        ++at;
      } else {
        break;
      }
    }
    const size_t end = std::min(line.find(separator_, at + 1), line.size());
    if (!trimmed(line.substr(at + 1, end - at - 1)).empty())
      fail("has text behind a closing quote");
    unquoted_.push_back(std::make_unique<std::string>(std::move(value)));
    fields_.push_back(trimmed(*unquoted_.back()));
    return end;
  }

  [[noreturn]] void fail(const std::string& what) const {
    file_.fail(text::cat("line ", line_, " ", what));
  }

  InputFile& file_;
  const CsvFormat& format_;
  char separator_ = ',';
  size_t columns_ = 0, target_ = 0;
  int64_t line_ = 0;
  std::vector<std::string_view> fields_;
  std::vector<std::unique_ptr<std::string>> unquoted_;  // what quoted fields refer to
  std::vector<float> values_;
  CsvTable table_;
};

}  // namespace

CsvTable read_csv(const std::string& path, const CsvFormat& format) {
  InputFile file(path);
  return CsvParser(file, format).parse();
}

}  // namespace altprop::data
