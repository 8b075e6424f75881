#include <cstdio>
#include <sstream>

#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/train/checkpoint.h"
#include "altprop/train/compare.h"
#include "altprop/train/run_folder.h"
#include "altprop/train/run_identity.h"
#include "command.h"

namespace altprop::cli {

namespace {

struct Arguments {
  std::string dir, data, data_dir, split = "test", state = "auto", out;
  bool json = false;
};

const data::Dataset& split_of(const data::Splits& data, const std::string& name) {
  const data::Dataset& part = name == "train"        ? data.train
                              : name == "validation" ? data.validation
                                                     : data.test;
  if (part.empty())
    throw UsageError("the data set has no " + name + " part; choose another --split");
  return part;
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
  std::string label;
  const auto reopened =
      reopen(a.dir, settings, label, nullptr, a.data.empty() ? DataOfRun::Same : DataOfRun::Others);
  Experiment& e = *reopened;
  const std::filesystem::path dir = a.dir;
  const std::filesystem::path path = chosen_checkpoint(dir, a.state);
  Checkpoint checkpoint = load_checkpoint(path);
  require_same_run(RunMeta::of(checkpoint.texts, path.string()), e.settings(), path.string());
  e.trainer().state(StateIO::loading(checkpoint.tensors));

  const data::Dataset& part = split_of(e.data(), a.split);
  data::LoaderOptions options;
  options.batch = 1000;
  options.dtype = settings.dtype == "float64" ? at::kDouble : at::kFloat;
  options.device = at::Device(settings.device);
  const data::Loader loader(part, options);
  const bool classes = part.classes > 0;
  nlohmann::json rows = nlohmann::json::array();
  std::ostringstream csv;
  bool header = false;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    Tensor out =
        e.loss().link(e.rule().predict(e.trainer().evaluated(batch))).to(at::kCPU, at::kDouble);
    // A line per sample, or per step of a sequence.
    const int64_t steps = part.per_step() ? out.size(1) : 1;
    out = part.per_step() ? out.reshape({-1, out.size(2)}) : out.flatten(1).contiguous();
    if (!header) {
      csv << "id" << (part.per_step() ? ",step" : "") << (classes ? ",target,prediction" : "");
      for (int64_t k = 0; k < out.size(1); ++k) csv << ",y" << k;
      csv << "\n";
      header = true;
    }
    const auto values = out.accessor<double, 2>();
    const Tensor prediction = out.argmax(1);
    const Tensor target =
        part.per_step() ? batch.targets.to(at::kCPU).reshape({-1}) : batch.targets.to(at::kCPU);
    for (int64_t r = 0; r < out.size(0); ++r) {
      if (part.per_step() && target[r].item<int64_t>() < 0) continue;  // behind the sequence's end
      const int64_t id = batch.ids[r / steps].item<int64_t>();
      nlohmann::json row{{"id", id}};
      csv << id;
      if (part.per_step()) {
        row["step"] = r % steps + 1;
        csv << "," << row["step"];
      }
      if (classes) {
        row["target"] = target[r].item<int64_t>();
        row["prediction"] = prediction[r].item<int64_t>();
        csv << "," << row["target"] << "," << row["prediction"];
      }
      for (int64_t k = 0; k < out.size(1); ++k) {
        row["output"].push_back(values[r][k]);
        csv << "," << text::from_number(values[r][k]);
      }
      csv << "\n";
      if (a.json) rows.push_back(std::move(row));
    }
  }
  const Scores scores = e.trainer().evaluate(part);
  if (a.json) {
    nlohmann::json summary{{"accuracy", nullptr}, {"predictions", rows}};
    for (const Score& score : scores.all()) summary[score.name] = score.mean();
    std::printf("%s\n", summary.dump().c_str());
  } else if (!a.out.empty()) {
    write_output(a.out, csv.str());
    std::printf("%ld predictions in %s; loss %.4f", static_cast<long>(part.size()), a.out.c_str(),
                scores.loss());
    if (scores.accuracy()) std::printf(", accuracy %.2f %%", *scores.accuracy() * 100);
    std::printf("\n");
  } else {
    std::fputs(csv.str().c_str(), stdout);
  }
}

}  // namespace

void add_predict(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "predict", "Apply a trained network: a line per sample with class and outputs");
  auto a = std::make_shared<Arguments>();
  app->add_option("dir", a->dir, "folder of the run")->required();
  app->add_option("--data", a->data, "another data set than the run's")->type_name("<text>");
  app->add_option("--data-dir", a->data_dir, "folder of the data sets")->type_name("<folder>");
  app->add_option("--split", a->split, "train|validation|test (test)")
      ->check(CLI::IsMember({"train", "validation", "test"}));
  app->add_option("--state", a->state,
                  "which weights: auto (best if there are validation data)|best|last")
      ->check(CLI::IsMember({"auto", "best", "last"}));
  app->add_option("--out", a->out, "write CSV to this file instead of the terminal")
      ->type_name("<file>");
  app->add_flag("--json", a->json, "print JSON");
  app->callback([=] { predict(*a); });
}

}  // namespace altprop::cli
