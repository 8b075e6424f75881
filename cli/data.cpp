// `altprop data get NAME`: published data sets.
#include <unistd.h>

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/data/download.h"
#include "altprop/train/interrupt.h"
#include "command.h"

namespace altprop::cli {

namespace {

void get(const std::string& name, data::DownloadOptions options) {
  interrupt::install();
  const bool terminal = isatty(STDERR_FILENO);
  options.progress = [terminal](const std::string& file, int64_t done, int64_t total) {
    if (terminal && done > 0)
      std::fprintf(stderr, "\r\033[K%s  %.1f of %.1f MB", file.c_str(),
                   static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6);
    return !interrupt::requested();
  };
  const data::RemoteSet& set = data::find_remote(name);
  const bool fetched = data::download(set, options);
  if (terminal) std::fprintf(stderr, "\r\033[K");
  std::printf("%s %s\n", set.name.c_str(), fetched ? "is complete" : "was there already");
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* app = program.add_subcommand("data", "Published data sets");
  app->require_subcommand(1);
  CLI::App* command = app->add_subcommand("get", "Download a data set, or continue a download");
  struct Arguments {
    std::string name;
    data::DownloadOptions options;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("name", a->name, "mnist, fashion-mnist, cifar-10, ...")->required();
  command
      ->add_option("--data-dir", a->options.folder,
                   "folder of the data sets; default: $ALTPROP_DATA, else ./data")
      ->type_name("<folder>");
  command
      ->add_option("--mirror", a->options.mirror,
                   "address of another server; default: $ALTPROP_MIRROR, else the known ones")
      ->type_name("<address>");
  command->callback([=] { get(a->name, a->options); });
}

}  // namespace altprop::cli
