// `altprop predict RUN`: what a trained network says of the run's own data, of another data set, or
// of a file.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/train/compare.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/predictions.h"
#include "altprop/train/samples.h"
#include "command.h"
#include "prediction_table.h"

namespace altprop::cli {

namespace {

struct Arguments {
  std::string dir, data, data_dir, split = "test", state = "auto", out, leave_out, as = "network";
  data::NewFiles files;
  int64_t samples = 0, seed = 0;
  bool json = false;
};

constexpr int64_t kMostSamples = 100'000'000;

const data::Dataset& split_of(const data::Splits& data, const std::string& name) {
  const data::Dataset& part = name == "train"        ? data.train
                              : name == "validation" ? data.validation
                                                     : data.test;
  if (part.empty())
    throw UsageError("the data set has no " + name + " part; choose another --split");
  return part;
}

data::NewSamples samples_of(const Arguments& a, Experiment& experiment) {
  if (a.files.inputs.empty()) return {split_of(experiment.data(), a.split), {}};
  data::NewFiles files = a.files;
  for (const std::string& name : text::split(a.leave_out, ','))
    if (std::string column = text::trim(name); !column.empty()) files.leave_out.push_back(column);
  data::Request request(experiment.settings().data);
  request.options().set_all(experiment.settings().data_options);
  return request.load_new(files, experiment.data().train);
}

void to_terminal(const std::string& table) {
  std::fputs(table.c_str(), stdout);
  if (std::fflush(stdout) != 0)
    throw Error(std::string("writing the output failed: ") + std::strerror(errno));
}

/// The last line says how good the predictions are, where that is known; beside them if they go to
/// the terminal, so that what is piped on is a table.
void print(const Arguments& a, const Predictions& predictions, const data::NewSamples& samples) {
  const PredictionTable table(predictions, samples.data, samples.ids);
  const std::string scores = table.scores();
  if (a.json) {
    nlohmann::json summary{{"accuracy", nullptr}, {"predictions", table.rows()}};
    if (!samples.data.class_names.empty()) summary["class_names"] = samples.data.class_names;
    for (const Score& score : predictions.scores.all()) summary[score.name] = score.mean();
    std::printf("%s\n", summary.dump().c_str());
  } else if (!a.out.empty()) {
    write_output(a.out, table.csv());
    std::printf("%ld predictions in %s%s\n", static_cast<long>(samples.data.size()), a.out.c_str(),
                (scores.empty() ? scores : "; " + scores).c_str());
  } else {
    to_terminal(table.csv());
    if (!scores.empty())
      std::fprintf(stderr, "%ld predictions; %s\n", static_cast<long>(samples.data.size()),
                   scores.c_str());
  }
}

/// Draws from the density that the network has learnt, a line for each.
void print_samples(const Arguments& a, Experiment& experiment) {
  const Tensor values = samples_of(experiment, a.samples, static_cast<uint64_t>(a.seed));
  const Tensor rows = values.flatten(1).contiguous();
  const auto at = rows.accessor<double, 2>();
  if (a.json) {
    nlohmann::json out = nlohmann::json::array();
    for (int64_t i = 0; i < rows.size(0); ++i) {
      nlohmann::json row = nlohmann::json::array();
      for (int64_t k = 0; k < rows.size(1); ++k) row.push_back(at[i][k]);
      out.push_back(std::move(row));
    }
    return to_terminal(nlohmann::json{{"samples", std::move(out)}}.dump() + "\n");
  }
  std::string table = "id";
  for (int64_t k = 0; k < rows.size(1); ++k) table += text::cat(",x", k);
  table += "\n";
  for (int64_t i = 0; i < rows.size(0); ++i) {
    table += std::to_string(i);
    for (int64_t k = 0; k < rows.size(1); ++k) table += "," + text::from_number(at[i][k]);
    table += "\n";
  }
  if (a.out.empty()) return to_terminal(table);
  write_output(a.out, table);
  std::printf("%ld samples in %s\n", static_cast<long>(rows.size(0)), a.out.c_str());
}

/// A variable of a script that is not set, which would otherwise mean the default.
void refuse_empty_flags(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0 && option->get_items_expected_max() > 0 && option->results()[0].empty())
      throw UsageError("option '" + option->get_name().substr(option->get_positional() ? 0 : 2) +
                       "' is given but empty; give it a value or leave it out");
}

void predict(const Arguments& a) {
  if (is_compare(a.dir))
    throw UsageError("'" + a.dir + "' is a comparison; name the folder of one of its runs");
  RunSettings settings = settings_of(a.dir);
  if (!a.data.empty()) {
    settings.data = a.data;
    settings.data_options.clear();
  }
  if (!a.data_dir.empty()) set_data_folder(settings, a.data_dir);
  EarlierRun run = reopen(a.dir, settings, {.state = a.state, .other_data = !a.data.empty()});
  run.restore();
  if (a.samples > 0) return print_samples(a, *run.experiment);
  const data::NewSamples samples = samples_of(a, *run.experiment);
  if (a.as == "network") return print(a, predict(*run.experiment, samples.data), samples);
  const spiking::Conversion spikes = as_spikes(*run.experiment);
  std::vector<std::string> windows;
  for (const double window : spikes.windows) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.4g", window);
    windows.emplace_back(digits);
  }
  std::fprintf(stderr, "as a network of first spikes, in windows of %s\n",
               text::join(windows, ", ").c_str());
  print(a, predict(*run.experiment, samples.data, &spikes.net), samples);
}

}  // namespace

void add_predict(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "predict", "Apply a trained network: a line per sample with class and outputs");
  auto a = std::make_shared<Arguments>();
  app->add_option("dir", a->dir, "folder of the run")->required();
  auto* data =
      app->add_option("--data", a->data, "another data set than the run's")->type_name("<text>");
  app->add_option("--data-dir", a->data_dir, "folder of the data sets")->type_name("<folder>");
  auto* split = app->add_option("--split", a->split, "train|validation|test (test)")
                    ->check(CLI::IsMember({"train", "validation", "test"}));
  auto* input = app->add_option("--input", a->files.inputs,
                                "file of other samples, of the kind that the run was trained on: a "
                                "table with or without the target, an array of NumPy, IDX images")
                    ->type_name("<file>")
                    ->excludes(data)
                    ->excludes(split);
  app->add_option("--targets", a->files.targets,
                  "file of the targets of --input, where they are known and no column of it")
      ->type_name("<file>")
      ->needs(input);
  app->add_option("--id", a->files.id, "column of --input that names the samples")
      ->type_name("<name>")
      ->needs(input);
  app->add_option("--leave-out", a->leave_out,
                  "columns of --input to be passed over, separated by commas")
      ->type_name("<list>")
      ->needs(input);
  auto* draws = app->add_option("--sample", a->samples,
                                "instead: so many draws from the density that a flow has learnt")
                    ->check(CLI::Range(int64_t{1}, kMostSamples))
                    ->excludes(data)
                    ->excludes(split)
                    ->excludes(input);
  app->add_option("--seed", a->seed, "seed of --sample (0)")
      ->check(CLI::NonNegativeNumber)
      ->needs(draws);
  app->add_option("--as", a->as,
                  "network|spikes: what predicts, the network or, of one of ReLUs, the network of "
                  "first spikes that it converts to (network)")
      ->check(CLI::IsMember({"network", "spikes"}))
      ->excludes(draws);
  app->add_option("--state", a->state,
                  "which weights: auto (best if there are validation data)|best|last")
      ->check(CLI::IsMember({"auto", "best", "last"}));
  app->add_option("--out", a->out, "write CSV to this file instead of the terminal")
      ->type_name("<file>");
  app->add_flag("--json", a->json, "print JSON");
  app->callback([=] {
    refuse_empty_flags(*app);
    predict(*a);
  });
}

}  // namespace altprop::cli
