#include "altprop/train/sweep/scores.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"

namespace altprop::sweeps {

using nlohmann::json;

namespace {

double number_in(const json& record, const std::string& key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? found->get<double>() : NAN;
}

}  // namespace

std::string checked_score(const std::string& written) {
  std::string name = text::lower(text::trim(written));
  for (char& c : name)
    if (c == '-' || c == ' ') c = '_';
  if (name.starts_with("test"))
    throw UsageError("option 'by' has '" + written +
                     "', but a sweep never looks at the test data: what is chosen by them says "
                     "nothing about new data; use accuracy or loss, which are those of validation");
  if (name.starts_with("train"))
    throw UsageError("option 'by' has '" + written +
                     "', but a sweep chooses by validation data; use accuracy or loss");
  if (name.starts_with("validation_")) name.erase(0, 11);
  return name;
}

Choice choice_of(const json& record, const std::string& wanted) {
  Choice out{wanted, false};
  if (wanted.empty()) {
    const auto primary = record.find("primary_score");
    out.name = primary != record.end() && primary->is_string() ? primary->get<std::string>()
               : record.contains("validation_accuracy")       ? "accuracy"
                                                              : "loss";
  }
  if (out.name == "accuracy") out.more_is_better = true;
  std::vector<std::string> known;
  for (const auto& [key, value] : record.items())
    if (key.starts_with("validation_")) known.push_back(key.substr(11));
  if (!record.contains("validation_" + out.name))
    throw UsageError("option 'by' has '" + out.name + "', which the learner is not judged by" +
                     text::suggestion(out.name, known));
  for (const json& score : record.value("scores", json::array()))
    if (score.is_object() && score.value("name", json("")) == json(out.name))
      out.more_is_better = score.value("more_is_better", json(false)) == json(true);
  return out;
}

std::vector<json> records_of(const std::filesystem::path& dir) {
  std::vector<json> out;
  std::error_code error;
  if (!std::filesystem::exists(dir / "metrics.jsonl", error)) return out;
  for (const std::string& line : text::split(read_file(dir / "metrics.jsonl"), '\n')) {
    if (line.empty()) continue;
    try {
      json record = read_json(line, "a record");
      if (record.is_object()) out.push_back(std::move(record));
    } catch (const Error&) {  // the last, cut by a kill; the run writes it once more
    }
  }
  return out;
}

bool has_reached(const std::vector<json>& records, int64_t epochs) {
  for (const json& record : records)
    if (number_in(record, "epoch") >= static_cast<double>(epochs) &&
        record.value("partial", json(false)) != json(true))
      return true;
  return false;
}

std::optional<double> best_score(const std::vector<json>& records, int64_t epochs,
                                 const Choice& choice) {
  std::optional<double> best;
  for (const json& record : records) {
    const double value = number_in(record, "validation_" + choice.name);
    if (!(number_in(record, "epoch") <= static_cast<double>(epochs)) || !std::isfinite(value))
      continue;
    if (!best || (choice.more_is_better ? value > *best : value < *best)) best = value;
  }
  return best;
}

}  // namespace altprop::sweeps
