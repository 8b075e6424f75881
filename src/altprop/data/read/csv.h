// Tables of numbers as text (RFC 4180, without line breaks inside quotes): one sample a line.
#pragma once

#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

struct CsvFormat {
  char separator = 0;  ///< 0: the most frequent of , ; tab in the first line, else blank
  std::string header =
      "auto";  ///< "yes", "no"; "auto": yes if the first line's features are not all numbers
  std::string target =
      "last";  ///< "first", "last", a column name (needs a header) or a number from 0
};

struct CsvTable {
  Tensor features;                   ///< float32 [N, columns - 1]
  std::vector<std::string> targets;  ///< as written, trimmed
  std::vector<int64_t> lines;        ///< line number of each sample, from 1, for error sentences
};

/// The file may be gzip-compressed. @throws Error naming file, line and column
CsvTable read_csv(const std::string& path, const CsvFormat& format);

}  // namespace altprop::data
