#include "altprop/report/flat_records.h"

#include <algorithm>
#include <set>

#include "altprop/base/text.h"

namespace altprop::report {

using nlohmann::json;

namespace {

std::string name_of_entry(const json& entry, size_t place) {
  const std::string name = text_of(entry, "name");
  if (name.empty()) return std::to_string(place);
  std::string out = name;
  for (const char* part : {"step", "stage"})  // of a solver, which is met at many
    if (entry.contains(part) && entry[part].is_number_integer())
      out += "." + entry[part].dump();
  return out;
}

void put(json& out, const std::string& name, const json& value) {
  const bool of_objects =
      value.is_array() && !value.empty() &&
      std::all_of(value.begin(), value.end(), [](const json& one) { return one.is_object(); });
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) put(out, name + "." + key, inner);
  } else if (of_objects) {
    std::set<std::string> taken;
    for (size_t i = 0; i < value.size(); ++i) {
      std::string entry = name_of_entry(value[i], i);
      if (!taken.insert(entry).second) entry += text::cat(".", i);
      for (const auto& [key, inner] : value[i].items())
        if (key != "name") put(out, name + "." + entry + "." + key, inner);
    }
  } else {
    out[name] = value;
  }
}

std::string cell(const json& value) {
  if (value.is_null()) return "";
  std::string s = value.is_string()         ? value.get<std::string>()
                  : value.is_number_float() ? text::from_number(value.get<double>())
                                            : value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (s.find_first_of(",\"\n\r") == std::string::npos) return s;
  std::string quoted = "\"";
  for (const char c : s) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

json flat(const json& record) {
  json out = json::object();
  for (const auto& [key, value] : record.items()) put(out, key, value);
  return out;
}

FlatTable flat_table(const Records& records) {
  FlatTable out;
  out.columns = {"folder", "label", "seed", "epoch"};
  std::set<std::string> known(out.columns.begin(), out.columns.end());
  for (const Run& run : records.runs)
    for (const json& record : epochs_in_order(run)) {
      json row = flat(record);
      row["folder"] = run.folder;
      row["label"] = label_of(run);
      row["seed"] = run.summary.value("seed", json(nullptr));
      for (const auto& [key, value] : row.items())
        if (known.insert(key).second) out.columns.push_back(key);
      out.rows.push_back(std::move(row));
    }
  return out;
}

std::string csv(const FlatTable& table) {
  std::string out;
  for (size_t i = 0; i < table.columns.size(); ++i)
    out += (i ? "," : "") + cell(table.columns[i]);
  out += "\n";
  for (const json& row : table.rows) {
    for (size_t i = 0; i < table.columns.size(); ++i)
      out += (i ? "," : "") + (row.contains(table.columns[i]) ? cell(row[table.columns[i]]) : "");
    out += "\n";
  }
  return out;
}

json json_rows(const FlatTable& table) {
  json out = json::array();
  for (const json& row : table.rows) {
    json full = json::object();
    for (const std::string& column : table.columns)
      full[column] = row.contains(column) ? row[column] : json(nullptr);
    out.push_back(std::move(full));
  }
  return out;
}

}  // namespace altprop::report
