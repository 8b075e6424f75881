#include "altprop/data/read/csv.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/csv_header.h"
#include "altprop/data/read/csv_number.h"
#include "altprop/data/read/records.h"

namespace altprop::data {

namespace {

// Records that are looked at before it is decided what the first one is.
constexpr size_t kLookAhead = 64, kLookAheadFields = size_t{1} << 20;

class TableReader {
 public:
  TableReader(InputFile& file, const CsvFormat& format, const CsvTable::Columns* like)
      : file_(file), reader_(file), format_(format), like_(like) {
    separator_ = format.separator ? format.separator : reader_.guess_separator();
    // A single column has none, and its name may have blanks in it.
    if (!format.separator && format.applied && like && like->features.size() == 1 &&
        separator_ == ' ')
      separator_ = like->separator;
    reader_.set_separator(separator_);
  }

  CsvTable::Columns columns() {
    begin();
    return std::move(table_.columns);
  }

  CsvTable read() {
    std::vector<Record> first = begin();
    for (const Record& record : first) take(record);
    first.clear();
    Record record;
    while (reader_.next(record)) take(record);
    if (table_.lines.empty()) file_.fail("has no samples");
    const auto n = static_cast<int64_t>(table_.lines.size()),
               features = static_cast<int64_t>(table_.columns.features.size());
    values_.shrink_to_fit();
    auto owner = std::make_shared<std::vector<double>>(std::move(values_));
    table_.features = at::from_blob(
        owner->data(), {n, features}, [owner](void*) {}, at::kDouble);
    return std::move(table_);
  }

 private:
  /// Finds the columns. @returns the records that were looked at for that, without the header
  std::vector<Record> begin() {
    std::vector<Record> first;
    for (size_t fields = 0; first.size() < kLookAhead && fields < kLookAheadFields;) {
      Record record;
      if (!reader_.next(record)) break;
      fields += record.size();
      first.push_back(std::move(record));
    }
    if (first.empty()) file_.fail("has no samples");
    const bool header = begins_with_header(first);
    table_.columns = find_columns(reader_, first.front(), header, format_, like_);
    table_.columns.separator = separator_;
    slots_.assign(static_cast<size_t>(table_.columns.count), -1);
    for (size_t i = 0; i < table_.columns.features.size(); ++i)
      slots_[static_cast<size_t>(table_.columns.features[i])] = static_cast<int64_t>(i);
    if (!format_.id.empty()) id_ = column_named(format_.id, first.front().line());
    if (header) first.erase(first.begin());
    return first;
  }

  int64_t column_named(const std::string& name, int64_t line) const {
    const std::vector<std::string>& names = table_.columns.names;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end())
      reader_.fail(line, text::cat(names.empty() ? "is no header, so that there is no column '"
                                                 : "has no column '",
                                   text::printable(name, 40),
                                   "', which is to name the samples; leave that option out"));
    return found - names.begin();
  }

  bool begins_with_header(const std::vector<Record>& first) {
    if (format_.header != "auto") return format_.header == "yes";
    if (needs_header(format_) && !like_) return true;
    const Record& line = first.front();
    if (like_ && !like_->names.empty()) {
      std::vector<std::string> here, there = like_->names;
      for (size_t i = 0; i < line.size(); ++i) here.emplace_back(line[i]);
      std::sort(here.begin(), here.end());
      std::sort(there.begin(), there.end());
      if (here == there) return true;
      const auto named = [&](int64_t feature) {
        return std::binary_search(here.begin(), here.end(),
                                  like_->names[static_cast<size_t>(feature)]);
      };
      if (format_.applied && std::all_of(like_->features.begin(), like_->features.end(), named))
        return true;
    }
    const CsvTable::Columns* by_place =
        like_ && like_->count == static_cast<int64_t>(line.size()) ? like_ : nullptr;
    CsvFormat plain = format_;
    if (like_ && !by_place) {                  // with other columns, which only names can tell
      if (format_.applied) plain.target = "";  // which may be missing
      if (plain.target != "first" && !plain.target.empty()) plain.target = "last";
      plain.leave_out.clear();
    }
    return is_header(reader_, first, find_columns(reader_, line, false, plain, by_place), format_);
  }

  void take(const Record& record) {
    const CsvTable::Columns& columns = table_.columns;
    if (static_cast<int64_t>(record.size()) != columns.count)
      reader_.fail(record.line(), text::cat("has ", record.size(),
                                            " fields, but the first line has ", columns.count));
    const size_t row = values_.size();
    values_.resize(row + columns.features.size());
    for (size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i] >= 0) values_[row + static_cast<size_t>(slots_[i])] = number(record, i);
    if (id_ >= 0) table_.ids.emplace_back(record[static_cast<size_t>(id_)]);
    if (columns.target >= 0) {
      const auto target = static_cast<size_t>(columns.target);
      check_target(record, target);
      table_.targets.emplace_back(record[target]);
      if (format_.decimal_comma && parse_comma_number(record[target]))
        std::replace(table_.targets.back().begin(), table_.targets.back().end(), ',', '.');
      table_.lines.push_back(record.line(target));
    } else {
      table_.lines.push_back(record.line());
    }
  }

  bool missing(std::string_view field) const {
    return format_.missing_words ? is_missing(field) : field.empty();
  }

  void check_target(const Record& record, size_t column) const {
    const std::string_view field = record[column];
    if (missing(field))
      fail(record, column,
           text::cat("has no target in ", column_text(table_.columns, column),
                     field.empty() ? text::cat("; leave the line out or give it one",
                                               format_.applied ? ", or leave the column out" : "")
                                   : " but " + shown(field) +
                                         ", which stands for a missing value; leave the line out, "
                                         "or set option csv.missing to empty if it is a class"));
    if (!format_.decimal_comma && is_comma_number(field))
      fail(record, column,
           text::cat("has target ", shown(field), " in ", column_text(table_.columns, column),
                     ": for a decimal comma set option csv.decimal to comma, separated thousands "
                     "and lists are not understood"));
  }

  double number(const Record& record, size_t column) const {
    const std::string_view field = record[column];
    const auto value = format_.decimal_comma ? parse_comma_number(field) : parse_number(field);
    // Beyond float32 a feature is as useless as a missing one.
    if (value && std::abs(*value) <= std::numeric_limits<float>::max()) return *value;
    if (value)
      fail(record, column,
           text::cat("has ", shown(field), " in ", column_text(table_.columns, column),
                     ", which is beyond what single precision holds (3.4e38); rescale the column"));
    std::string advice;
    if (is_missing(field))
      advice = text::cat(": the value is missing; leave the line out",
                         format_.applied ? " or fill it"
                                         : ", fill it, or leave the column out with option "
                                           "csv.leave-out");
    else if (!format_.decimal_comma && is_comma_number(field))
      advice =
          "; for a decimal comma set option csv.decimal to comma, separated thousands are not "
          "understood";
    else if (format_.decimal_comma && parse_number(field))
      advice = " with a decimal comma, which option csv.decimal asks for";
    else if (!is_infinite(field) && !format_.applied)
      advice = "; option csv.leave-out leaves a column out";
    fail(record, column,
         text::cat("has ", shown(field), " in ", column_text(table_.columns, column),
                   ", which is not a finite number", advice));
  }

  static std::string shown(std::string_view field) {
    return "'" + text::printable(std::string(field), 40) + "'";
  }

  [[noreturn]] void fail(const Record& record, size_t column, const std::string& what) const {
    reader_.fail(record.line(column), what);
  }

  InputFile& file_;
  RecordReader reader_;
  const CsvFormat& format_;
  const CsvTable::Columns* like_;
  char separator_ = 0;
  int64_t id_ = -1;             // column that names the samples; -1: none
  std::vector<int64_t> slots_;  // of each column: its place among the features, or -1
  std::vector<double> values_;
  CsvTable table_;
};

}  // namespace

CsvTable read_csv(const std::string& path, const CsvFormat& format, const CsvTable::Columns* like) {
  InputFile file(path);
  return TableReader(file, format, like).read();
}

CsvTable::Columns read_csv_columns(const std::string& path, const CsvFormat& format) {
  InputFile file(path);
  return TableReader(file, format, nullptr).columns();
}

}  // namespace altprop::data
