#include "altprop/train/robustness.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/data/corrupt/corruption.h"
#include "altprop/train/compare.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/predictions.h"
#include "altprop/train/spread.h"

namespace altprop {

namespace {

namespace fs = std::filesystem;

constexpr const char* kIdentity = "identity";

struct RunOfMany {
  fs::path dir;
  bool compared;  ///< in a comparison, of which the others go on without it
};

/// Those in comparisons in the comparisons' order.
std::vector<RunOfMany> run_folders(const std::vector<fs::path>& folders) {
  std::vector<RunOfMany> out;
  for (const fs::path& dir : folders) {
    if (!is_compare(dir)) {
      out.push_back({dir, false});
      continue;
    }
    const nlohmann::json list =
        read_json_file(dir / "compare.json").value("folders", nlohmann::json::array());
    size_t before = out.size();
    for (const auto& folder : list)
      if (folder.is_string() && fs::exists(dir / folder.get<std::string>() / "config.toml"))
        out.push_back({dir / folder.get<std::string>(), true});
    if (out.size() == before)
      throw UsageError("the comparison '" + dir.string() + "' has no runs yet");
  }
  return out;
}

/// Why a run of a comparison has no weights that are worth a test; "": it has some.
std::string without_weights(const EarlierRun& run) {
  const fs::path summary = run.dir / "summary.json";
  if (fs::exists(summary) && read_json_file(summary).value("status", "") == "diverged")
    return "it diverged";
  return run.checkpoint ? "" : "it ended before it had weights to keep";
}

std::vector<const data::Corruption*> chosen(const std::vector<std::string>& names) {
  std::vector<const data::Corruption*> out;
  if (names.empty())
    for (const data::Corruption& one : data::corruptions()) out.push_back(&one);
  for (const std::string& name : names) {
    const data::Corruption* one = &data::corruption(name);
    if (std::count(out.begin(), out.end(), one))
      throw UsageError("corruption '" + name + "' is named twice; name it once");
    out.push_back(one);
  }
  return out;
}

}  // namespace

nlohmann::json robustness(const RobustnessSettings& settings,
                          const std::function<void(const std::string&)>& say) {
  const std::vector<const data::Corruption*> list = chosen(settings.corruptions);
  const std::vector<RunOfMany> folders = run_folders(settings.folders);
  nlohmann::json out{{"seed", settings.seed},
                     {"corruptions", nlohmann::json::array()},
                     {"runs", nlohmann::json::array()}};
  out["corruptions"].push_back({{"name", kIdentity}, {"help", "the test images as they are"}});
  for (const data::Corruption* one : list)
    out["corruptions"].push_back({{"name", one->name}, {"help", one->help}});
  std::shared_ptr<const data::Splits> data;  // of the run before, and how it was asked for
  std::string data_name;
  OptionValues data_options;
  for (const auto& [dir, compared] : folders) {
    RunSettings of_run = settings_of(dir);
    if (!settings.data_dir.empty()) set_data_folder(of_run, settings.data_dir);
    const bool same = of_run.data == data_name && of_run.data_options == data_options;
    EarlierRun run = reopen(dir, of_run, {.state = settings.state, .data = same ? data : nullptr});
    data = run.experiment->shared_data();
    data_name = of_run.data;
    data_options = of_run.data_options;
    if (const std::string why = compared ? without_weights(run) : ""; !why.empty()) {
      out["left_out"].push_back({{"folder", dir.string()}, {"label", of_run.name()}, {"why", why}});
      say(text::cat(dir.string(), ": left out, ", why));
      continue;
    }
    run.restore();
    const data::Dataset& test = run.experiment->data().test;
    if (test.empty()) throw UsageError("the data set of '" + dir.string() + "' has no test part");
    nlohmann::json row{{"folder", dir.string()}, {"label", of_run.name()}, {"seed", of_run.seed}};
    const auto score = [&](const std::string& name, const data::Dataset& images) {
      const Scores scores = predict(*run.experiment, images).scores;
      for (const Score& one : scores.all()) row[one.name][name] = one.mean();
    };
    score(kIdentity, test);
    for (const data::Corruption* one : list) {
      if (interrupt::requested()) {
        out["interrupted"] = true;
        return out;
      }
      score(one->name, data::corrupted(test, *one, static_cast<uint64_t>(settings.seed)));
    }
    say(text::cat(dir.string(), ": ", list.size(), " corruptions"));
    out["runs"].push_back(std::move(row));
  }
  if (out["runs"].empty())
    throw UsageError("no run of these comparisons has weights to test; train one first");
  return out;
}

std::string robustness_table(const nlohmann::json& found) {
  const bool classes = std::all_of(found["runs"].begin(), found["runs"].end(),
                                   [](const auto& run) { return run.contains("accuracy"); });
  const char* key = classes ? "accuracy" : "loss";
  const double factor = classes ? 100 : 1;
  const int digits = classes ? 2 : 4;
  std::vector<std::string> labels;
  for (const auto& run : found["runs"])
    if (const std::string label = run["label"]; !std::count(labels.begin(), labels.end(), label))
      labels.push_back(label);
  std::vector<std::vector<std::string>> rows{{classes ? "accuracy %" : "loss"}};
  rows[0].insert(rows[0].end(), labels.begin(), labels.end());
  const auto add_row = [&](const std::string& title, const auto& value_of) {
    rows.push_back({title});
    for (const std::string& label : labels) {
      std::vector<double> values;
      for (const auto& run : found["runs"])
        if (run["label"] == label) values.push_back(value_of(run[key]));
      rows.back().push_back(spread_text(spread(values), factor, digits));
    }
  };
  for (const auto& one : found["corruptions"])
    add_row(one["name"], [&](const auto& of) {
      return of[one["name"].template get<std::string>()].template get<double>();
    });
  if (found["corruptions"].size() > 2)
    add_row("mean of corrupted", [&](const auto& of) {
      double sum = 0;
      for (const auto& [name, value] : of.items())
        if (name != kIdentity) sum += value.template get<double>();
      return sum / static_cast<double>(of.size() - 1);
    });
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out += "\n";
  }
  for (const auto& one : found.value("left_out", nlohmann::json::array()))
    out += text::cat("without ", one["folder"].get<std::string>(), " (", one["label"].get<std::string>(),
                     "): ", one["why"].get<std::string>(), "\n");
  return out;
}

}  // namespace altprop
