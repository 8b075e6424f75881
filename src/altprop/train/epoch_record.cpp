// What the end of an epoch measures and records.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "altprop/network/step_loss.h"
#include "altprop/probes/gradient_check.h"
#include "altprop/probes/settling.h"
#include "altprop/tensor/recorded_steps.h"
#include "altprop/train/loader_options.h"
#include "altprop/train/trainer.h"

namespace altprop {

namespace {

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

Score Trainer::evaluate(const data::Dataset& data) {
  at::NoGradGuard no_grad;
  const data::Loader loader(data, evaluation_options(settings_));
  double loss = 0, right = 0;
  const bool classes = data.classes > 0;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    const Tensor output = rule_.predict(net_, batch.inputs);
    loss += loss_.value(output, batch.targets).to(at::kDouble).sum().item<double>();
    if (classes) right += right_answers(output, batch.targets);
  }
  const double n = static_cast<double>(std::max<int64_t>(1, data.size()));
  return {loss / n, classes ? std::optional<double>(right / n) : std::nullopt};
}

nlohmann::json Trainer::probe() {
  nlohmann::json out = nlohmann::json::object();
  auto* rule = dynamic_cast<Rule*>(&rule_);
  if (!rule) return out;
  at::NoGradGuard no_grad;
  data::LoaderOptions options = evaluation_options(settings_);
  options.batch = settings_.probe_batch;
  const data::Batch batch =
      data::Loader(data::first(data_.train, settings_.probe_batch), options).at(0, 0);
  Activity activity;
  for (const GradientRow& row : compare_gradients(*rule, make_step(batch, activity)))
    out["gradient"].push_back({{"name", row.name},
                               {"cosine", finite_or_null(row.s.cosine)},
                               {"angle_degrees", finite_or_null(row.s.angle_degrees)},
                               {"magnitude_ratio", finite_or_null(row.s.magnitude_ratio)},
                               {"norm", finite_or_null(row.s.norm)}});
  for (const AlignmentRow& row : measure_alignment(*rule, net_)) {
    nlohmann::json entry{{"name", row.name},
                         {"angle_degrees", finite_or_null(row.angle_degrees)},
                         {"norm_ratio", finite_or_null(row.norm_ratio)}};
    if (row.predicted_factor >= 0) entry["predicted_factor"] = finite_or_null(row.predicted_factor);
    if (row.measured_factor >= 0) entry["measured_factor"] = finite_or_null(row.measured_factor);
    out["alignment"].push_back(entry);
  }
  if (const auto settling = watch_settling(*rule, make_step(batch, activity)))
    out["relaxation"] = settling_json(*settling);
  return out;
}

bool Trainer::counts_bits() const {
  return data_.train.vocabulary > 0 && data_.train.per_step() && loss_.name() == "cross-entropy";
}

nlohmann::json Trainer::finish_epoch() {
  nlohmann::json record{{"epoch", position_.epoch + 1}, {"step", position_.step}};
  record["train_loss"] = finite_or_null(running_loss());
  if (counts_bits()) record["train_bits_per_character"] = finite_or_null(running_loss() / M_LN2);
  if (data_.train.classes > 0 && seen_)
    record["train_accuracy"] = sums_[1].item<double>() / static_cast<double>(seen_);
  auto add_score = [&](const std::string& name, const data::Dataset& data) {
    if (data.empty()) return Score{};
    const Score score = evaluate(data);
    record[name + "_loss"] = finite_or_null(score.loss);
    if (counts_bits()) record[name + "_bits_per_character"] = finite_or_null(score.loss / M_LN2);
    if (score.accuracy) record[name + "_accuracy"] = *score.accuracy;
    return score;
  };
  const Score validation = add_score("validation", data_.validation);
  add_score("test", data_.test);
  improved_ = !data_.validation.empty() && (best_epoch_ == 0 || validation.loss < best_loss_);
  if (improved_) {
    best_loss_ = validation.loss;
    best_epoch_ = position_.epoch + 1;
  }
  record["learning_rate"] = learning_rate_;
  record["seconds"] = epoch_seconds_;
  record["samples_per_second"] =
      epoch_seconds_ > 0 ? static_cast<double>(seen_) / epoch_seconds_ : 0.0;
  for (const auto& [name, value] : rule_.measurements())
    record["figures"][name] = finite_or_null(value);
  for (std::string& sentence : rule_.notices())
    if (!std::count(warnings_.begin(), warnings_.end(), sentence)) warn(std::move(sentence));
  if (std::string sentence = RecordedSteps::take_notice(); !sentence.empty())
    warn(std::move(sentence));
  const bool last = position_.epoch + 1 >= settings_.epochs || out_of_steps();
  if (settings_.probe_every > 0 && ((position_.epoch + 1) % settings_.probe_every == 0 || last))
    record.update(probe());
  position_.batch = position_.pass = 0;
  ++position_.epoch;
  sums_.zero_();
  seen_ = 0;
  epoch_seconds_ = 0;
  return record;
}

}  // namespace altprop
