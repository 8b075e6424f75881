// Tables of numbers as text: one sample a record, numbers and one target.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

struct CsvFormat {
  char separator = 0;           ///< 0: guessed from the first records; ' ': any number of blanks
  std::string header = "auto";  ///< "yes", "no"; "auto": see read/csv_header.h
  std::string target = "last";  ///< "first", "last", a column's name (needs a header) or its number
                                ///< from 0; "" : there is none
  std::vector<std::string> leave_out;  ///< columns that are no features, by name or number from 0
  bool decimal_comma = false;          ///< numbers are written 1,5
  bool missing_words = true;           ///< NA and the like are no values; else the empty field only
  /// A file that a trained network is applied to: the target's column may be missing, and nothing
  /// can be done about features any more.
  bool applied = false;
  std::string id;  ///< column that names the samples, by name; "": there is none
};

struct CsvTable {
  Tensor features;                   ///< float64 [N, features]
  std::vector<std::string> targets;  ///< as written, without blanks around; empty if there is no
                                     ///< target column
  std::vector<std::string> ids;      ///< of format.id, as written; empty if there is none
  std::vector<int64_t> lines;        ///< line of each target, from 1, for error sentences

  /// How the file is laid out; names are empty without a header.
  struct Columns {
    std::vector<std::string> names;  ///< of all columns, in the order of the file
    std::vector<int64_t> features;   ///< numbers of the columns that are features, in their order
    int64_t target = -1;             ///< number of the target column; -1: none
    int64_t count = 0;
    char separator = 0;  ///< that was found between them
  } columns;
};

/// Reads a file, which may be gzip-compressed. @param like the columns of the file that this one
/// has to agree with: where both have headers, columns are found by their names, else by their
/// places. @throws Error naming file, line and column
CsvTable read_csv(const std::string& path, const CsvFormat& format,
                  const CsvTable::Columns* like = nullptr);

/// How a file is laid out, from its first records. @throws Error as read_csv
CsvTable::Columns read_csv_columns(const std::string& path, const CsvFormat& format);

}  // namespace altprop::data
