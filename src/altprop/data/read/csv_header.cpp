#include "altprop/data/read/csv_header.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/csv_number.h"

namespace altprop::data {

namespace {

constexpr const char* kSayIt = "; say which with option csv.header (yes or no)";

/// Also one that is refused where it is read: it is no name either.
bool is_number(std::string_view field) {
  return parse_number(field) || is_comma_number(field) || is_infinite(field);
}

/// A damaged number rather than a name.
bool begins_as_number(std::string_view field) {
  return !field.empty() && std::string_view("0123456789+-.,").find(field[0]) != field.npos;
}

std::string shown_field(std::string_view field) { return text::printable(std::string(field), 40); }

std::string list_of(const std::set<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (out.size() == 3) {
      out.push_back(text::cat("and ", names.size() - 3, " more"));
      break;
    }
    out.push_back("'" + shown_field(name) + "'");
  }
  return text::join(out, ", ");
}

/// 0, 1, 2, ...: what pandas writes for columns without names.
bool counts_columns(const Record& record, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (record[i] != std::to_string(i)) return false;
  return true;
}

/// Where the columns of `like` are in a file with the header `names`.
CsvTable::Columns matched(const RecordReader& reader, int64_t line, std::vector<std::string> names,
                          const CsvFormat& format, const CsvTable::Columns& like) {
  std::unordered_map<std::string, int64_t> places;
  std::set<std::string> twice, missing, added;
  for (size_t i = 0; i < names.size(); ++i)
    if (!places.emplace(names[i], static_cast<int64_t>(i)).second) twice.insert(names[i]);
  const std::set<std::string> known(like.names.begin(), like.names.end());
  if (known.size() != like.names.size() || !twice.empty()) {
    if (names == like.names) {
      CsvTable::Columns same = like;
      if (format.target.empty()) same.target = -1;
      return same;
    }
    reader.fail(line,
                text::cat("is another header than that of the training file, and columns cannot be "
                          "found by their names because ",
                          twice.empty() ? "some names there" : list_of(twice), " occur twice"));
  }
  CsvTable::Columns out;
  out.count = static_cast<int64_t>(names.size());
  const auto find = [&](int64_t column) {
    const std::string& name = like.names[static_cast<size_t>(column)];
    const auto at = places.find(name);
    if (at == places.end()) missing.insert(name);
    return at == places.end() ? -1 : at->second;
  };
  for (int64_t column : like.features) out.features.push_back(find(column));
  if (like.target >= 0 && !format.target.empty() &&
      (!format.applied || places.count(like.names[static_cast<size_t>(like.target)])))
    out.target = find(like.target);
  for (const std::string& name : names)
    if (!known.count(name) && !std::count(format.leave_out.begin(), format.leave_out.end(), name))
      added.insert(name);
  if (!missing.empty())
    reader.fail(line, "has no column " + list_of(missing) + ", which the training file has");
  if (!added.empty())
    reader.fail(line, "has column " + list_of(added) +
                          ", which the training file does not have; option " +
                          (format.applied ? "leave-out" : "csv.leave-out") + " leaves columns out");
  out.names = std::move(names);
  return out;
}

int64_t column_of(const RecordReader& reader, const std::string& wanted, int64_t line,
                  const std::vector<std::string>& names, int64_t count, const char* use) {
  if (const auto number = text::to_integer(wanted)) {
    if (*number < 0 || *number >= count)
      reader.fail(line,
                  text::cat("has columns 0 to ", count - 1, ", but ", use, " column ", *number));
    return *number;
  }
  const auto at = std::find(names.begin(), names.end(), wanted);
  if (at == names.end())
    reader.fail(line, "has no column '" + shown_field(wanted) + "', but " + use + " it");
  if (std::count(names.begin(), names.end(), wanted) > 1)
    reader.fail(line, "has several columns '" + shown_field(wanted) + "', and " + use +
                          " one of them; give its number from 0");
  return at - names.begin();
}

}  // namespace

bool lacks_target(const CsvFormat& format, int64_t count, const CsvTable::Columns& like) {
  if (like.target < 0 || count != like.count - 1) return false;
  return format.applied || (format.target.empty() && like.target == like.count - 1);
}

bool needs_header(const CsvFormat& format) {
  const auto by_name = [](const std::string& column) { return !text::to_integer(column); };
  return (format.target != "first" && format.target != "last" && !format.target.empty() &&
          by_name(format.target)) ||
         std::any_of(format.leave_out.begin(), format.leave_out.end(), by_name);
}

std::string column_text(const CsvTable::Columns& columns, size_t column) {
  std::string out = text::cat("column ", column);
  if (column < columns.names.size() && !columns.names[column].empty())
    out += " ('" + shown_field(columns.names[column]) + "')";
  return out;
}

CsvTable::Columns find_columns(const RecordReader& reader, const Record& header, bool has_header,
                               const CsvFormat& format, const CsvTable::Columns* like) {
  const int64_t line = header.line();
  CsvTable::Columns out;
  out.count = static_cast<int64_t>(header.size());
  if (has_header)
    for (size_t i = 0; i < header.size(); ++i) out.names.emplace_back(header[i]);
  if (like && has_header && !like->names.empty())
    return matched(reader, line, std::move(out.names), format, *like);
  if (like) {
    const bool lacks = lacks_target(format, out.count, *like);
    if (out.count != like->count && !lacks)
      reader.fail(line, text::cat("has ", out.count, " fields, but the training file has ",
                                  like->count, " columns"));
    // Else the column that is missing may as well be one of those.
    if (lacks && format.applied && static_cast<int64_t>(like->features.size()) != like->count - 1)
      reader.fail(line, text::cat("has ", out.count,
                                  " fields and no header, but the training file "
                                  "has ",
                                  like->count,
                                  " columns of which some are no features, so "
                                  "that it is not known which one is missing; give both a header"));
    out.features = like->features;
    if (lacks)
      for (int64_t& feature : out.features) feature -= feature > like->target;
    out.target = format.target.empty() || lacks ? -1 : like->target;
    return out;
  }
  std::vector<bool> feature(header.size(), true);
  for (const std::string& column : format.leave_out)
    feature[static_cast<size_t>(column_of(reader, column, line, out.names, out.count,
                                          "option csv.leave-out names"))] = false;
  if (format.target == "first" || format.target == "last") {
    // Of what is not left out: an id often is the first or the last column.
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < out.count; ++i)
      if (feature[static_cast<size_t>(i)]) kept.push_back(i);
    if (!kept.empty()) out.target = format.target == "first" ? kept.front() : kept.back();
  } else if (!format.target.empty()) {
    out.target =
        column_of(reader, format.target, line, out.names, out.count, "option csv.target names");
    if (!feature[static_cast<size_t>(out.target)])
      reader.fail(line,
                  text::cat("has its target in ", column_text(out, static_cast<size_t>(out.target)),
                            ", which option csv.leave-out leaves out"));
  }
  if (out.target >= 0) feature[static_cast<size_t>(out.target)] = false;
  for (int64_t i = 0; i < out.count; ++i)
    if (feature[static_cast<size_t>(i)]) out.features.push_back(i);
  for (int64_t i : out.features)
    if (has_header && format.header == "auto" && out.names[static_cast<size_t>(i)].empty())
      reader.fail(line, text::cat("is a header without a name for column ", i,
                                  ", as that of row numbers which pandas writes; name it, leave it "
                                  "out with option csv.leave-out=", i,
                                  ", or take it as a feature with csv.header=yes"));
  if (out.features.empty())
    reader.fail(line, out.count == 1
                          ? "has a single column; a feature and a target are needed (see option "
                            "csv.separator)"
                          : "has no feature column that is not left out");
  return out;
}

bool is_header(const RecordReader& reader, const std::vector<Record>& first,
               const CsvTable::Columns& columns, const CsvFormat& format) {
  const Record& line = first.front();
  const auto number = [&](const Record& record, int64_t column) {
    return static_cast<size_t>(column) < record.size() &&
           is_number(record[static_cast<size_t>(column)]);
  };
  // Of the records below, at least one.
  const auto numbers_below = [&](int64_t column) {
    return first.size() > 1 && std::all_of(first.begin() + 1, first.end(),
                                           [&](const Record& r) { return number(r, column); });
  };
  size_t named = 0, nameless = 0;
  int64_t odd = -1;  // the first column of features with text over numbers
  bool text_below = false;
  for (int64_t column : columns.features) {
    if (number(line, column)) continue;
    ++named;
    nameless += is_missing(line[static_cast<size_t>(column)]);
    if (odd < 0 && (first.size() == 1 || numbers_below(column))) odd = column;
    text_below = text_below || (first.size() > 1 && !numbers_below(column));
  }
  const int64_t t = columns.target;
  const bool target_named = t >= 0 && !number(line, t) && !is_missing(line[static_cast<size_t>(t)]);
  const auto doubt = [&](const std::string& what) {
    reader.fail(line.line(), what + ": it may be a header or a damaged sample" + kSayIt);
  };
  if (named == 0) {
    if (target_named && numbers_below(t)) {
      const std::string_view name = line[static_cast<size_t>(t)];
      if (!begins_as_number(name)) return true;
      doubt(text::cat("has '", shown_field(name), "' over the numbers of column ", t));
    }
    const bool counted = line.size() >= 3 && counts_columns(line, line.size() - 1);
    const bool last_is_target = t == static_cast<int64_t>(line.size()) - 1;
    const std::string last = counted ? std::string(line[line.size() - 1]) : "";
    if (counted && (last == std::to_string(line.size() - 1) ||
                    (last_is_target && target_named &&
                     std::none_of(first.begin() + 1, first.end(), [&](const Record& r) {
                       return r.size() == line.size() && r[r.size() - 1] == last;
                     }))))
      doubt("counts the columns from 0 on, as tables without column names do");
    return false;
  }
  const size_t features = columns.features.size();
  const bool all = named == features && nameless <= (features > 1 ? 1u : 0u);
  if (all && (target_named || t < 0)) {
    if (t < 0 || numbers_below(t)) return true;
    const std::string_view name = line[static_cast<size_t>(t)];
    const auto same = std::find_if(first.begin() + 1, first.end(), [&](const Record& r) {
      return static_cast<size_t>(t) < r.size() && r[static_cast<size_t>(t)] == name;
    });
    if (same == first.end()) return true;
    doubt(text::cat("has no number in its features, but '", shown_field(name),
                    "' for a target as line ", same->line(), " has"));
  }
  // A column of text, say of names, in all lines: no header, and refused where it is read.
  if (odd < 0 && text_below) return false;
  if (odd < 0) odd = columns.features.front();
  doubt(text::cat("has '", shown_field(line[static_cast<size_t>(odd)]), "' in column ", odd,
                  ", but numbers in other columns or names that are missing"));
  return false;
}

}  // namespace altprop::data
