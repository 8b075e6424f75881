// `altprop show`: what came of runs and comparisons, finished or not, in the terminal.
#include <cstdio>

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/report/confusion.h"
#include "altprop/report/flat_records.h"
#include "altprop/report/show.h"
#include "altprop/train/changed_settings.h"
#include "altprop/train/sweep/sweep.h"
#include "command.h"
#include "look_back.h"

namespace altprop::cli {

namespace {

struct ShowArguments {
  std::vector<std::string> dirs;
  bool csv = false, json = false, classes = false;
};

/// What all runs have in common that is not a default.
std::vector<std::string> chosen_settings(const report::Records& records) {
  std::vector<std::string> out;
  for (const report::Run& run : records.runs) {
    const nlohmann::json settings = run.summary.value("settings", nlohmann::json(nullptr));
    std::vector<std::string> shown = {"net", "data", "seed", "label", "title", "notes", "preset"};
    if (records.comparison) shown.push_back("rule");
    std::vector<std::string> own = changed_settings(settings, shown);
    if (&run == &records.runs.front()) {
      out = std::move(own);
      continue;
    }
    std::erase_if(out, [&](const std::string& line) {
      return std::count(own.begin(), own.end(), line) == 0;
    });
  }
  return out;
}

/// @throws Error if no run has counts of classes
std::string classes_text(const report::Records& records, const std::string& dir,
                         const report::TerminalLook& look) {
  std::string out;
  for (const report::Run& run : records.runs)
    if (const auto table = report::confusion_of(run)) {
      const nlohmann::json seed = run.summary.value("seed", nlohmann::json("?"));
      out += (out.empty() ? "" : "\n") +
             report::heading(text::cat(run.folder, ": ", text::printable(report::label_of(run)),
                                       ", seed ", seed.dump()), look) +
             "\n" + report::confusion_text(*table, look);
    }
  if (out.empty())
    throw Error("'" + dir +
                "' has no counts of classes: they are made when a run of a classifier ends; "
                "'altprop predict' has all predictions");
  return out;
}

void show(const ShowArguments& a) {
  if (a.csv || a.json) {
    report::Records all;
    for (const std::string& dir : a.dirs) {
      report::Records one = report::read_records(std::filesystem::path(dir));
      say_notes(one, dir);
      std::move(one.runs.begin(), one.runs.end(), std::back_inserter(all.runs));
    }
    const report::FlatTable table = report::flat_table(all);
    std::printf("%s", a.csv ? report::csv(table).c_str()
                            : (written(report::json_rows(table)) + "\n").c_str());
    return;
  }
  const report::TerminalLook look = report::look_of_output();
  for (const std::string& dir : a.dirs) {
    if (&dir != &a.dirs.front()) std::printf("\n");
    if (is_sweep(dir) && !a.classes) {
      const nlohmann::json result = sweep_result(dir);
      std::printf("%s\n%s", report::heading(dir + ": a sweep", look).c_str(),
                  sweep_text(result).c_str());
      if (result.at("done") != true)
        std::printf("not done; continue with: altprop resume %s\n", dir.c_str());
      continue;
    }
    const report::Records records = report::read_records(std::filesystem::path(dir));
    std::printf("%s",
                a.classes ? classes_text(records, dir, look).c_str()
                          : report::show_text(records, dir, chosen_settings(records), look).c_str());
  }
}

}  // namespace

void add_show(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "show", "What came of runs or comparisons, also of those that go on or were killed");
  auto a = std::make_shared<ShowArguments>();
  app->add_option("dir", a->dirs, "folders of runs or comparisons")->required();
  auto* csv = app->add_flag("--csv", a->csv, "print the records of all epochs as CSV");
  app->add_flag("--json", a->json, "print the same as a list of objects")->excludes(csv);
  app->add_flag("--classes", a->classes,
                "how well each class is recognised, and what it is taken for")
      ->excludes(csv);
  add_examples(*app, {"show runs/kp", "show runs/three runs/four", "show runs/three --csv"});
  app->callback([=] { show(*a); });
}

}  // namespace altprop::cli
