// `altprop list`: what there is, with options, ranges and units.
#include <algorithm>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/optim/direction.h"
#include "altprop/optim/optimizer.h"
#include "altprop/report/run_list.h"
#include "altprop/rules/registry.h"
#include "altprop/train/presets.h"
#include "command.h"
#include "completion.h"
#include "look_back.h"

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

void print_rows(const nlohmann::json& rows) {
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
}

struct ListArguments {
  std::string what, name, sort, filter;
  bool json = false, csv = false;
};

/// A rule's long name; the text itself if there is no such rule.
std::string rule_named(const std::string& written) {
  for (const RuleEntry& entry : rule_entries())
    if (entry.name == written || std::count(entry.aliases.begin(), entry.aliases.end(), written))
      return entry.name;
  return written;
}

void list_all_runs(const ListArguments& a) {
  if (a.name.empty())
    throw UsageError("'list runs' needs a folder to look in, as in: altprop list runs runs");
  report::RunList list = report::list_runs(a.name);
  if (!a.filter.empty()) report::filter_runs(list, a.filter, rule_named);
  if (!a.sort.empty()) report::sort_runs(list, a.sort);
  for (const std::string& note : list.notes)
    std::fprintf(stderr, "note: %s\n", text::printable(note).c_str());
  std::printf("%s", a.csv    ? report::list_csv(list).c_str()
                    : a.json ? (written(list.rows) + "\n").c_str()
                             : report::list_text(list, report::look_of_output()).c_str());
}

std::vector<std::string> column_names() {
  std::vector<std::string> out;
  for (const report::RunColumn& column : report::run_columns()) out.push_back(column.name);
  return out;
}

}  // namespace

void add_list(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "list",
      "Rules, networks, data sets, presets, directions, optimizers or a run's settings, with "
      "defaults, ranges and units; or all runs below a folder");
  auto a = std::make_shared<ListArguments>();
  app->add_option("what", a->what, "rules|nets|data|presets|directions|optimizers|settings|runs")
      ->required()
      ->check(CLI::IsMember(
          {"rules", "nets", "data", "presets", "directions", "optimizers", "settings", "runs"}));
  app->add_option("name", a->name, "one of them, by name or alias; left out: all. Of runs: a folder");
  app->add_option("--sort", a->sort,
                  "of runs: by this column, the best first; -NAME: the other way round. " +
                      text::join(column_names(), "|"))
      ->type_name("<column>");
  app->add_option("--filter", a->filter,
                  "of runs: conditions on columns, all of which hold: 'rule=fa,accuracy>0.9', with "
                  "= != < <= > >= and ~ for contains")
      ->type_name("<list>");
  app->add_flag("--json", a->json, "print JSON");
  app->add_flag("--csv", a->csv, "of runs: print CSV");
  note_values(*app, "--sort", column_names());
  add_examples(*app, {"list rules", "list rules kolen-pollack", "list presets --json",
                      "list runs runs --sort accuracy --filter 'data=mnist,state=finished'"});
  app->callback([=] {
    if (a->what == "runs") return list_all_runs(*a);
    for (const char* flag : {"--sort", "--filter", "--csv"})
      if (app->count(flag) > 0)
        throw UsageError(text::cat("option '", flag, "' is for 'list runs FOLDER', not for 'list ",
                                   a->what, "'"));
    const nlohmann::json rows =
        a->name.empty() ? listing(a->what) : one_of(listing(a->what), a->what, a->name);
    if (a->json)
      std::printf("%s\n", rows.dump(2).c_str());
    else
      print_rows(rows);
  });
}

}  // namespace altprop::cli
