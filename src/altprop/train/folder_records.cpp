#include "altprop/train/folder_records.h"

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> record_files() {
  return {"config.toml",   "compare.json",   "metrics.jsonl", kNewestCheckpoint,
          kBestCheckpoint, kExportedWeights, "summary.json",  "report.html",
          kDeployment,     "sweep.json",     "result.json"};
}

std::vector<std::string> part_files() {
  std::vector<std::string> out;
  for (const std::string& file : record_files()) out.push_back(file + ".part");
  return out;
}

/// The folders of a comparison's runs, as its record names them. @throws Error if it does not
std::vector<std::string> run_folders(const fs::path& record) {
  try {
    return read_json_file(record).at("folders").get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception&) {
    throw Error("'" + record.string() + "' does not name the folders of its runs");
  }
}

bool is_a_name(const std::string& folder) {
  return !folder.empty() && folder != "." && folder != ".." &&
         folder.find('/') == std::string::npos && folder.find('\0') == std::string::npos;
}

}  // namespace

void remove_parts(const fs::path& dir) { remove_files(dir / ".", part_files()); }

std::vector<std::string> remove_records(const fs::path& dir) {
  std::vector<std::string> left;
  std::error_code error;
  for (const char* plan : {"compare.json", "sweep.json"}) {
    if (!fs::exists(dir / plan, error)) continue;
    try {
      for (const std::string& folder : run_folders(dir / plan)) {
        const fs::path run = dir / folder;
        if (!is_a_name(folder)) {
          left.push_back("'" + folder + "', which '" + (dir / plan).string() +
                         "' names as the folder of a run, is not in '" + dir.string() +
                         "' and was left alone");
        } else if (remove_files(run, record_files()) && remove_files(run, part_files())) {
          remove_empty_folder(run);
        } else if (fs::symlink_status(run, error).type() != fs::file_type::not_found) {
          left.push_back("'" + run.string() + "' is a link or no folder and was left alone");
        }
      }
    } catch (const Error& unreadable) {
      left.push_back(std::string(unreadable.what()) +
                     "; what the folders of runs hold was left alone");
    }
  }
  remove_files(dir / ".", record_files());
  remove_parts(dir);
  return left;
}

}  // namespace altprop
