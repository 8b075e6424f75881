// The records of epochs as a table: one row an epoch, one column a number, for other programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "altprop/report/records.h"

namespace altprop::report {

/// A record's fields by the names of columns: objects become "figures.NAME", the entries of a list
/// "gradient.fc1.weight.cosine" by their names ("ode_credit.NAME.STEP.STAGE.cosine" of solvers), or
/// by their places where they have none; lists of numbers stay as they are.
nlohmann::json flat(const nlohmann::json& record);

/// All epochs of all runs: `folder`, `label` and `seed` first, then the fields that any of them
/// has. A field that a record lacks is null.
struct FlatTable {
  std::vector<std::string> columns;
  std::vector<nlohmann::json> rows;  ///< objects
};
FlatTable flat_table(const Records& records);

/// With a line of names, quoted as RFC 4180 has it; null is empty, a list its JSON.
std::string csv(const FlatTable& table);
/// A list of objects, one a row, all with all columns.
nlohmann::json json_rows(const FlatTable& table);

}  // namespace altprop::report
