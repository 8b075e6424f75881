#include "altprop/theory/study.h"

#include <algorithm>
#include <chrono>

#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/theory/page.h"

namespace altprop::theory {

namespace fs = std::filesystem;

namespace {

std::string document(const nlohmann::json& json) {
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

nlohmann::json read(const fs::path& file) {
  nlohmann::json out;
  try {
    out = read_json_file(file);
  } catch (const Error& error) {
    throw Error(std::string(error.what()) + "; remove it, and its cells are computed again");
  }
  if (!out.is_object())
    throw Error("'" + file.string() + "' is damaged; remove it, and its cells are computed again");
  return out;
}

fs::path cell_file(const fs::path& folder, int64_t width, double lambda) {
  return folder / "cells" / text::cat("p", width, "-lambda", text::from_number(lambda), ".json");
}

bool is_cell(const fs::path& file) {
  const std::string name = file.filename();
  return name.starts_with("p") && name.find("-lambda") != std::string::npos &&
         (name.ends_with(".json") || name.ends_with(".json.part"));
}

void remove_study(const fs::path& folder) {
  remove_files(folder / ".",
               {"settings.json", "summary.json", "alignment.svg", "loss.svg", "report.html"});
  // Not in a folder that stands elsewhere and has only been linked to.
  if (!is_own_folder(folder / "cells")) return;
  std::error_code error;
  std::vector<std::string> cells;
  for (const auto& entry : fs::directory_iterator(folder / "cells", error))
    if (is_cell(entry.path())) cells.push_back(entry.path().filename());
  remove_files(folder / "cells", cells);
}

/// Sees that the folder may be used; makes it where it is missing. @returns whether it holds this
/// study
bool open_folder(const nlohmann::json& shared, const fs::path& folder, Existing existing) {
  std::error_code error;
  if (folder.empty()) throw UsageError("option 'out' must name a folder, but is empty");
  if (fs::exists(folder, error) && !fs::is_directory(folder, error))
    throw UsageError("'" + folder.string() + "' is no folder; choose another --out");
  const bool holds = fs::exists(folder, error) && !fs::is_empty(folder, error);
  if (holds && existing == Existing::Refuse)
    throw UsageError("'" + folder.string() +
                     "' already holds something; choose another --out, add --resume to go on with "
                     "a study there, or "
                     "--overwrite");
  if (holds && existing == Existing::Resume) {
    if (!fs::exists(folder / "settings.json"))
      throw UsageError("'" + folder.string() +
                       "' holds no study: it has no settings.json; choose another --out");
    const nlohmann::json there = read(folder / "settings.json");
    for (const auto& [key, value] : shared.items())
      if (!there.contains(key) || there[key] != value)
        throw UsageError(text::cat("the study in '", folder.string(), "' has ", key, " ",
                                   there.value(key, nlohmann::json()).dump(), " and not ",
                                   value.dump(), "; choose another --out"));
    return true;
  }
  fs::create_directories(folder / "cells", error);
  if (error) throw Error("the folder '" + folder.string() + "' cannot be made: " + error.message());
  return false;
}

std::vector<nlohmann::json> cells_in(const fs::path& folder) {
  std::vector<nlohmann::json> cells;
  for (const auto& entry : fs::directory_iterator(folder / "cells"))
    if (entry.path().extension() == ".json") cells.push_back(read(entry.path()));
  std::sort(cells.begin(), cells.end(), [](const nlohmann::json& a, const nlohmann::json& b) {
    return std::pair{a["lambda"].get<double>(), a["p"].get<int64_t>()} <
           std::pair{b["lambda"].get<double>(), b["p"].get<int64_t>()};
  });
  return cells;
}

nlohmann::json write_summary(const nlohmann::json& shared, const fs::path& folder,
                             const std::string& command, const std::string& status) {
  nlohmann::json summary = shared;
  summary["status"] = status;
  summary["command"] = command;
  summary["altprop_version"] = version();
  summary["cells"] = cells_in(folder);
  write_atomically(folder / "summary.json", document(summary));
  write_page(summary, folder);
  return summary;
}

}  // namespace

nlohmann::json run_study(StudySettings settings, const fs::path& folder, Existing existing,
                         const std::string& command, const StudyTrace& trace) {
  settings.complete();
  const nlohmann::json shared = settings.shared();
  const bool continued = open_folder(shared, folder, existing);
  const FolderLock lock(folder);  // before anything is removed: a study may be running there
  if (!continued) {
    remove_study(folder);
    write_atomically(folder / "settings.json", document(shared));
  }
  for (int64_t width : settings.widths())
    for (double lambda : settings.lambdas()) {
      const fs::path file = cell_file(folder, width, lambda);
      if (fs::exists(file)) {
        const nlohmann::json cell = read(file);
        if (cell.value("repetitions", int64_t{0}) != settings.repetitions)
          throw UsageError(text::cat("'", file.string(), "' has ",
                                     cell.value("repetitions", int64_t{0}), " repetitions and not ",
                                     settings.repetitions,
                                     "; ask for as many, or remove the file"));
        if (trace.on_cell) trace.on_cell(cell, false);
        continue;
      }
      const auto start = std::chrono::steady_clock::now();
      nlohmann::json cell;
      try {
        const CellTrace within{[&](int64_t done, int64_t all) {
                                 if (trace.progress) trace.progress(width, lambda, done, all);
                               },
                               trace.stop_requested};
        cell = run_cell(settings.cell(width, lambda), within);
      } catch (const Interrupted&) {
        return write_summary(shared, folder, command, "interrupted");
      }
      cell["form"] = settings.form;
      cell["seconds"] =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      write_atomically(file, document(cell));
      if (trace.on_cell) trace.on_cell(cell, true);
      write_summary(shared, folder, command, "running");
    }
  return write_summary(shared, folder, command, "done");
}

}  // namespace altprop::theory
