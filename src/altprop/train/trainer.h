// The training loop: epochs, passes, steps, evaluation, probes. It writes no files; observers do.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/data/dataset.h"
#include "altprop/data/loader.h"
#include "altprop/rules/learner.h"
#include "altprop/train/settings.h"
#include "altprop/train/solver_costs.h"
#include "altprop/train/step_cost.h"

namespace altprop {

/// Where a run stands; with the tensors, all that a resumed run needs.
struct Position {
  int64_t epoch = 0;  ///< 0-based, the epoch in progress or to start
  int64_t pass = 0;   ///< index into Learner::passes(epoch)
  int64_t batch = 0;  ///< within the pass
  int64_t step = 0;   ///< over the whole run
  bool inside_epoch() const { return pass > 0 || batch > 0; }
};

class Trainer;

/// Told what happens. All calls come from the training thread.
struct Observer {
  virtual ~Observer() = default;
  virtual void on_start(const Trainer&) {}
  virtual void on_step(const Trainer&) {}
  /// An epoch is done; `record` is its line of metrics. The trainer's state is that of the next
  /// epoch's start; or, where record["partial"] is true, that inside an epoch in which max-steps has
  /// ended the training: a trainer that goes on from there records the whole epoch in its place.
  virtual void on_epoch(Trainer&, const nlohmann::json& record) {}
  /// Training ends here, for whatever reason.
  virtual void on_stop(Trainer&, const std::string& status) {}
};

class Trainer {
 public:
  /// Binds the rule and the updater to the network. The references must outlive the trainer.
  /// @param updater in place of the one that the settings ask for; not yet bound
  Trainer(Graph& net, Learner& rule, const Loss& loss, const data::Splits& data,
          RunSettings settings, std::unique_ptr<Updater> updater = nullptr);

  void observe(Observer& observer) { observers_.push_back(&observer); }
  /// Trains from the current position to the end. @returns "done", "stopped early" or
  /// "interrupted". @throws Diverged
  std::string run();
  /// One step of a pass on a batch of the caller's, outside of `run`: for measurements.
  void train_on(const data::Batch& batch, const std::string& pass = "train");
  /// The learner's scores over a data set.
  Scores evaluate(const data::Dataset& data);
  /// What the learner is given to predict a batch.
  Look evaluated(const data::Batch& batch) const;
  /// For whoever is about to keep the state. @throws Diverged if a parameter is not finite
  void require_finite();
  /// Gradient angles, feedback alignment, what units fire and how states settle, on the probe batch:
  /// {"gradient": [...], "alignment": [...], "firing": [...], "anytime": {...}, "raster": [...],
  /// "connections": [...], "relaxation": {...}}.
  nlohmann::json probe();

  /// The run was begun for so many epochs, where it now has others: checked against its position
  /// once its state is loaded, and what that does to its learning rate is said.
  void began_with_epochs(int64_t epochs) { epochs_before_ = epochs; }
  /// Everything a resumed run needs, tensors and position.
  void state(StateIO io);

  const RunSettings& settings() const { return settings_; }
  const Position& position() const { return position_; }
  int64_t batches_per_pass() const { return loader_->batches(); }
  int64_t passes_in_epoch() const {
    return static_cast<int64_t>(rule_.passes(position_.epoch, settings_.epochs).size());
  }
  double running_loss() const;
  double train_seconds() const { return seconds_; }
  /// What a step costs, measured as the steps ran.
  const StepCost& step_cost() const { return cost_; }
  int64_t trained_samples() const { return samples_; }
  int64_t peak_memory() const { return peak_; }
  /// Peak without the data set: what network, rule and optimizer need.
  int64_t peak_memory_above_data() const { return peak_ - data_bytes_; }
  /// Epoch (1-based) with the best primary score on the validation data; 0 without such data.
  int64_t best_epoch() const { return best_epoch_; }
  bool improved() const { return improved_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Unless it has been said already.
  void say_once(std::string sentence);
  void warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }
  /// What ended the training before its time; "" if nothing did.
  const std::string& failure() const { return failure_; }
  Graph& net() { return net_; }
  Learner& rule() { return rule_; }
  Updater& updater() { return updater_; }

 private:
  /// Refuses data that the loss, or a network that couples samples, cannot be trained on.
  void admit_data() const;
  /// Refuses numbers that the network's inputs, or what reads them, are not for.
  void admit_inputs(const data::Dataset& part) const;
  /// @param last whether the epoch has no pass after it
  void train_pass(const std::string& pass, bool last);
  void train_step(const data::Batch& batch, const std::string& pass);
  nlohmann::json finish_epoch();
  /// Of a network that is to be trained for no epoch: what it is worth as it is.
  nlohmann::json untrained_record();
  /// Hands a record to the observers. @throws Diverged if it says so
  void finish_record(const nlohmann::json& record);
  struct Judged {
    Scores validation, test;
  };
  /// Evaluates the network on both, and puts the scores into the record.
  Judged judge(nlohmann::json& record);
  void add_bits(nlohmann::json& record, const std::string& part, double loss) const;
  /// Whether the loss, while still finite, has grown far beyond that of the first batch, which the
  /// first call tells.
  bool explodes(double loss);
  /// Says so, once.
  void say_explodes(double loss, const std::string& where);
  /// Whether the epoch is the best so far, by the learner's primary score.
  void note_best(const Scores& validation);
  /// A loss that is information, as it is reported beside: its name, "bits_per_character" of text,
  /// "bits_per_dimension" of a flow on whole numbers, and the bits. None of other losses.
  std::optional<std::pair<std::string, double>> in_bits(double loss) const;
  Look look_of(const data::Batch& batch) const;
  bool out_of_steps() const {
    return settings_.max_steps > 0 && position_.step >= settings_.max_steps;
  }
  bool stopped_early() const {
    return settings_.early_stop > 0 && position_.epoch - best_epoch_ >= settings_.early_stop;
  }
  std::vector<ParamPtr> all_params();
  void check_loaded();
  void compare_epochs();
  /// "the output of 'fc1' is": the first in the order of the forward pass that is not finite.
  std::string first_not_finite(const Tensor& inputs);
  [[noreturn]] void end_diverged(int64_t step, int64_t epoch, const std::string& why);
  [[noreturn]] void report_divergence(const Tensor& inputs, int64_t step, int64_t epoch);

  Graph& net_;
  Learner& rule_;
  const Loss& loss_;
  const data::Splits& data_;
  RunSettings settings_;
  Stream stream_;
  std::unique_ptr<Updater> held_updater_;
  Updater& updater_;
  std::unique_ptr<data::Loader> loader_;
  std::vector<Observer*> observers_;
  std::vector<std::string> warnings_;
  Position position_;
  Tensor sums_;        ///< of the epoch so far: loss, correct answers; float64 on the device
  Tensor steps_lost_;  ///< on a GPU, where the sums are seldom looked at: steps since they are not
                       ///< finite
  std::string failure_;
  int64_t seen_ = 0;
  double seconds_ = 0, epoch_seconds_ = 0;
  StepCost cost_;
  SolverCosts solver_costs_;
  int64_t samples_ = 0, peak_ = 0, data_bytes_ = 0;
  double learning_rate_ = 0;  ///< of the last step
  double best_score_ = 0;
  int64_t best_epoch_ = 0;
  bool improved_ = false;
  bool recorded_ = false;  ///< the epoch in progress has its partial record, or epoch 0 its own
  int64_t epochs_before_ = -1;  ///< negative: as many as now
  bool exploded_ = false;   ///< it has been said
  double first_loss_ = -1;  ///< of the first batch; negative: there was none yet
};

}  // namespace altprop
