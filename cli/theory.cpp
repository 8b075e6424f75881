// The command of the theory studies: `altprop theory fa2`.
#include <unistd.h>

#include <ATen/Parallel.h>

#include <cstdio>

#include "altprop/base/text.h"
#include "altprop/theory/study.h"
#include "altprop/train/interrupt.h"
#include "command.h"

namespace altprop::cli {

namespace {

std::string cell_line(const nlohmann::json& cell) {
  std::string out =
      text::cat("p=", cell["p"].get<int64_t>(), " lambda=", text::from_number(cell["lambda"]));
  char buffer[160];
  if (cell["alignment"].is_object()) {
    std::snprintf(buffer, sizeof buffer, "  alignment %.3f ± %.3f  loss %.3g  steps %.0f to %.0f",
                  cell["alignment"]["mean"].get<double>(), cell["alignment"]["std"].get<double>(),
                  cell["loss"]["mean"].get<double>(), cell["steps"]["min"].get<double>(),
                  cell["steps"]["max"].get<double>());
    out += buffer;
  }
  if (cell.contains("message")) out += "  " + cell["message"].get<std::string>();
  return out;
}

theory::StudyTrace show_progress() {
  const bool terminal = isatty(STDERR_FILENO);
  theory::StudyTrace trace;
  trace.on_cell = [terminal](const nlohmann::json& cell, bool computed) {
    std::fprintf(
        stderr, "%s%s%s\n", terminal ? "\r\033[K" : "", cell_line(cell).c_str(),
        computed ? text::cat("  ",
                             text::from_number(std::round(cell["seconds"].get<double>() * 10) / 10),
                             " s")
                       .c_str()
                 : "  (was there)");
  };
  if (terminal)
    trace.progress = [last = -1.0](int64_t width, double lambda, int64_t done,
                                   int64_t all) mutable {
      const double percent =
          std::floor(1000.0 * static_cast<double>(done) / static_cast<double>(all)) / 10;
      if (percent == last) return;
      last = percent;
      std::fprintf(stderr, "\r\033[Kp=%ld lambda=%s  %.1f %%", static_cast<long>(width),
                   text::from_number(lambda).c_str(), percent);
      std::fflush(stderr);
    };
  return trace;
}

void print_study(const nlohmann::json& summary, const std::string& dir, bool json) {
  bool any = false;
  for (const auto& cell : summary["cells"]) any = any || cell["alignment"].is_object();
  if (summary["status"] != "done" || !any) exit_code = 1;
  if (json) {
    std::printf("%s\n",
                summary.dump(1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  for (const auto& cell : summary["cells"]) std::printf("%s\n", cell_line(cell).c_str());
  if (summary["status"] == "done") {
    std::printf("report in %s/report.html\n", dir.c_str());
  } else {
    std::printf("interrupted; go on with the same command and --resume\n");
  }
}

}  // namespace

void add_theory(CLI::App& program) {
  struct Output {
    std::string dir;
    bool overwrite = false, resume = false, json = false, quiet = false;
  };
  CLI::App* parent =
      program.add_subcommand("theory", "Studies of networks small enough for theory");
  parent->require_subcommand(1);
  CLI::App* app = parent->add_subcommand("fa2",
                                         "The two-layer network with random feedback: error "
                                         "curves, alignment against width and regularisation");
  auto flags = std::make_shared<Flags>();
  auto output = std::make_shared<Output>();
  theory::StudySettings defaults;
  Options options;
  defaults.declare(options);
  flags->add(*app, options);
  app->add_option("--out", output->dir, "folder for the records")
      ->type_name("<folder>")
      ->required()
      ->take_last();
  auto* overwrite =
      app->add_flag("--overwrite", output->overwrite, "replace the study that the folder holds");
  app->add_flag("--resume", output->resume,
                "go on with the study in the folder: finished cells are not computed again")
      ->excludes(overwrite);
  app->add_flag("--json", output->json, "print the summary as JSON");
  app->add_flag("--quiet", output->quiet, "no progress");
  app->callback([=] {
    theory::StudySettings settings;
    Options given;
    settings.declare(given);
    flags->apply(given);
    if (settings.threads > 0) at::set_num_threads(static_cast<int>(settings.threads));
    interrupt::install();
    theory::StudyTrace trace = output->quiet ? theory::StudyTrace{} : show_progress();
    trace.stop_requested = interrupt::requested;
    const auto existing = output->resume      ? theory::Existing::Resume
                          : output->overwrite ? theory::Existing::Overwrite
                                              : theory::Existing::Refuse;
    print_study(theory::run_study(settings, output->dir, existing, command_line, trace),
                  output->dir, output->json);
  });
}

}  // namespace altprop::cli
