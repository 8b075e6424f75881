// `altprop list`: what there is, with options, ranges and units.
#include <algorithm>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/optim/direction.h"
#include "altprop/optim/optimizer.h"
#include "altprop/rules/registry.h"
#include "altprop/train/presets.h"
#include "command.h"

namespace altprop::cli {

namespace {

void print_options(const nlohmann::json& options) {
  for (const auto& o : options) {
    std::string range = o.value("range", "");
    if (o.contains("choices"))
      range = text::join(o["choices"].get<std::vector<std::string>>(), "|");
    std::printf("      %-24s %-12s %s%s%s\n", o["name"].get<std::string>().c_str(),
                ("= " + o["default"].get<std::string>()).c_str(),
                o["help"].get<std::string>().c_str(), range.empty() ? "" : ("; " + range).c_str(),
                o.contains("unit") && o["unit"] != "1"
                    ? (" [" + o["unit"].get<std::string>() + "]").c_str()
                    : "");
  }
}

nlohmann::json listing(const std::string& what) {
  nlohmann::json out = nlohmann::json::array();
  if (what == "rules") {
    for (const RuleEntry& entry : rule_entries()) {
      Options options;
      auto rule = entry.make();
      rule->declare(options);
      out.push_back({{"name", entry.name},
                     {"aliases", entry.aliases},
                     {"summary", entry.summary},
                     {"assumes", entry.assumes},
                     {"source", entry.source},
                     {"example_net", entry.example_net},
                     {"example_loss", entry.example_loss},
                     {"options", options.listing()}});
    }
  } else if (what == "nets") {
    for (const ArchitectureEntry& entry : architecture_entries()) {
      Options options;
      auto architecture = entry.make();
      architecture->declare(options);
      out.push_back({{"name", entry.name},
                     {"aliases", entry.aliases},
                     {"summary", entry.summary},
                     {"grammar", entry.grammar},
                     {"example", entry.example},
                     {"source", entry.source},
                     {"options", options.listing()}});
    }
  } else if (what == "data") {
    for (const data::Source& source : data::list()) {
      data::Request request(source.name);
      out.push_back({{"name", source.name},
                     {"aliases", source.aliases},
                     {"summary", source.help},
                     {"options", request.options().listing()}});
    }
  } else if (what == "directions") {
    for (const DirectionEntry& entry : direction_entries())
      out.push_back({{"name", entry.name},
                     {"summary", entry.summary},
                     {"source", entry.source},
                     {"options", direction_options(entry.name)}});
  } else if (what == "presets") {
    out = preset_listing();
  } else if (what == "settings") {
    RunSettings settings;
    Options options;
    settings.declare(options);
    out.push_back({{"name", "settings of every run"}, {"options", options.listing()}});
  } else {
    OptimizerSettings optimizer;
    Schedule schedule;
    Options options;
    optimizer.declare(options);
    schedule.declare(options);
    for (const OptimizerEntry& entry : optimizer_entries())
      out.push_back({{"name", entry.name}, {"summary", entry.update}});
    out.push_back({{"name", "options of all optimizers"}, {"options", options.listing()}});
  }
  return out;
}

/// The row of this name or alias, in a list of its own. @throws UsageError
nlohmann::json one_of(const nlohmann::json& rows, const std::string& what, const std::string& name) {
  std::vector<std::string> known;
  for (const auto& row : rows) {
    std::vector<std::string> names = row.value("aliases", std::vector<std::string>());
    names.push_back(row["name"]);
    if (std::count(names.begin(), names.end(), name)) return nlohmann::json::array({row});
    known.insert(known.end(), names.begin(), names.end());
  }
  throw UsageError("'list " + what + "' has no '" + name + "'" + text::suggestion(name, known));
}

}  // namespace

void add_list(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("list",
                             "Rules, networks, data sets, presets, directions, "
                             "optimizers or a run's settings, with defaults, ranges and units");
  auto what = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  app->add_option("what", *what, "rules|nets|data|presets|directions|optimizers|settings")
      ->required()
      ->check(CLI::IsMember(
          {"rules", "nets", "data", "presets", "directions", "optimizers", "settings"}));
  app->add_option("name", *name, "one of them, by name or alias; left out: all");
  app->add_flag("--json", *json, "print JSON");
  add_examples(*app, {"list rules", "list rules kolen-pollack", "list presets --json"});
  app->callback([=] {
    const nlohmann::json rows = name->empty() ? listing(*what) : one_of(listing(*what), *what, *name);
    if (*json) {
      std::printf("%s\n", rows.dump(2).c_str());
      return;
    }
    for (const auto& row : rows) {
      std::string names = row["name"];
      if (row.contains("aliases") && !row["aliases"].empty())
        names += " (" + text::join(row["aliases"].get<std::vector<std::string>>(), ", ") + ")";
      std::printf("  %-40s %s\n", names.c_str(), row.value("summary", "").c_str());
      for (const char* key :
           {"grammar", "example", "source", "assumes", "published", "measured", "differs"})
        if (!row.value(key, "").empty())
          std::printf("      %s: %s\n", key, row[key].get<std::string>().c_str());
      if (row.contains("options")) print_options(row["options"]);
    }
  });
}

}  // namespace altprop::cli
