// `altprop report`: one page of any runs and comparisons.
#include <cstdio>
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/report/html_report.h"
#include "command.h"

namespace altprop::cli {

namespace {

/// The page's file: what ends in .html is one, everything else a folder.
std::filesystem::path page_of(const std::vector<std::string>& dirs, const std::string& out) {
  namespace fs = std::filesystem;
  if (out.empty() && dirs.size() > 1)
    throw UsageError(
        "a report of several folders needs -o: the file to write, as in -o runs/all.html");
  const fs::path named = out.empty() ? dirs[0] : out;
  const std::string ending = text::lower(named.extension().string());
  if (!out.empty() && (ending == ".html" || ending == ".htm")) return named;
  std::error_code error;
  if (!out.empty()) fs::create_directories(named, error);
  if (error) throw Error("the folder '" + named.string() + "' cannot be made: " + error.message());
  return named / "report.html";
}

}  // namespace

void add_report(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "report", "Write one HTML page of runs and comparisons, also of those that go on");
  auto dirs = std::make_shared<std::vector<std::string>>();
  auto out = std::make_shared<std::string>();
  app->add_option("dir", *dirs, "folders of runs or comparisons")->required();
  app->add_option("-o,--out", *out,
                  "file (.html) or folder to write to; of one folder, its own report.html")
      ->type_name("<file>");
  add_examples(*app, {"report runs/three", "report runs/three runs/kp runs/fa -o runs/all.html"});
  app->callback([=] {
    const std::filesystem::path page = page_of(*dirs, *out);
    report::write(*dirs, page);
    std::printf("%s\n", page.string().c_str());
  });
}

}  // namespace altprop::cli
