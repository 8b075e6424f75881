// `altprop export RUN`: the trained network for other programs.
#include "altprop/train/export_run.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/cores/spikes.h"
#include "altprop/train/compare.h"
#include "altprop/train/export_cores.h"
#include "altprop/train/folder_records.h"
#include "command.h"

namespace altprop::cli {

void add_export(CLI::App& program) {
  struct Flags {
    std::string dir, state = "auto", out, data_dir, as = "weights";
    CoresExport cores;
  };
  CLI::App* app = program.add_subcommand(
      "export", "Write the weights of a run, or the cores that it is mapped to, for other programs");
  auto a = std::make_shared<Flags>();
  app->add_option("dir", a->dir, "folder of the run")->required();
  app->add_option("--out", a->out,
                  "file to write, weights.safetensors in the folder by default; of cores a folder, "
                  "by default cores or ranc in it")
      ->type_name("<path>");
  app->add_option("--as", a->as,
                  "weights (safetensors)|cores (a drawn network as JSON)|ranc (for the simulator of "
                  "UA-RCL/RANC) (weights)")
      ->check(CLI::IsMember({"weights", "cores", "ranc"}));
  app->add_option("--member", a->cores.member, "cores: which drawn network (0)")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--seed", a->cores.seed, "cores: seed of the draws (7)")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--leak", a->cores.leak, "cores: round|stochastic (round)")
      ->check(CLI::IsMember({"round", "stochastic"}));
  app->add_option("--images", a->cores.images,
                  "cores: write the spikes of the first so many test images, too (0)")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--input", a->cores.input,
                  "cores: what values of these images become, as of deploy (bernoulli)")
      ->check(CLI::IsMember(cores::encoding_names()));
  app->add_option("--ticks", a->cores.ticks, "cores: ticks of input for each of these images (1)")
      ->check(CLI::Range(1, 1000));
  app->add_option("--state", a->state,
                  "which weights: auto (best if there are validation data)|best|last")
      ->check(CLI::IsMember({"auto", "best", "last"}));
  app->add_option("--data-dir", a->data_dir, "folder of the data sets")->type_name("<folder>");
  app->callback([=] {
    if (is_compare(a->dir))
      throw UsageError("'" + a->dir + "' is a comparison; name the folder of one of its runs");
    const std::filesystem::path dir = a->dir;
    RunSettings settings = settings_of(dir);
    if (!a->data_dir.empty()) set_data_folder(settings, a->data_dir);
    EarlierRun run = reopen(dir, settings, {.state = a->state});
    if (a->as != "weights") {
      a->cores.as = a->as;
      const std::string done = export_cores(
          run, a->out.empty() ? dir / a->as : std::filesystem::path(a->out), a->cores);
      std::fprintf(stderr, "%s\n", done.c_str());
      return;
    }
    if (!(a->cores == CoresExport()))
      throw UsageError(
          "--member, --seed, --leak, --images, --input and --ticks are for cores; give --as cores, "
          "or leave them out");
    const std::filesystem::path out =
        a->out.empty() ? dir / kExportedWeights : std::filesystem::path(a->out);
    export_run(run, out);
    std::fprintf(stderr, "weights of %s in %s\n", run.file.string().c_str(), out.string().c_str());
  });
}

}  // namespace altprop::cli
