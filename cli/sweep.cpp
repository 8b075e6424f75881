// `altprop sweep`: tries values of options for each rule, and chooses by validation data.
#include "altprop/train/sweep/sweep.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/train/interrupt.h"
#include "command.h"
#include "look_back.h"
#include "several.h"

namespace altprop::cli {

void finish_sweep(const nlohmann::json& result, const std::string& dir, bool json) {
  if (interrupt::requested()) exit_code = 1;
  bool any = false;
  for (const auto& rule : result.at("rules")) any = any || !rule.at("best").is_null();
  if (result.at("done") == true && !any) exit_code = 1;
  if (json) {
    std::printf("%s\n", written(result).c_str());
    return;
  }
  std::printf("%s", sweep_text(result).c_str());
  if (interrupt::requested())
    std::printf("interrupted; continue with: altprop resume %s\n", dir.c_str());
  else
    std::printf("results in %s/result.json; compare with: altprop compare --rates-from %s --out ...\n",
                dir.c_str(), dir.c_str());
}

void add_sweep(CLI::App& program) {
  struct Arguments {
    RunFlags flags;
    Several several;
    Output output;
    std::vector<std::string> grids, ranges;
    std::string by;
    int64_t halving = 0;
  };
  CLI::App* app = program.add_subcommand(
      "sweep", "Try values of options for each rule, and choose by validation data");
  auto a = std::make_shared<Arguments>();
  a->several.add(*app, "rules to tune, with what is fixed for them: 'backprop,kp[kp.form=implicit]'");
  app->add_option("--grid", a->grids,
                  "an option and its values, lr=0.01,0.03,0.1; RULE:OPTION=... for one rule only; "
                  "may be given several times: all combinations")
      ->type_name("<list>")
      ->allow_extra_args(false);
  app->add_option("--range", a->ranges,
                  "an option and values between two, each the same multiple of the one before: "
                  "lr=1e-4..1:7")
      ->type_name("<list>")
      ->allow_extra_args(false);
  app->add_option("--halving", a->halving,
                  "successive halving: all points train a few epochs, the best of this many go on "
                  "for as many times the epochs, until one has trained for all; 0: all train for "
                  "all epochs (0)")
      ->type_name("<integer>")
      ->check(CLI::Range(int64_t{0}, int64_t{100}));
  app->add_option("--by", a->by,
                  "score on the validation data: accuracy, loss, or one of the learner's own "
                  "(accuracy of classes, else loss)")
      ->type_name("<name>");
  a->flags.add(*app, {"rule", "seed", "label"});
  a->output.add(*app);
  add_examples(*app, {"sweep --rules backprop,fa,dfa --range lr=1e-3..1:7 --data mnist --out runs/rates",
                      "sweep --rules 'bp,kp' --grid lr=0.01,0.03,0.1 --grid kp:kp.form=explicit,implicit "
                      "--halving 3 --epochs 9 --out runs/kp"});
  app->callback([=] {
    SweepSettings settings;
    OptionValues more;
    settings.base = a->flags.settings(*app, &more);
    settings.command = command_line;
    a->several.read(*app, settings.base, more);
    settings.rules = a->several.rules();
    settings.seeds = a->several.seeds();
    for (const std::string& grid : a->grids) settings.axes.push_back(sweeps::grid(grid));
    for (const std::string& range : a->ranges) settings.axes.push_back(sweeps::range(range));
    settings.by = a->by;
    settings.halving = a->halving;
    if (settings.halving == 1)
      throw UsageError("--halving 1 would keep all points; use 2 or more, or 0");
    // Angles say nothing about which rate is best.
    if (app->count("--probe-every") == 0) settings.base.probe_every = 0;
    a->output.require(more);
    interrupt::install();
    finish_sweep(sweep(settings, a->output.dir, a->output.overwrite, !a->output.quiet),
                 a->output.dir, a->output.json);
  });
}

}  // namespace altprop::cli
