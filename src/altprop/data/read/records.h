// CSV as fields, after RFC 4180: quoted fields hold separators, line breaks and doubled quotes.
// Beyond the RFC, blanks around fields and in front of quotes do not count, lines end with LF, CRLF
// or CR alone, empty lines are passed over, and other separators than the comma are understood.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "altprop/data/read/file.h"

namespace altprop::data {

/// The fields of one record. The memory is used again for the next.
class Record {
 public:
  size_t size() const { return fields_.size(); }
  /// Without blanks around it, without quotes.
  std::string_view operator[](size_t i) const {
    return std::string_view(bytes_).substr(fields_[i].begin, fields_[i].size);
  }
  /// The line in which a field begins, from 1; of field 0 that of the record.
  int64_t line(size_t i = 0) const { return fields_[i].line; }

 private:
  friend class RecordReader;
  struct Field {
    size_t begin, size;
    int64_t line;
  };
  std::string bytes_;
  std::vector<Field> fields_;
};

class RecordReader {
 public:
  /// @throws Error if the file begins as a text of two or four bytes a character or as an archive
  explicit RecordReader(InputFile& file);

  /// ',', ';', '\t', or ' ': any number of blanks. To be set before the first record is read.
  void set_separator(char separator) { separator_ = separator; }
  /// The one with which the first records have equally many fields and most of these are numbers.
  char guess_separator() const;

  /// False at the end. @throws Error naming file and line: a quote that is not closed, text behind
  /// a closing one, a zero byte, text that is no UTF-8
  bool next(Record& out);

  [[noreturn]] void fail(int64_t line, const std::string& what) const;

 private:
  RecordReader(InputFile& file, std::string_view sample, char separator);

  int peek();
  void take();
  bool at_line_end();
  void take_line_end();
  void skip_blanks();
  void quoted(std::string& out);
  void unquoted(std::string& out);
  void add(std::string& out, char c);

  InputFile& file_;
  char separator_ = ',';
  int64_t line_ = 1;
  int64_t field_line_ = 1;
  size_t field_begin_ = 0;
  bool ended_ = false;
  std::vector<uint8_t> buffer_;
  size_t at_ = 0;
};

}  // namespace altprop::data
