// A study: cells over widths and regularisations, in a folder.
//
//   settings.json    what all cells share
//   cells/           a file per finished cell; it is not computed again
//   summary.json     {settings..., cells: [...]}, the cells as run_cell gives them, with form and
//   seconds alignment.svg    cos(b, beta) against width, a line per lambda loss.svg         loss
//   against step at the greatest width, a line per lambda report.html      table and plots in one
//   file
#pragma once

#include <filesystem>

#include "altprop/theory/settings.h"

namespace altprop::theory {

/// What to do with a folder that holds something.
enum class Existing {
  Refuse,
  Resume,     ///< go on with a study of the same shared settings; widths and lambdas may be added
  Overwrite,  ///< replace the study there
};

struct StudyTrace {
  std::function<void(const nlohmann::json& cell, bool computed)> on_cell;
  /// @param done of `all` repetition steps of this cell
  std::function<void(int64_t width, double lambda, int64_t done, int64_t all)> progress;
  std::function<bool()> stop_requested;
};

/// Computes what is missing and writes the records after every cell.
/// @returns what summary.json holds; its "status" is done or interrupted
/// @throws UsageError if the folder does not fit
nlohmann::json run_study(StudySettings settings, const std::filesystem::path& folder,
                         Existing existing, const std::string& command,
                         const StudyTrace& trace = {});

}  // namespace altprop::theory
