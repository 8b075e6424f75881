// What the end of an epoch measures and records.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "altprop/ode/flow.h"
#include "altprop/probes/connections.h"
#include "altprop/probes/credit_growth.h"
#include "altprop/probes/firing.h"
#include "altprop/probes/gradient_check.h"
#include "altprop/probes/ode_credit.h"
#include "altprop/probes/settling.h"
#include "altprop/rules/rule.h"
#include "altprop/spiking/raster.h"
#include "altprop/tensor/recorded_steps.h"
#include "altprop/train/loader_options.h"
#include "altprop/train/trainer.h"

namespace altprop {

namespace {

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

Scores Trainer::evaluate(const data::Dataset& data) {
  at::NoGradGuard no_grad;
  const data::Loader loader(data, evaluation_options(settings_));
  Scores scores;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    scores.add(rule_.evaluate(evaluated(batch), batch.targets));
  }
  return scores;
}

nlohmann::json Trainer::probe() {
  nlohmann::json out = nlohmann::json::object();
  at::NoGradGuard no_grad;
  data::LoaderOptions options = evaluation_options(settings_);
  options.batch = settings_.probe_batch;
  const data::Batch batch =
      data::Loader(data::first(data_.train, settings_.probe_batch), options).at(0, 0);
  const Step step = Step::look_at(look_of(batch), batch.targets);
  std::vector<GradientRow> rows;  // of a learner without signals there are none
  if (auto* rule = dynamic_cast<Rule*>(&rule_)) rows = compare_gradients(*rule, step);
  for (const GradientRow& row : rows)
    out["gradient"].push_back({{"name", row.name},
                               {"cosine", finite_or_null(row.s.cosine)},
                               {"angle_degrees", finite_or_null(row.s.angle_degrees)},
                               {"magnitude_ratio", finite_or_null(row.s.magnitude_ratio)},
                               {"norm", finite_or_null(row.s.norm)}});
  for (const AlignmentRow& row : measure_alignment(rule_)) {
    nlohmann::json entry{{"name", row.name},
                         {"angle_degrees", finite_or_null(row.angle_degrees)},
                         {"norm_ratio", finite_or_null(row.norm_ratio)}};
    if (row.predicted_factor >= 0) entry["predicted_factor"] = finite_or_null(row.predicted_factor);
    if (row.measured_factor >= 0) entry["measured_factor"] = finite_or_null(row.measured_factor);
    out["alignment"].push_back(entry);
  }
  // Of exact credit there is nothing to say.
  if (auto* rule = dynamic_cast<Rule*>(&rule_); rule && settings_.rule != "backprop")
    for (const OdeCreditRow& row : compare_ode_credit(*rule, step))
      out["ode_credit"].push_back({{"name", row.name},
                                   {"step", row.step},
                                   {"stage", row.stage},
                                   {"cosine", finite_or_null(row.s.cosine)},
                                   {"angle_degrees", finite_or_null(row.s.angle_degrees)},
                                   {"magnitude_ratio", finite_or_null(row.s.magnitude_ratio)}});
  const Pass look{.mode = Mode::Eval, .ids = batch.ids};
  for (const CreditGrowth& row : credit_growth(net_, loss_, batch.inputs, batch.targets, look)) {
    nlohmann::json entry{{"name", row.name},
                         {"least", finite_or_null(row.least)},
                         {"most", finite_or_null(row.most)}};
    if (row.bounds)
      entry.update({{"lower_bound", row.bounds->least}, {"upper_bound", row.bounds->most}});
    out["credit_growth"].push_back(entry);
    if (std::string sentence = row.problem(); !sentence.empty()) say_once(std::move(sentence));
  }
  for (const FiringRow& row : firing(net_, batch.inputs))
    out["firing"].push_back({{"name", row.name},
                             {"units", row.units},
                             {"spikes", finite_or_null(row.spikes)},
                             {"silent", finite_or_null(row.silent)},
                             {"dead", finite_or_null(row.dead)},
                             {"median_time", finite_or_null(row.median)},
                             {"events", finite_or_null(row.events)},
                             {"events_deviation", finite_or_null(row.events_deviation)}});
  if (const Anytime decided = anytime_accuracy(net_, batch.inputs, batch.targets);
      !decided.times.empty())
    out["anytime"] = {{"time", decided.times}, {"accuracy", decided.accuracy}};
  for (const spiking::RasterRow& row : spiking::raster(net_, batch.inputs.narrow(0, 0, 1))) {
    nlohmann::json times = nlohmann::json::array();
    for (const double time : row.times) times.push_back(finite_or_null(time));
    out["raster"].push_back({{"name", row.name}, {"units", row.units}, {"times", times}});
  }
  for (const ConnectionRow& row : connections(net_))
    out["connections"].push_back({{"name", row.name},
                                  {"distance", finite_or_null(row.distance)},
                                  {"half_way", finite_or_null(row.half_way)}});
  if (const auto settling = watch_settling(rule_, step))
    out["relaxation"] = settling_json(*settling);
  return out;
}

std::optional<std::pair<std::string, double>> Trainer::in_bits(double loss) const {
  if (data_.train.vocabulary > 0 && data_.train.per_step() && loss_.is_surprise())
    return {{"bits_per_character", loss / M_LN2}};
  if (!loss_.of_flows()) return std::nullopt;
  const std::optional<double> bits = ode::flow_of(net_).bits_per_dimension(loss);
  if (!bits) return std::nullopt;
  return {{"bits_per_dimension", *bits}};
}

void Trainer::say_once(std::string sentence) {
  if (!std::count(warnings_.begin(), warnings_.end(), sentence)) warn(std::move(sentence));
}

void Trainer::note_best(const Scores& validation) {
  improved_ = false;
  if (data_.validation.empty()) return;
  const std::string primary = rule_.primary_score();
  const Score* score = validation.find(primary);
  if (!score)
    throw Error("the rule is to be judged by the score '" + primary +
                "', but its evaluation makes none of that name");
  const double mean = score->mean();
  if (std::isnan(mean)) return;  // never the best, and what comes after it is compared with others
  improved_ = best_epoch_ == 0 || (score->more_is_better ? mean > best_score_ : mean < best_score_);
  if (!improved_) return;
  best_score_ = mean;
  best_epoch_ = position_.epoch + 1;
}

void Trainer::add_bits(nlohmann::json& record, const std::string& part, double loss) const {
  if (const auto bits = in_bits(loss))
    record[part + "_" + bits->first] = finite_or_null(bits->second);
}

Trainer::Judged Trainer::judge(nlohmann::json& record) {
  const auto scores_of = [&](const std::string& part, const data::Dataset& data) {
    if (data.empty()) return Scores();
    const Scores scores = evaluate(data);
    for (const Score& score : scores.all())
      record[part + "_" + score.name] = finite_or_null(score.mean());
    add_bits(record, part, scores.loss());
    return scores;
  };
  Judged out{scores_of("validation", data_.validation), scores_of("test", data_.test)};
  // What the report and the tables cannot know by name.
  const std::string primary = rule_.primary_score();
  if (primary != "loss") record["primary_score"] = primary;
  std::set<std::string> named = {"loss", "accuracy"};
  for (const Scores* scores : {&out.test, &out.validation})
    for (const Score& score : scores->all())
      if (named.insert(score.name).second)
        record["scores"].push_back(
            {{"name", score.name}, {"more_is_better", score.more_is_better}});
  return out;
}

nlohmann::json Trainer::untrained_record() {
  nlohmann::json record{{"epoch", 0}, {"step", 0}, {"seconds", 0.0}, {"samples_per_second", 0.0}};
  judge(record);
  if (settings_.probe_every > 0) record.update(probe());
  return record;
}

nlohmann::json Trainer::finish_epoch() {
  nlohmann::json record{{"epoch", position_.epoch + 1}, {"step", position_.step}};
  record["train_loss"] = finite_or_null(running_loss());
  add_bits(record, "train", running_loss());
  if (data_.train.classes > 0 && seen_ && !loss_.of_flows())
    record["train_accuracy"] = sums_[1].item<double>() / static_cast<double>(seen_);
  const auto [validation, test] = judge(record);
  note_best(validation);
  if (explodes(running_loss()))
    say_explodes(running_loss(), text::cat("over epoch ", position_.epoch + 1));
  if (test.find("loss") && explodes(test.loss())) say_explodes(test.loss(), "on the test data");
  record["learning_rate"] = learning_rate_;
  record["seconds"] = epoch_seconds_;
  record["samples_per_second"] =
      epoch_seconds_ > 0 ? static_cast<double>(seen_) / epoch_seconds_ : 0.0;
  for (const auto& [name, value] : rule_.measurements())
    record["figures"][name] = finite_or_null(value);
  for (const auto& [name, value] : solver_costs_.figures())
    record["figures"][name] = finite_or_null(value);
  std::vector<std::string> notices = rule_.notices();
  for (std::string& sentence : net_.notices()) notices.push_back(std::move(sentence));
  for (std::string& sentence : notices) say_once(std::move(sentence));
  if (std::string sentence = RecordedSteps::take_notice(); !sentence.empty())
    warn(std::move(sentence));
  const bool last = position_.epoch + 1 >= settings_.epochs || out_of_steps();
  if (settings_.probe_every > 0 && ((position_.epoch + 1) % settings_.probe_every == 0 || last))
    record.update(probe());
  if (position_.pass < passes_in_epoch()) {  // max-steps ends the run here, for now
    record["partial"] = recorded_ = true;
    return record;
  }
  position_.batch = position_.pass = 0;
  ++position_.epoch;
  sums_.zero_();
  seen_ = 0;
  epoch_seconds_ = 0;
  solver_costs_.clear();
  return record;
}

}  // namespace altprop
