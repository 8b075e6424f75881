// `altprop deploy RUN`: ensembles of networks drawn from one with probabilistic synapses, as
// neuromorphic cores would run them.
#include "altprop/train/deploy_run.h"

#include <cstdio>
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/cores/mapping_file.h"
#include "altprop/train/compare.h"
#include "altprop/train/interrupt.h"
#include "command.h"

namespace altprop::cli {

namespace {

struct DeployArguments {
  std::string run, data, data_dir, split = "test", state = "auto";
  int64_t images = 0, threads = 0;
  bool json = false;
  Flags flags;
};

const data::Dataset& part_of(const data::Splits& data, const std::string& name) {
  const data::Dataset& part = name == "train"        ? data.train
                              : name == "validation" ? data.validation
                                                     : data.test;
  if (part.empty())
    throw UsageError("the data set has no " + name + " part; choose another --split");
  return part;
}

void print_deployed(const cores::Deployed& found, const nlohmann::json& about, bool json) {
  if (json) {
    nlohmann::json all = found.json();
    all.update(about);
    std::printf("%s\n", all.dump(2).c_str());
    return;
  }
  std::string head =
      text::cat(found.cores, found.cores == 1 ? " core, " : " cores, ", found.images, " images");
  if (about.contains("network_accuracy")) {
    char line[200];
    std::snprintf(
        line, sizeof line,
        "; the trained network itself: %.2f %%; %.1f %% of its connections are between 0.1 "
        "and 0.9",
        about["network_accuracy"].get<double>() * 100, about["half_way"].get<double>() * 100);
    head += line;
  }
  std::printf("%s\n%s", head.c_str(), found.table().c_str());
}

/// Runs the cores on the images, and prints.
/// @param sums of the trained network, if there is one
cores::Deployed deploy_on(const cores::Mapping& mapping, const ImagesForCores& images,
                          const Tensor& sums, const nlohmann::json& about,
                          const cores::DeploySettings& settings, const DeployArguments& a) {
  interrupt::install();
  cores::Deployed found =
      cores::deploy(mapping, images.values, images.ids, images.targets, settings,
                    [] { return !interrupt::requested(); }, sums);
  if (interrupt::requested()) {
    exit_code = 1;
    std::fprintf(stderr, "interrupted; what follows is of the draws before\n");
  }
  print_deployed(found, about, a.json);
  return found;
}

/// Cores that stand in a file, on a data set that is named beside it.
void deploy_file(const cores::DeploySettings& settings, const DeployArguments& a) {
  const cores::Mapping mapping =
      cores::read_mapping(read_file(a.run), "'" + a.run.substr(0, 200) + "'");
  if (a.data.empty())
    throw UsageError("'" + a.run + "' says nothing of images; name a data set, as in --data mnist");
  RunSettings of_data;
  of_data.data = a.data;
  of_data.data_options["normalise"] = "unit";
  if (!a.data_dir.empty()) set_data_folder(of_data, a.data_dir);
  const auto data = load_data(of_data);
  deploy_on(mapping, images_for_cores(part_of(*data, a.split), a.images), {},
            nlohmann::json::object(), settings, a);
}

void deploy_run(const DeployArguments& a) {
  cores::DeploySettings settings;
  Options options("deploy");
  settings.declare(options);
  a.flags.apply(options);
  if (std::filesystem::is_regular_file(a.run)) return deploy_file(settings, a);
  if (!a.data.empty())
    throw UsageError("--data is for cores in a file; a run has its own data, so leave it out");
  if (is_compare(a.run))
    throw UsageError("'" + a.run + "' is a comparison; name the folder of one of its runs");
  RunSettings of_run = settings_of(a.run);
  if (!a.data_dir.empty()) set_data_folder(of_run, a.data_dir);
  EarlierRun run = reopen(a.run, of_run, {.state = a.state});
  run.restore();
  const data::Dataset& part = part_of(run.experiment->data(), a.split);
  const cores::Mapping mapping = cores::mapping_of(run.experiment->net());
  const ImagesForCores images = images_for_cores(part, a.images);
  const Graph& net = run.experiment->net();
  nlohmann::json all = about_deployed(*run.experiment, part);
  const cores::Deployed found = deploy_on(
      mapping, images, network_sums(net, images.values, settings.encoding(), settings.ticks), all,
      settings, a);
  if (interrupt::requested()) return;
  all.update(found.json());
  write_deployment(a.run, run.file, of_run, all, settings, a.split);
}

}  // namespace

void add_deploy(CLI::App& program) {
  auto a = std::make_shared<DeployArguments>();
  CLI::App* app = program.add_subcommand(
      "deploy", "Draw networks for neuromorphic cores from a trained one, and run them");
  app->add_option("run", a->run, "folder of the run, or a mapping.json that export has written")
      ->required();
  app->add_option("--data", a->data, "of a mapping.json: the data set")->type_name("<text>");
  cores::DeploySettings defaults;
  Options options;
  defaults.declare(options);
  a->flags.add(*app, options);
  app->add_option("--images", a->images, "only the first so many images; 0: all (0)")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--split", a->split, "train|validation|test (test)")
      ->check(CLI::IsMember({"train", "validation", "test"}));
  app->add_option("--data-dir", a->data_dir, "folder of the data sets")->type_name("<folder>");
  app->add_option("--state", a->state,
                  "which weights: auto (best if there are validation data)|best|last")
      ->check(CLI::IsMember({"auto", "best", "last"}));
  app->add_flag("--json", a->json, "print JSON");
  app->callback([a] { deploy_run(*a); });
}

}  // namespace altprop::cli
