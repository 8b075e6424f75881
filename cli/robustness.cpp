// `altprop robustness RUN...`: trained networks on corrupted images.
#include "altprop/train/robustness.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/corrupt/corruption.h"
#include "command.h"

namespace altprop::cli {

void add_robustness(CLI::App& program) {
  struct Arguments {
    std::vector<std::string> dirs;
    std::string corruptions = "all";
    bool json = false, list = false;
    RobustnessSettings settings;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand(
      "robustness", "Test trained networks on corrupted images: accuracy under each corruption");
  app->add_option("dirs", a->dirs, "folders of runs or comparisons")->type_name("<folder>");
  app->add_option("--corruptions", a->corruptions,
                  "names separated by commas, or all; --list-corruptions says which there are")
      ->capture_default_str();
  app->add_flag("--list-corruptions", a->list, "what the corruptions do, and end");
  app->add_option("--seed", a->settings.seed, "of what is random in the corruptions")
      ->capture_default_str();
  app->add_option("--state", a->settings.state,
                  "which weights: auto (best if there are validation data)|best|last")
      ->check(CLI::IsMember({"auto", "best", "last"}));
  app->add_option("--data-dir", a->settings.data_dir, "folder of the data sets")
      ->type_name("<folder>");
  app->add_flag("--json", a->json, "print JSON");
  app->callback([a] {
    if (a->list) {
      for (const data::Corruption& one : data::corruptions())
        std::printf("%-14s %s\n", one.name.c_str(), one.help.c_str());
      return;
    }
    if (a->dirs.empty())
      throw UsageError("name the folder of a run or of a comparison, as in robustness runs/a");
    RobustnessSettings settings = a->settings;
    for (const std::string& dir : a->dirs) settings.folders.emplace_back(dir);
    if (a->corruptions != "all")
      for (const std::string& name : text::split(a->corruptions, ','))
        settings.corruptions.push_back(text::trim(name));
    const nlohmann::json found = robustness(
        settings, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
    if (found.contains("interrupted")) {
      exit_code = 1;
      std::fprintf(stderr, "interrupted; what follows is of the runs before\n");
    }
    std::printf("%s", a->json ? (found.dump(2) + "\n").c_str() : robustness_table(found).c_str());
  });
}

}  // namespace altprop::cli
