// Whether the first record of a table is a header, and which columns are what.
#pragma once

#include <vector>

#include "altprop/data/read/csv.h"
#include "altprop/data/read/records.h"

namespace altprop::data {

/// Decides from the first records. A header is a record of names over numbers: one that has text in
/// all columns of features and in that of the target, or in the target column alone if the targets
/// below are all numbers. Where some columns have text over numbers and others a number, where
/// names are missing, or where the record counts the columns as pandas does for want of names, it
/// may as well be a damaged sample: this is refused, and option csv.header has to say what it is.
/// Fields behind the last column that the first record has are looked at elsewhere.
/// @return whether the first record is a header. @param columns what is known without the header
/// @throws Error naming the first line, the column and the option
bool is_header(const RecordReader& reader, const std::vector<Record>& first,
               const CsvTable::Columns& columns, const CsvFormat& format);

/// The columns as `format` names them, or as `like` has them. @param header the first record;
/// @param has_header whether it holds names, which are then looked up
/// @throws Error naming the file and what is not found
CsvTable::Columns find_columns(const RecordReader& reader, const Record& header, bool has_header,
                               const CsvFormat& format, const CsvTable::Columns* like);

/// Whether a file without a header that has `count` columns is one as `like`, but for the target's.
bool lacks_target(const CsvFormat& format, int64_t count, const CsvTable::Columns& like);

/// Whether a column is asked for by name, which needs a header.
bool needs_header(const CsvFormat& format);

/// How an error sentence names a column: its number, and its name if it has one.
std::string column_text(const CsvTable::Columns& columns, size_t column);

}  // namespace altprop::data
