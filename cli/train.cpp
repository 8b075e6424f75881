#include <algorithm>
#include <cstdio>

#include "altprop/base/files.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/report/html_report.h"
#include "altprop/train/compare.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/presets.h"
#include "altprop/train/progress.h"
#include "altprop/train/run_folder.h"
#include "altprop/train/run_identity.h"
#include "altprop/train/sweep/sweep.h"
#include "command.h"
#include "several.h"

namespace altprop::cli {

namespace {

void print_run(const nlohmann::json& summary, const std::string& dir, bool json) {
  if (summary["status"] == "interrupted") exit_code = 1;
  if (json) {
    std::printf("%s\n", summary.dump(2).c_str());
    return;
  }
  std::printf("%s on %s (%s): ", summary["label"].get<std::string>().c_str(),
              text::printable(summary["net"].get<std::string>(), 200).c_str(),
              summary["data"].get<std::string>().c_str());
  if (summary["test_accuracy"].is_number())
    std::printf("test accuracy %.2f %%, ", summary["test_accuracy"].get<double>() * 100);
  if (summary["test_loss"].is_number())
    std::printf("test loss %.4f, ", summary["test_loss"].get<double>());
  if (!summary["test_loss"].is_number())  // nothing is held back to be tested on
    for (const auto& [key, name] : {std::pair{"validation_loss", "validation loss"},
                                    {"train_loss", "training loss"}})
      if (const auto found = summary.find(key); found != summary.end() && found->is_number()) {
        std::printf("%s %.4f, ", name, found->get<double>());
        break;
      }
  for (const auto& score : summary.value("scores", nlohmann::json::array())) {
    const std::string name = score["name"];
    for (const char* part : {"validation", "test"})
      if (const auto found = summary.find(std::string(part) + "_" + name); found != summary.end())
        std::printf("%s %s %s, ", part, name.c_str(), found->dump().c_str());
  }
  std::printf("%.0f samples/s, status %s\n", summary["samples_per_second"].get<double>(),
              summary["status"].get<std::string>().c_str());
  std::printf("records in %s%s\n", dir.c_str(),
              summary["status"] == "interrupted"
                  ? text::cat("; continue with: altprop resume ", dir).c_str()
                  : "");
}

void train(const RunSettings& settings, const std::string& dir, bool overwrite, bool json,
           bool quiet) {
  RunFolder::check(dir, overwrite);
  Experiment experiment(
      settings);  // first, so that settings that do not fit leave no folder behind
  require_recordable(experiment.settings());
  for (const std::string& left : RunFolder::create(dir, overwrite))
    std::fprintf(stderr, "%s\n", text::printable(left).c_str());
  Progress progress(experiment.settings().rule, quiet);
  if (!quiet && !experiment.ode_choice().empty())
    std::fprintf(stderr, "train: %s\n", experiment.ode_choice().c_str());
  print_run(run_in_folder(experiment, dir, {&progress}), dir, json);
}

/// A comparison without a single outcome is none.
bool all_diverged(const nlohmann::json& summary) {
  const auto runs = summary.value("runs", nlohmann::json::array());
  return !runs.empty() && std::all_of(runs.begin(), runs.end(), [](const nlohmann::json& run) {
    return run.value("status", "") == "diverged";
  });
}

/// Each rule with the values that a sweep has found best for it, and a sentence about that.
void take_rates(CompareSettings& settings, const nlohmann::json& tuned, const std::string& folder,
                const CLI::App& app) {
  settings.rules = tuned_rules(tuned, settings.rules);
  settings.fairness = fairness_of(tuned, folder);
  const std::string net = tuned.value("net", ""), data = tuned.value("data", "");
  if (network_text(settings.base.net) != net || settings.base.data != data)
    settings.fairness += text::cat(" The sweep was made with ", net, " on ", data,
                                   ", which is not what is compared here.");
  // A sweep measures no angles, a comparison does.
  if (app.count("--config") == 0 && app.count("--probe-every") == 0)
    settings.base.probe_every = RunSettings().probe_every;
}

void finish_compare(const nlohmann::json& summary, const std::string& dir, bool json) {
  if (summary.contains("runs")) report::write(dir);
  if (interrupt::requested() || all_diverged(summary)) exit_code = 1;
  if (json) {
    std::printf("%s\n",
                summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  if (summary.contains("table")) std::printf("%s", table_text(summary["table"]).c_str());
  if (const std::string fairness = summary.value("fairness", ""); !fairness.empty())
    std::printf("%s\n", text::printable(fairness, 10000).c_str());
  if (interrupt::requested()) {
    std::printf("interrupted; continue with: altprop resume %s\n", dir.c_str());
  } else {
    std::printf("report in %s/report.html\n", dir.c_str());
  }
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* app = program.add_subcommand("train", "Train a network with one rule");
  auto flags = std::make_shared<RunFlags>();
  auto output = std::make_shared<Output>();
  flags->add(*app);
  output->add(*app);
  add_examples(*app, {"train --rule kolen-pollack --net mlp:784-256-10:relu --data mnist --out runs/kp",
                      "train --preset corinfomax-mnist --epochs 3 --out runs/cim",
                      "train --rule 'pc[pc.steps=20]' --optimizer adam --lr 0.001 --out runs/pc"});
  app->callback([=] {
    interrupt::install();
    OptionValues more;
    RunSettings settings = flags->settings(*app, &more);
    for (const char* several : {"rules", "seeds"})
      if (more.count(several))
        throw UsageError(text::cat("the configuration names '", several,
                                   "', which are of several runs; train them with altprop compare "
                                   "--config"));
    check_names(settings.rule, settings.data);
    output->require(more);
    train(std::move(settings), output->dir, output->overwrite, output->json, output->quiet);
  });
}

void add_compare(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("compare", "Train the same network with several rules, side by side");
  auto flags = std::make_shared<RunFlags>();
  auto output = std::make_shared<Output>();
  auto several = std::make_shared<Several>();
  auto rates = std::make_shared<std::string>();
  several->add(*app,
               "rules with overrides: 'backprop,fa[lr=0.001],kp[kp.form=implicit]'; with --preset "
               "that of the preset if left out");
  app->add_option("--rates-from", *rates,
                  "folder of a sweep: each rule gets the values that were best for it; net, data "
                  "and the rest are the sweep's unless --config or flags say otherwise")
      ->type_name("<folder>");
  flags->add(*app, {"rule", "seed", "label"});
  output->add(*app);
  add_examples(*app, {"compare --rules 'backprop,fa[lr=0.005],dfa' --seeds 1,2,3 --data mnist --out runs/three",
                      "compare --rates-from runs/rates --seeds 1,2,3 --out runs/fair"});
  app->callback([=] {
    nlohmann::json tuned = nullptr;
    if (!rates->empty()) {
      tuned = sweep_result(*rates);
      flags->begin_with(*rates + "/config.toml");
    }
    OptionValues more;
    CompareSettings settings{flags->settings(*app, &more), {}, {}, command_line, ""};
    several->read(*app, settings.base, more, !rates->empty());
    settings.rules = several->rules();
    settings.seeds = several->seeds();
    if (!tuned.is_null()) take_rates(settings, tuned, *rates, *app);
    output->require(more);
    interrupt::install();
    finish_compare(compare(settings, output->dir, output->overwrite, !output->quiet), output->dir,
                   output->json);
  });
}

void add_resume(CLI::App& program) {
  CLI::App* app = program.add_subcommand("resume", "Continue an interrupted run, comparison or sweep");
  auto output = std::make_shared<Output>();
  auto epochs = std::make_shared<int64_t>(-1), steps = std::make_shared<int64_t>(-1);
  app->add_option("dir", output->dir, "folder of the run")->required();
  app->add_option("--epochs", *epochs, "new number of epochs, to train a finished run further")
      ->type_name("<integer>")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000000}));
  app->add_option("--max-steps", *steps,
                  "new bound of steps, where the run ended at one; 0: no bound")
      ->type_name("<integer>")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000000000}));
  app->add_flag("--json", output->json, "print the summary as JSON");
  app->add_flag("--quiet", output->quiet, "no progress, but warnings");
  app->callback([=] {
    interrupt::install();
    if (is_sweep(output->dir)) {
      if (*epochs >= 0 || *steps >= 0)
        throw UsageError("a sweep is resumed with the epochs it was started with");
      return finish_sweep(resume_sweep(output->dir, !output->quiet), output->dir, output->json);
    }
    if (is_compare(output->dir)) {
      if (*epochs >= 0 || *steps >= 0)
        throw UsageError("a comparison is resumed with the epochs and steps it was started with");
      return finish_compare(resume_compare(output->dir, !output->quiet), output->dir, output->json);
    }
    RunSettings settings = settings_of(output->dir);
    const int64_t before = settings.epochs;
    if (*epochs >= 0) settings.epochs = *epochs;
    if (*steps >= 0) settings.max_steps = *steps;
    EarlierRun run =
        reopen(output->dir, settings, {.lock = std::make_shared<FolderLock>(output->dir)});
    run.experiment->trainer().began_with_epochs(before);
    Progress progress(run.experiment->settings().rule, output->quiet);
    print_run(go_on_in_folder(run, {&progress}), output->dir, output->json);
  });
}

}  // namespace altprop::cli
