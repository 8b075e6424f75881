// `altprop export RUN`: the trained network for other programs.
#include "altprop/train/export_run.h"

#include <cstdio>

#include "altprop/train/compare.h"
#include "altprop/train/folder_records.h"
#include "command.h"

namespace altprop::cli {

void add_export(CLI::App& program) {
  struct Flags {
    std::string dir, state = "auto", out, data_dir;
  };
  CLI::App* app = program.add_subcommand(
      "export", "Write the weights of a run as a safetensors file for other programs");
  auto a = std::make_shared<Flags>();
  app->add_option("dir", a->dir, "folder of the run")->required();
  app->add_option("--out", a->out, "file to write; default: weights.safetensors in the folder")
      ->type_name("<file>");
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
    const std::filesystem::path out =
        a->out.empty() ? dir / kExportedWeights : std::filesystem::path(a->out);
    export_run(run, out);
    std::fprintf(stderr, "weights of %s in %s\n", run.file.string().c_str(), out.string().c_str());
  });
}

}  // namespace altprop::cli
