#include "prediction_table.h"

#include <cmath>
#include <cstdio>

#include "altprop/base/text.h"

namespace altprop::cli {

namespace {

/// A field of RFC 4180.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos && text == text::trim(text)) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string PredictionTable::class_text(int64_t id) const {
  return data_.class_names.empty() ? std::to_string(id)
                                   : data_.class_names.at(static_cast<size_t>(id));
}

std::string PredictionTable::header() const {
  const bool classes = predictions_.classes.defined(), targets = predictions_.targets.defined();
  std::vector<std::string> out{"id"};
  if (predictions_.steps.defined()) out.push_back("step");
  if (targets && classes) out.push_back("target");
  if (targets && !classes)
    for (int64_t k = 0; k < predictions_.targets.size(1); ++k)
      out.push_back(text::cat("target", k));
  if (classes) out.insert(out.end(), {"prediction", "score"});
  const int64_t width = predictions_.outputs.size(1);
  const bool named = width == static_cast<int64_t>(data_.class_names.size());
  out.insert(out.end(), predictions_.names.begin(), predictions_.names.end());
  for (int64_t k = static_cast<int64_t>(predictions_.names.size()); k < width; ++k)
    out.push_back(named ? csv_field("y." + class_text(k)) : text::cat("y", k));
  return text::join(out, ",");
}

std::string PredictionTable::csv() const {
  const Predictions& p = predictions_;
  const auto outputs = p.outputs.accessor<double, 2>();
  const bool classes = p.classes.defined(), targets = p.targets.defined();
  std::string out = header() + "\n";
  for (int64_t r = 0; r < p.size(); ++r) {
    const auto sample = p.samples[r].item<int64_t>();
    out += ids_.empty() ? std::to_string(sample) : csv_field(ids_.at(static_cast<size_t>(sample)));
    if (p.steps.defined()) out += text::cat(",", p.steps[r].item<int64_t>());
    if (targets && classes) out += "," + csv_field(class_text(p.targets[r].item<int64_t>()));
    if (targets && !classes)
      for (int64_t k = 0; k < p.targets.size(1); ++k)
        out += "," + text::from_number(p.targets[r][k].item<double>());
    if (classes) {
      const auto best = p.classes[r].item<int64_t>();
      out += text::cat(",", csv_field(class_text(best)), ",", text::from_number(outputs[r][best]));
    }
    for (int64_t k = 0; k < p.outputs.size(1); ++k) out += "," + text::from_number(outputs[r][k]);
    out += "\n";
  }
  return out;
}

nlohmann::json PredictionTable::rows() const {
  const Predictions& p = predictions_;
  const auto outputs = p.outputs.accessor<double, 2>();
  const bool named = !data_.class_names.empty();
  nlohmann::json out = nlohmann::json::array();
  for (int64_t r = 0; r < p.size(); ++r) {
    const auto sample = p.samples[r].item<int64_t>();
    nlohmann::json row;
    row["id"] = ids_.empty() ? nlohmann::json(sample)
                             : nlohmann::json(ids_.at(static_cast<size_t>(sample)));
    if (p.steps.defined()) row["step"] = p.steps[r].item<int64_t>();
    if (p.classes.defined()) {
      const auto best = p.classes[r].item<int64_t>();
      row["prediction"] = best;
      row["score"] = outputs[r][best];
      if (named) row["prediction_name"] = class_text(best);
      if (p.targets.defined()) {
        const auto target = p.targets[r].item<int64_t>();
        row["target"] = target;
        if (named) row["target_name"] = class_text(target);
      }
    } else if (p.targets.defined()) {
      for (int64_t k = 0; k < p.targets.size(1); ++k)
        row["target"].push_back(p.targets[r][k].item<double>());
    }
    for (int64_t k = 0; k < p.outputs.size(1); ++k)
      if (const auto at = static_cast<size_t>(k); at < p.names.size()) {
        row[p.names[at]] = outputs[r][k];
      } else {
        row["output"].push_back(outputs[r][k]);
      }
    out.push_back(std::move(row));
  }
  return out;
}

std::string PredictionTable::scores() const {
  if (predictions_.scores.all().empty()) return "";
  std::vector<std::string> out;
  for (const Score& score : predictions_.scores.all()) {
    char text[64];
    const bool share = score.name == "accuracy";
    std::snprintf(text, sizeof text, share ? "%.2f %%" : "%.4f", score.mean() * (share ? 100 : 1));
    out.push_back(score.name + " " + text);
  }
  return text::join(out, ", ");
}

}  // namespace altprop::cli
