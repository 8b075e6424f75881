#include "altprop/train/sweep/sweep.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/loader_options.h"
#include "altprop/train/progress.h"
#include "altprop/train/rule_runs.h"
#include "altprop/train/run_folder.h"
#include "altprop/train/run_identity.h"
#include "altprop/train/spread.h"
#include "altprop/train/sweep/progress.h"
#include "altprop/train/sweep/scores.h"

namespace altprop {

namespace fs = std::filesystem;
using sweeps::Axis;
using sweeps::Choice;
using sweeps::Point;
using sweeps::Rung;

namespace {

constexpr const char* kUsualValidation = "0.1";

std::string sweep_document(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::shared_ptr<const data::Splits> without_test(const data::Splits& data) {
  auto out = std::make_shared<data::Splits>(data);
  out->test = {};
  return out;
}

/// Loads the data with a part held out to choose by, without their test part.
std::shared_ptr<const data::Splits> data_to_choose_by(RunSettings& settings) {
  std::shared_ptr<const data::Splits> data = load_data(settings);
  if (!data->validation.empty()) return without_test(*data);
  if (settings.data_options.count("validation"))
    throw UsageError(
        "a sweep chooses by validation data, but --validation holds none out; give a number of "
        "training samples or a fraction, as in --validation 0.1");
  settings.data_options["validation"] = kUsualValidation;
  data = load_data(settings);
  return without_test(*data);
}

/// Steps of a run's first epochs.
int64_t steps_of(const RunSettings& settings, const data::Splits& data, int64_t epochs) {
  RunSettings plain = settings;
  plain.prefetch = 0;
  const data::Loader loader(data.train, training_options(plain, Stream(0)));
  const std::unique_ptr<Learner> rule = make_rule(settings.rule, settings.rule_options);
  int64_t passes = 0;
  for (int64_t epoch = 0; epoch < epochs; ++epoch)
    passes += static_cast<int64_t>(rule->passes(epoch, settings.epochs).size());
  return passes * loader.batches();
}

/// Names what does not fit before hours are spent on the rest.
void admit_points(const SweepSettings& settings, const std::shared_ptr<const data::Splits>& data) {
  sweeps::check_axes(settings.axes, settings.rules);
  std::set<std::string> folders, trained;
  for (const int64_t seed : settings.seeds)
    if (std::count(settings.seeds.begin(), settings.seeds.end(), seed) > 1)
      throw UsageError(text::cat("option 'seeds' has seed ", seed, " twice"));
  for (const std::string& rule : settings.rules) {
    require_shared_settings(rule);
    bool first = true;
    for (const Point& point : sweeps::points_of(rule, settings.axes)) {
      require_shared_settings(point.label);
      const RunSettings run = settings_of_rule(settings.base, point.label, settings.seeds.at(0));
      if (!folders.insert(run_folder_name(point.label, 0)).second ||
          !trained.insert(what_is_trained(run)).second)
        throw UsageError("'" + point.label + "' would be trained twice; leave one out");
      try {
        if (first) Experiment(run, data);  // of the others nothing but values differs
      } catch (const Refusal& refusal) {
        throw Refusal("rule '" + point.label + "'", refusal.what());
      }
      first = false;
    }
  }
}

/// Trains and judges the points of a sweep, and keeps result.json up to date.
class Sweeping {
 public:
  Sweeping(const SweepSettings& settings, fs::path dir, std::shared_ptr<const data::Splits> data,
           bool show_progress)
      : settings_(settings), dir_(std::move(dir)), data_(std::move(data)), show_(show_progress),
        total_(epochs_by_rule(), !show_progress) {
    result_ = {{"command", settings.command},   {"net", settings.base.net},
               {"data", settings.base.data},    {"epochs", settings.base.epochs},
               {"seeds", settings.seeds},       {"halving", settings.halving},
               {"train_samples", data_->train.size()},
               {"validation_samples", data_->validation.size()},
               {"axes", nlohmann::json::array()}, {"rules", nlohmann::json::array()},
               {"done", false}};
    for (const Axis& axis : settings.axes)
      result_["axes"].push_back(
          {{"rule", axis.rule}, {"option", axis.option}, {"values", axis.values}});
  }

  nlohmann::json run() {
    for (const std::string& rule : settings_.rules) {
      result_["rules"].push_back({{"rule", rule}, {"best", nullptr}, {"points", nlohmann::json::array()},
                                  {"epochs_trained", 0}});
      if (!run_rule(rule)) return write();
    }
    result_["done"] = true;
    return write();
  }

 private:
  std::map<std::string, int64_t> epochs_by_rule() const {
    std::map<std::string, int64_t> out;
    for (const std::string& rule : settings_.rules) {
      int64_t before = 0;
      for (const Rung& rung : rungs(rule)) {
        out[rule] += static_cast<int64_t>(rung.points * settings_.seeds.size()) *
                     (rung.epochs - before);
        before = rung.epochs;
      }
    }
    return out;
  }

  std::vector<Rung> rungs(const std::string& rule) const {
    return sweeps::rungs_of(sweeps::points_of(rule, settings_.axes).size(), settings_.base.epochs,
                            settings_.halving);
  }

  struct Tried {
    Point point;
    nlohmann::json record;
    std::optional<double> mean;  ///< none if a seed diverged
  };

  /// @returns false after an interrupt
  bool run_rule(const std::string& rule) {
    std::vector<Tried> left;
    for (Point& point : sweeps::points_of(rule, settings_.axes)) {
      nlohmann::json values = nlohmann::json::object();
      for (const auto& [option, value] : point.values) values[option] = value;
      left.push_back({point, {{"point", point.label}, {"values", values}}, std::nullopt});
    }
    const std::vector<Rung> all = rungs(rule);
    int64_t before = 0;
    std::vector<Tried> dropped;
    for (size_t r = 0; r < all.size(); ++r) {
      while (left.size() > all[r].points) {
        dropped.insert(dropped.begin(), std::move(left.back()));
        left.pop_back();
      }
      for (Tried& tried : left) {
        const std::string what = text::cat("round ", r + 1, " of ", all.size());
        if (!try_point(rule, tried, all[r].epochs, all[r].epochs - before, what)) return false;
        tried.record["rung"] = r + 1;
        note(left, dropped);
      }
      std::stable_sort(left.begin(), left.end(), [&](const Tried& a, const Tried& b) {
        if (!a.mean || !b.mean) return a.mean.has_value() && !b.mean.has_value();
        return choice_.more_is_better ? *a.mean > *b.mean : *a.mean < *b.mean;
      });
      note(left, dropped);
      before = all[r].epochs;
    }
    if (left.front().mean) result_["rules"].back()["best"] = left.front().point.label;
    write();
    return true;
  }

  void note(const std::vector<Tried>& left, const std::vector<Tried>& dropped) {
    nlohmann::json& points = result_["rules"].back()["points"];
    points = nlohmann::json::array();
    for (const auto* some : {&left, &dropped})
      for (const Tried& tried : *some) points.push_back(tried.record);
    write();
  }

  bool try_point(const std::string& rule, Tried& tried, int64_t epochs, int64_t more,
                 const std::string& what) {
    std::vector<double> scores;
    int64_t lost = 0;
    nlohmann::json folders = nlohmann::json::array();
    for (const int64_t seed : settings_.seeds) {
      if (interrupt::requested()) return false;
      const std::string folder = run_folder_name(tried.point.label, seed);
      folders.push_back(folder);
      RunSettings run = settings_of_rule(settings_.base, tried.point.label, seed);
      std::vector<nlohmann::json> records = sweeps::records_of(dir_ / folder);
      const bool done = sweeps::has_reached(records, epochs);
      total_.begin(rule, what, more);
      if (!done) {
        if (epochs < settings_.base.epochs) run.max_steps = steps_of(run, *data_, epochs);
        Progress progress(text::cat(run.label, " seed ", seed), !show_);
        const nlohmann::json summary =
            train_in_its_folder(run, dir_ / folder, data_, {&progress});
        if (summary["status"] == "interrupted") return false;
        records = sweeps::records_of(dir_ / folder);
        if (summary["status"] == "diverged") records.clear();
      }
      total_.end(rule, more, !done);
      result_["rules"].back()["epochs_trained"] =
          result_["rules"].back()["epochs_trained"].get<int64_t>() + more;
      if (choice_.name.empty() && !records.empty()) {
        choice_ = sweeps::choice_of(records.back(), settings_.by);
        result_["by"] = "validation_" + choice_.name;
        result_["more_is_better"] = choice_.more_is_better;
      }
      const auto score = sweeps::best_score(records, epochs, choice_);
      if (score)
        scores.push_back(*score);
      else
        ++lost;
    }
    tried.record.update({{"epochs", epochs}, {"folders", folders}, {"scores", scores},
                         {"score", spread(scores)}, {"diverged", lost}});
    tried.mean = std::nullopt;
    if (lost == 0) tried.mean = tried.record["score"]["mean"].get<double>();
    return true;
  }

  nlohmann::json write() {
    write_atomically(dir_ / "result.json", sweep_document(result_));
    return result_;
  }

  const SweepSettings& settings_;
  fs::path dir_;
  std::shared_ptr<const data::Splits> data_;
  bool show_;
  Choice choice_;
  sweeps::TotalProgress total_;
  nlohmann::json result_;
};

nlohmann::json run_sweep(const SweepSettings& settings, const fs::path& dir,
                         std::shared_ptr<const data::Splits> data, bool show_progress) {
  const FolderLock lock(dir);
  return Sweeping(settings, dir, std::move(data), show_progress).run();
}

}  // namespace

nlohmann::json sweep(SweepSettings settings, const fs::path& dir, bool overwrite,
                     bool show_progress) {
  RunFolder::check(dir, overwrite);
  settings.by = settings.by.empty() ? "" : sweeps::checked_score(settings.by);
  if (settings.axes.empty())
    throw UsageError("a sweep needs something to vary: --grid lr=0.01,0.03 or --range lr=1e-4..1:7");
  if (settings.base.epochs < 1) throw UsageError("a sweep trains; give --epochs at least 1");
  if (settings.halving > 0 && settings.base.max_steps > 0)
    throw UsageError("--halving divides epochs, and --max-steps would end them; give --epochs alone");
  use_machine(settings.base);
  const auto data = data_to_choose_by(settings.base);
  admit_points(settings, data);
  settings.base.net = network_text(settings.base.net);
  keep_paths(settings.base);
  settings.base.run["data"] = data_digest(*data);
  const std::string config =
      settings.base.to_toml(settings.rules, settings.seeds);  // before there is a folder
  say_lines(RunFolder::create(dir, overwrite));
  std::vector<std::string> folders;
  nlohmann::json axes = nlohmann::json::array();
  for (const std::string& rule : settings.rules)
    for (const Point& point : sweeps::points_of(rule, settings.axes))
      for (const int64_t seed : settings.seeds)
        folders.push_back(run_folder_name(point.label, seed));
  for (const Axis& axis : settings.axes)
    axes.push_back({{"rule", axis.rule}, {"option", axis.option}, {"values", axis.values}});
  write_atomically(dir / "sweep.json", sweep_document({{"folders", folders},
                                                       {"rules", settings.rules},
                                                       {"seeds", settings.seeds},
                                                       {"axes", axes},
                                                       {"halving", settings.halving},
                                                       {"by", settings.by},
                                                       {"command", settings.command}}));
  write_atomically(dir / "config.toml", config);
  return run_sweep(settings, dir, data, show_progress);
}

bool is_sweep(const fs::path& dir) { return fs::exists(dir / "sweep.json"); }

nlohmann::json resume_sweep(const fs::path& dir, bool show_progress) {
  SweepSettings settings{settings_of(dir), {}, {}, {}, 0, "", ""};
  try {
    const nlohmann::json stored = read_json_file(dir / "sweep.json");
    stored.at("rules").get_to(settings.rules);
    stored.at("seeds").get_to(settings.seeds);
    stored.at("halving").get_to(settings.halving);
    stored.at("by").get_to(settings.by);
    stored.at("command").get_to(settings.command);
    for (const nlohmann::json& axis : stored.at("axes"))
      settings.axes.push_back({axis.at("rule").get<std::string>(),
                               axis.at("option").get<std::string>(),
                               axis.at("values").get<std::vector<std::string>>()});
    if (settings.rules.empty() || settings.seeds.empty()) throw Error("empty");
  } catch (const std::exception&) {
    throw Error("'" + (dir / "sweep.json").string() + "' is damaged; start the sweep again");
  }
  use_machine(settings.base);
  const auto data = without_test(*load_data_again(settings.base));
  RunMeta begun;  // a sweep has no checkpoint of its own
  begun.data = settings.base.run["data"];
  require_same_data(begun, *data, (dir / "config.toml").string());
  return run_sweep(settings, dir, data, show_progress);
}

}  // namespace altprop
