// `altprop diff A B`: what two runs or comparisons have differently.
#include "altprop/report/differences.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/report/unfinished.h"
#include "altprop/train/changed_settings.h"
#include "command.h"
#include "look_back.h"

namespace altprop::cli {

namespace {

report::Side side_of(const std::string& dir) {
  report::Side out{dir, report::read_records(std::filesystem::path(dir)), {}};
  nlohmann::json settings = nlohmann::json(nullptr);
  if (out.records.comparison) {
    settings = report::read_config(std::filesystem::path(dir) / "config.toml", "config.toml",
                                   out.records.notes);
  } else {
    settings = out.records.runs[0].summary.value("settings", nlohmann::json(nullptr));
  }
  out.settings = settings_as_text(settings);
  say_notes(out.records, dir);
  return out;
}

}  // namespace

void add_diff(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "diff", "Settings that differ and results of two runs or comparisons, side by side");
  auto a = std::make_shared<std::string>(), b = std::make_shared<std::string>();
  app->add_option("a", *a, "folder of a run or comparison")->required();
  app->add_option("b", *b, "folder of another")->required();
  add_examples(*app, {"diff runs/a runs/b"});
  app->callback([=] {
    const report::Side one = side_of(*a), other = side_of(*b);
    if (one.records.comparison != other.records.comparison)
      throw UsageError("'" + (one.records.comparison ? *a : *b) +
                       "' is a comparison and the other is a run; name one of its runs");
    std::printf("%s", report::difference_text(one, other, report::look_of_output()).c_str());
  });
}

}  // namespace altprop::cli
