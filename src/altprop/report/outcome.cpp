#include "altprop/report/outcome.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"

namespace altprop::report {

using nlohmann::json;

namespace {

/// Names of scores, without the part of the data, and whether more of them is better.
std::map<std::string, bool> score_names(const std::vector<json>& epochs) {
  std::map<std::string, bool> out = {{"accuracy", true}, {"loss", false}};
  for (const json& record : epochs) {
    if (!record.contains("scores") || !record["scores"].is_array()) continue;
    for (const json& score : record["scores"])
      if (const std::string name = text_of(score, "name"); !name.empty())
        out.emplace(name, score.contains("more_is_better") && score["more_is_better"] == true);
  }
  return out;
}

bool is_bias(const std::string& name) { return name == "bias" || name.ends_with(".bias"); }

/// By the validation data where there are any.
double chosen(const Run& run, const std::string& name) {
  if (const double epoch = number_of(run.summary, "best_epoch"); std::isfinite(epoch))
    for (const json& record : run.epochs)
      if (number_of(record, "epoch") == epoch)
        if (const double value = number_of(record, "test_" + name); std::isfinite(value))
          return value;
  for (const char* part : {"test_", "validation_"}) {
    if (const auto found = measure(run, part + name)) return found->best;
    if (const double value = number_of(run.summary, part + name); std::isfinite(value))
      return value;
  }
  return NAN;
}

}  // namespace

std::vector<Measure> measures(const Run& run) {
  const std::vector<json> epochs = epochs_in_order(run);
  std::vector<Measure> out;
  for (const auto& [score, more] : score_names(epochs))
    for (const char* part : {"test", "validation", "train"}) {
      Measure found{.name = text::cat(part, "_", score),
                    .more_is_better = more,
                    .share = score == "accuracy"};
      for (const json& record : epochs) {
        const double value = number_of(record, found.name), epoch = number_of(record, "epoch");
        if (!std::isfinite(value) || !std::isfinite(epoch)) continue;
        const bool better = found.points.empty() ||
                            (more ? value > found.best : value < found.best);
        if (better) {
          found.best = value;
          found.best_epoch = epoch;
        }
        found.last = value;
        found.points.emplace_back(epoch, value);
      }
      if (!found.points.empty()) out.push_back(std::move(found));
    }
  return out;
}

std::optional<Measure> measure(const Run& run, const std::string& name) {
  for (Measure& found : measures(run))
    if (found.name == name) return std::move(found);
  return std::nullopt;
}

double best_accuracy(const Run& run) { return chosen(run, "accuracy"); }
double best_loss(const Run& run) { return chosen(run, "loss"); }

std::vector<LayerAngle> worst_layers(const Run& run, size_t most) {
  std::vector<LayerAngle> out;
  const std::vector<json> epochs = epochs_in_order(run);
  for (size_t i = epochs.size(); i-- > 0 && out.empty();) {
    if (!epochs[i].contains("gradient") || !epochs[i]["gradient"].is_array()) continue;
    for (const json& row : epochs[i]["gradient"])
      if (const double angle = number_of(row, "angle_degrees"); std::isfinite(angle))
        out.push_back({text_of(row, "name"), angle, number_of(row, "magnitude_ratio")});
  }
  const bool weights = std::any_of(out.begin(), out.end(),
                                   [](const LayerAngle& row) { return !is_bias(row.name); });
  if (weights) std::erase_if(out, [](const LayerAngle& row) { return is_bias(row.name); });
  std::stable_sort(out.begin(), out.end(), [](const LayerAngle& a, const LayerAngle& b) {
    return a.degrees > b.degrees;
  });
  if (out.size() > most) out.resize(most);
  return out;
}

std::string epochs_text(const Run& run) {
  const std::vector<json> epochs = epochs_in_order(run);
  double done = number_of(run.summary, "epochs");
  if (!std::isfinite(done)) done = epochs.empty() ? 0 : number_of(epochs.back(), "epoch");
  if (!std::isfinite(done)) done = static_cast<double>(epochs.size());
  const auto settings = run.summary.find("settings");
  const double asked =
      settings == run.summary.end() ? NAN : number_of(*settings, "epochs");
  return std::isfinite(asked) ? text::from_number(done) + "/" + text::from_number(asked)
                              : text::from_number(done);
}

std::string how_it_ended(const Run& run) {
  const std::string status = text_of(run.summary, "status"), epochs = epochs_text(run);
  const std::string at = "after " + epochs.substr(0, epochs.find('/')) +
                         (epochs.find('/') == std::string::npos
                              ? " epochs"
                              : " of " + epochs.substr(epochs.find('/') + 1) + " epochs");
  if (run.state == "running") return "running, " + at;
  if (run.state == "stopped")
    return text::cat("stopped ", at, " by an interrupt or a kill; continue with: altprop resume ",
                     run.folder);
  if (run.state == "diverged") {
    const std::string why = text_of(run.summary, "failure");
    return text::cat("diverged ", at, why.empty() ? "" : ": " + text::printable(why));
  }
  if (status == "stopped early") return "stopped early " + at + ", as --early-stop asked";
  return "finished " + at;
}

}  // namespace altprop::report
