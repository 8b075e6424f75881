#include "altprop/data/read/records.h"

#include <algorithm>
#include <tuple>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"
#include "altprop/data/read/csv_number.h"

namespace altprop::data {

namespace {

constexpr size_t kRead = size_t{1} << 18, kLongestField = size_t{1} << 20;
constexpr size_t kSampleRecords = 32;

bool is_blank(int c) { return c == ' ' || c == '\t'; }

}  // namespace

RecordReader::RecordReader(InputFile& file) : file_(file), buffer_(kRead) {
  buffer_.resize(file.read_some(buffer_.data(), buffer_.size()));
  const std::string_view text(reinterpret_cast<const char*>(buffer_.data()), buffer_.size());
  if (text.starts_with("\xEF\xBB\xBF")) at_ = 3;
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    file.fail("is a UTF-16 text, by its first two bytes; save it as UTF-8");
  if (text.starts_with("PK\3\4"))
    file.fail("is a zip archive or a workbook and no table as text; export it as CSV");
}

RecordReader::RecordReader(InputFile& file, std::string_view sample, char separator)
    : file_(file), separator_(separator), ended_(true), buffer_(sample.begin(), sample.end()) {}

void RecordReader::fail(int64_t line, const std::string& what) const {
  file_.fail(text::cat("line ", line, " ", what));
}

/// The next byte, or -1 at the end.
inline int RecordReader::peek() {
  if (at_ == buffer_.size()) {
    if (ended_) return -1;
    buffer_.resize(kRead);
    buffer_.resize(file_.read_some(buffer_.data(), kRead));
    at_ = 0;
    ended_ = buffer_.empty();
    if (ended_) return -1;
  }
  return buffer_[at_];
}

inline void RecordReader::take() { ++at_; }

inline bool RecordReader::at_line_end() {
  const int c = peek();
  return c < 0 || c == '\n' || c == '\r';
}

void RecordReader::take_line_end() {
  const int c = peek();
  if (c < 0) return;
  take();
  ++line_;
  if (c == '\r' && peek() == '\n') take();
}

inline void RecordReader::skip_blanks() {
  while (is_blank(peek()) && (separator_ == ' ' || peek() != separator_)) take();
}

inline void RecordReader::add(std::string& out, char c) {
  if (c == 0)
    fail(line_,
         "has a zero byte: it is no text, or one of two bytes a character; save it as UTF-8");
  if (out.size() - field_begin_ >= kLongestField)
    fail(field_line_, text::cat("begins a field of more than ", kLongestField,
                                " bytes; is a quote not closed?"));
  out += c;
}

void RecordReader::quoted(std::string& out) {
  take();
  for (;;) {
    const int c = peek();
    if (c < 0) fail(field_line_, "has a quote that is not closed");
    if (c == '\n' || c == '\r') {
      take_line_end();
      add(out, '\n');
      continue;
    }
    take();
    if (c != '"') {
      add(out, static_cast<char>(c));
    } else if (peek() == '"') {
      take();
      add(out, '"');
    } else {
      break;
    }
  }
  const bool separated = separator_ == ' ' && is_blank(peek());
  skip_blanks();
  if (!separated && !at_line_end() && peek() != separator_)
    fail(line_, "has text behind a closing quote");
}

void RecordReader::unquoted(std::string& out) {
  for (;;) {
    const int c = peek();
    if (c < 0 || c == '\n' || c == '\r' || c == separator_ || (separator_ == ' ' && c == '\t'))
      return;
    add(out, static_cast<char>(c));
    take();
  }
}

bool RecordReader::next(Record& out) {
  for (;;) {
    out.bytes_.clear();
    out.fields_.clear();
    // Behind a separator there is a field, even an empty one at the end of the file.
    bool written = false;
    for (bool separated = false; separated || peek() >= 0;) {
      skip_blanks();
      if (separator_ == ' ' && at_line_end()) break;
      field_line_ = line_;
      field_begin_ = out.bytes_.size();
      const bool quotes = peek() == '"';
      quotes ? quoted(out.bytes_) : unquoted(out.bytes_);
      size_t begin = field_begin_, end = out.bytes_.size();
      while (end > begin && is_blank(out.bytes_[end - 1])) --end;
      while (end > begin && is_blank(out.bytes_[begin])) ++begin;
      const std::string_view text = std::string_view(out.bytes_).substr(begin, end - begin);
      const auto high = [](char c) { return static_cast<signed char>(c) < 0; };
      if (std::any_of(text.begin(), text.end(), high) && !text::is_utf8(text))
        fail(field_line_, text::cat("has text in column ", out.fields_.size(),
                                    " that is no UTF-8; save the file as UTF-8"));
      out.fields_.push_back({begin, end - begin, field_line_});
      written = written || quotes || !text.empty();
      if (at_line_end()) break;
      separated = separator_ != ' ';
      if (separated) take();
    }
    // A line of nothing but blanks is none, though "" is a field.
    if (!written && out.fields_.size() == 1) out.fields_.clear();
    const bool more = peek() >= 0;
    take_line_end();
    if (!out.fields_.empty()) return true;
    if (!more) return false;
  }
}

char RecordReader::guess_separator() const {
  const std::string_view sample(reinterpret_cast<const char*>(buffer_.data()) + at_,
                                buffer_.size() - at_);
  const bool whole = buffer_.size() < kRead;
  using Rank = std::tuple<bool, double, size_t>;  // consistent, share of numbers, fields
  Rank best{false, -2, 0};
  char out = ' ';
  for (char separator : {'\t', ';', ',', ' '}) {
    if (separator == ' ' && out == '\t' && std::get<0>(best)) break;  // would join empty fields
    RecordReader reader(file_, sample, separator);
    Record record;
    size_t records = 0, fields = 0, numbers = 0, cells = 0;
    bool consistent = true;
    try {
      while (records < kSampleRecords && reader.next(record)) {
        // The sample may end inside of a record.
        const bool cut = !whole && reader.peek() < 0 && records > 0;
        if (cut) break;
        if (records++ == 0) {
          fields = record.size();
        } else {
          if (record.size() != fields) consistent = false;
        }
        if (records == 2) numbers = cells = 0;  // the first line may be a header
        for (size_t i = 0; i < record.size(); ++i, ++cells)
          numbers += parse_number(record[i]) || (separator != ',' && is_comma_number(record[i]));
      }
    } catch (const Error&) {  // quotes that make no sense with this separator
      if (whole || records == 0) consistent = false;
      if (records == 0) fields = record.size() + 1;
    }
    if (fields < 2) continue;
    double share = cells > 0 ? static_cast<double>(numbers) / static_cast<double>(cells) : -1;
    // Blanks stand in names and behind commas, too.
    if (separator == ' ' && share < 1) share = -1;
    const Rank rank{consistent, share, fields};
    if (rank > best) best = rank, out = separator;
  }
  return out;
}

}  // namespace altprop::data
