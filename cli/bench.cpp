// The command that measures: `altprop bench`.
#include "altprop/bench/bench.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/bench/eager.h"
#include "altprop/train/interrupt.h"
#include "command.h"

namespace altprop::cli {

void add_bench(CLI::App& program) {
  struct Flags {
    std::string work = "all", rules, python = "none";
    bool no_limit = false, json = false, quick = false, kernels = false, profile = false;
    bench::BenchSettings settings;
  };
  auto flags = std::make_shared<Flags>();
  bench::BenchSettings& s = flags->settings;
  CLI::App* app = program.add_subcommand(
      "bench",
      "Measure every rule against the arithmetic limit of this machine, backprop and eager "
      "PyTorch");
  app->add_option("--work", flags->work,
                  text::cat("what to train: ", text::join(bench::work_names(), ", "),
                            " or all; several separated by commas"))
      ->capture_default_str();
  app->add_option("--rules", flags->rules,
                  "rules separated by commas; default: all that admit the network");
  app->add_option("--batch", s.batch, "samples in a batch; default: the work's own")
      ->check(CLI::Range(1, 1 << 20));
  app->add_option("--seconds", s.seconds, "time for each rule, all rounds together")
      ->check(CLI::Range(1e-3, 1e4))
      ->capture_default_str();
  app->add_option("--rounds", s.rounds, "turns of everybody, the first not counted in")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--threads", s.threads, "threads; default: all cores")
      ->check(CLI::Range(1, 4096));
  app->add_flag("--processor-time", s.processor_time,
                "processor time of one thread instead of wall-clock time, for a machine with other "
                "load");
  app->add_option("--python", flags->python,
                  "interpreter with torch, which is started for the comparison with eager PyTorch; "
                  "default: none, no such comparison");
  app->add_flag("--compile", s.compiled, "compare with torch.compile as well");
  app->add_flag("--no-limit", flags->no_limit,
                "leave out the arithmetic limit, whose measurement takes most of a short call");
  app->add_flag("--kernels", flags->kernels, "list the kernels behind the limit, too");
  app->add_flag("--profile", flags->profile,
                "where the time of a step goes, operator by operator, instead of the comparison");
  app->add_flag("--quick", flags->quick,
                "a few seconds: the mlp alone, rough figures");
  app->add_flag("--json", flags->json, "a list of objects on stdout instead of the table");
  app->callback([flags, app] {
    bench::BenchSettings settings = flags->settings;
    if (flags->no_limit && flags->kernels)
      throw UsageError("--kernels lists what the limit is made of; leave out --no-limit");
    settings.limit = !flags->no_limit;
    if (flags->quick) {
      if (!app->count("--work")) flags->work = "mlp";
      if (!app->count("--seconds")) settings.seconds = 0.05;
      if (!app->count("--rounds")) settings.rounds = 2;
      settings.peak_size = 512;
    }
    if (flags->work != "all") settings.works = text::split(flags->work, ',');
    if (!flags->rules.empty()) settings.rules = text::split_outside_brackets(flags->rules, ',');
    if (flags->profile) {
      std::printf("%s", bench::run_profile(settings).c_str());
      return;
    }
    settings.python = flags->python == "none" ? "" : flags->python;
    const bench::Result result = bench::run(
        settings, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
    std::printf("%s\n", flags->json ? result.json().dump(2).c_str() : result.table().c_str());
    if (flags->kernels)
      for (const auto& k : result.kernels)
        std::fprintf(flags->json ? stderr : stdout, "%-12s %8.1f GFLOP/s  %-24s %s\n",
                     k.work.c_str(), k.rate * 1e-9, k.form.c_str(), k.kernel.c_str());
  });
}

}  // namespace altprop::cli
