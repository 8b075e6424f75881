#include "altprop/train/trainer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "altprop/base/factors.h"
#include "altprop/base/text.h"
#include "altprop/base/timing.h"
#include "altprop/network/buffer_guard.h"
#include "altprop/ode/flow.h"
#include "altprop/optim/own_updater.h"
#include "altprop/probes/kernels.h"
#include "altprop/rules/notices.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/memory.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/loader_options.h"

namespace altprop {

namespace {

/// Adds a batch's loss and number of right answers to the sums of the epoch.
/// @returns the loss; NaN on a device that would have to be waited for
double add_to(Tensor& sums, const Tensor& loss, const Tensor& right) {
  if (sums.device().is_cpu()) {
    double* sum = sums.mutable_data_ptr<double>();
    const double total = loss.sum().item<double>();
    sum[0] += total;
    if (right.defined()) sum[1] += right.item<double>();
    return total;
  }
  sums[0].add_(loss.sum());
  if (right.defined()) sums[1].add_(right);
  return NAN;
}

bool finite(const Tensor& values) { return values.isfinite().all().item<bool>(); }

/// A network begins with outputs of about 1, and rates suit targets of that size.
std::string unscaled_targets(const Loss& loss, const Tensor& targets) {
  if (!loss.squared() || !targets.defined() || !targets.is_floating_point() || targets.numel() < 2)
    return "";
  const Tensor values = targets.to(at::kDouble);
  const double mean = values.mean().item<double>(), deviation = values.std().item<double>();
  if (std::abs(mean) <= 10 && deviation <= 10) return "";
  return text::cat("the targets have mean ", text::from_number(std::round(mean * 1e3) / 1e3),
                   " and deviation ", text::from_number(std::round(deviation * 1e3) / 1e3),
                   ", and are taken as they are; squared error learns best from targets of mean 0 "
                   "and deviation 1: rescale them, or lower the learning rate");
}

}  // namespace

Trainer::Trainer(Graph& net, Learner& rule, const Loss& loss, const data::Splits& data,
                 RunSettings settings, std::unique_ptr<Updater> updater)
    : net_(net),
      rule_(rule),
      loss_(loss),
      data_(data),
      settings_(std::move(settings)),
      stream_(static_cast<uint64_t>(settings_.seed)),
      held_updater_(updater
                        ? std::move(updater)
                        : std::make_unique<OwnUpdater>(settings_.optimizer, settings_.schedule)),
      updater_(*held_updater_),
      solver_costs_(net_) {
  if (settings_.early_stop > 0 && data.validation.empty())
    throw UsageError(
        "early-stop needs validation data; set --validation to a number of training samples to "
        "hold "
        "out");
  settings_.schedule.check();
  admit_data();
  loader_ = std::make_unique<data::Loader>(data_.train, training_options(settings_, stream_));
  int64_t parameter_bytes = 0;
  for (const ParamPtr& param : net_.params())
    parameter_bytes += static_cast<int64_t>(param->value.nbytes());
  data_bytes_ = std::max<int64_t>(0, memory::alive(at::Device(settings_.device)) - parameter_bytes);
  const std::shared_ptr<Direction> direction =
      make_direction(settings_.direction, settings_.direction_options);
  if (direction) direction->admit(net_);
  updater_.set_direction(direction);
  rule_.prepare_for(updater_.settings());
  rule_.bind(net_, loss_, static_cast<uint64_t>(settings_.seed));
  std::vector<ParamPtr> params = rule_.trained();
  for (const ParamPtr& param : rule_.owned()) params.push_back(param);
  for (GroupSettings& group : rule_.groups(settings_.optimizer, settings_.schedule))
    updater_.set_group(std::move(group));
  const Traits traits = net_.traits();
  updater_.set_in_place(rule_.allows_in_place() && !traits.reuses && !traits.penalises);
  updater_.set_steps_alone(rule_.steps_alone());
  updater_.refuse_bounds(params);
  updater_.bind(params);
  warnings_ = settings_.without_effect();
  for (std::string& sentence : options_without_effect(rule_))
    warnings_.push_back(std::move(sentence));
  for (std::string& sentence : rule_.warnings(updater_.settings()))
    warnings_.push_back(std::move(sentence));
  if (direction)
    for (std::string& sentence : direction->warnings(updater_.settings()))
      warnings_.push_back(std::move(sentence));
  if (std::string sentence = unscaled_targets(loss_, data_.train.targets); !sentence.empty())
    warnings_.push_back(std::move(sentence));
  if (loss_.of_flows() && data_.train.inputs.scalar_type() == at::kByte &&
      ode::flow_of(net_).levels == 0)
    warnings_.push_back(
        "the data are whole numbers, of which a density is not bounded: the likelihood grows as the "
        "flow gathers on them; begin the network with dequantise, which adds noise between them, as "
        "cnf-image does");
  if (settings_.optimizer.lr == 0)
    warnings_.push_back("lr is 0, so that weights stay as they are");
  std::vector<std::string> names;
  for (const ParamPtr& param : params) names.push_back(param->name);
  for (const auto& [option, items] :
       {std::pair{"lr-of", settings_.optimizer.lr_of}, {"init-of", settings_.init_of}})
    for (const std::string& pattern : patterns_without_match(items, names))
      warnings_.push_back(text::cat(option, " has no effect for '", pattern,
                                    "': no parameter has that in its name"));
  sums_ = at::zeros({2}, at::TensorOptions(at::kDouble).device(at::Device(settings_.device)));
  steps_lost_ = at::zeros({}, sums_.options().dtype(at::kLong));
}

Look Trainer::look_of(const data::Batch& batch) const {
  return {.inputs = batch.inputs,
          .ids = batch.ids,
          .draws = stream_.at("step").at(position_.step),
          .index = position_.step};
}

Look Trainer::evaluated(const data::Batch& batch) const {
  return {.inputs = batch.inputs, .ids = batch.ids, .draws = stream_.at("evaluate")};
}

double Trainer::running_loss() const {
  return seen_ ? sums_[0].item<double>() / static_cast<double>(seen_) : NAN;
}

std::string Trainer::run() {
  at::NoGradGuard no_grad;
  for (Observer* observer : observers_) observer->on_start(*this);
  std::string status = "done";
  // A resumed run may have all its steps but not yet the record of their epoch, or have stopped
  // early.
  const auto lacks_record = [this] { return position_.inside_epoch() && !recorded_; };
  while (position_.epoch < settings_.epochs && (!out_of_steps() || lacks_record()) &&
         !stopped_early()) {
    updater_.set_weight_decay(rule_.weight_decay(position_.epoch));
    const std::vector<std::string> passes = rule_.passes(position_.epoch, settings_.epochs);
    while (position_.pass < static_cast<int64_t>(passes.size()) && !interrupt::requested() &&
           !out_of_steps()) {
      train_pass(passes[static_cast<size_t>(position_.pass)],
                 position_.pass + 1 == static_cast<int64_t>(passes.size()));
      if (position_.batch == loader_->batches()) {
        rule_.pass_done(passes[static_cast<size_t>(position_.pass)]);
        position_.batch = 0;
        ++position_.pass;
      }
    }
    if (interrupt::requested()) {
      status = "interrupted";
      break;
    }
    require_finite();
    nlohmann::json record;
    try {
      record = finish_epoch();
    } catch (const Diverged& inside) {  // of the rule, as an instrument or the evaluation ran it
      end_diverged(position_.step, position_.epoch + 1, inside.what());
    }
    finish_record(record);
  }
  if (settings_.epochs == 0 && position_.step == 0 && !recorded_) {
    recorded_ = true;
    finish_record(untrained_record());
  }
  if (status == "done" && stopped_early()) status = "stopped early";
  for (Observer* observer : observers_) observer->on_stop(*this, status);
  return status;
}

void Trainer::finish_record(const nlohmann::json& record) {
  for (const char* key : {"validation_loss", "test_loss"})
    if (record.contains(key) && record[key].is_null())
      report_divergence(loader_->at(0, 0).inputs, position_.step, record["epoch"].get<int64_t>());
  for (Observer* observer : observers_) observer->on_epoch(*this, record);
}

void Trainer::train_pass(const std::string& pass, bool last) {
  const at::Device device(settings_.device);
  const double begin = clock_seconds();
  memory::reset_peak(device);
  const int64_t batches = loader_->batches(), first_step = position_.step;
  double step_begin = begin;
  for (; position_.batch < batches && !interrupt::requested() && !out_of_steps();) {
    updater_.set_progress(position_.epoch,
                          static_cast<double>(position_.batch) / static_cast<double>(batches),
                          settings_.epochs, position_.step);
    const data::Batch batch = loader_->at(position_.epoch, position_.batch);
    const bool full = batch.size == std::min(settings_.batch, data_.train.size());
    if (full && !cost_.has_flops(pass))
      cost_.flops(pass, flops_of(count_kernels([&] { train_step(batch, pass); })));
    else
      train_step(batch, pass);
    learning_rate_ = updater_.facts().lr;
    ++position_.batch;
    ++position_.step;
    if (device.is_cpu()) cost_.seconds(pass, clock_seconds() - step_begin, last);
    for (Observer* observer : observers_) observer->on_step(*this);
    step_begin = clock_seconds();
  }
  if (!device.is_cpu()) running_loss();  // waits for the device, whose steps are not timed singly
  const double seconds = clock_seconds() - begin;
  if (!device.is_cpu() && position_.step > first_step)
    cost_.seconds(pass, seconds / static_cast<double>(position_.step - first_step), last);
  seconds_ += seconds;
  epoch_seconds_ += seconds;
  peak_ = std::max(peak_, memory::peak(device));
}

void Trainer::train_step(const data::Batch& batch, const std::string& pass) {
  Step step = Step::train(updater_, look_of(batch), batch.targets);
  step.epoch = position_.epoch;
  step.pass = pass;
  try {
    const SolverCosts::Watch watch(solver_costs_);
    rule_.step(step);
  } catch (const Diverged& inside) {
    end_diverged(position_.step + 1, position_.epoch + 1, inside.what());
  }
  samples_ += batch.size;
  recorded_ = false;
  if (!step.output.defined()) return;  // a pass that trains something else than the network
  const double loss = add_to(sums_, loss_.value(step.output, batch.targets),
                             loss_.right(step.output, batch.targets));
  seen_ += batch.size;
  if (const double mean = loss / static_cast<double>(batch.size); explodes(mean))
    say_explodes(mean, text::cat("in step ", position_.step + 1));
  // On a GPU reading a number stops the stream, so look less often there and count.
  const bool on_cpu = step.inputs.device().is_cpu();
  if (!on_cpu) steps_lost_.add_(sums_[0].isfinite().logical_not());
  if ((on_cpu || position_.step % 50 == 0) && !std::isfinite(sums_[0].item<double>())) {
    const int64_t later = on_cpu ? 0 : steps_lost_.item<int64_t>() - 1;
    report_divergence(step.inputs, position_.step + 1 - later, position_.epoch + 1);
  }
}

bool Trainer::explodes(double loss) {
  // Of one that starts near 0 (weights of an earlier run) a hundredfold may still be good.
  constexpr double kFactor = 100, kSmall = 0.05;
  if (!std::isfinite(loss)) return false;
  if (first_loss_ < 0) first_loss_ = std::abs(loss);
  return std::abs(loss) > kFactor * std::max(first_loss_, kSmall);
}

void Trainer::say_explodes(double loss, const std::string& where) {
  if (exploded_) return;
  exploded_ = true;
  warn(text::cat("the loss explodes: ", where, " it is ", figure(loss),
                 ", in the first batch it was ", figure(first_loss_),
                 "; use a smaller learning rate or --clip-norm"));
}

void Trainer::train_on(const data::Batch& batch, const std::string& pass) {
  at::NoGradGuard no_grad;
  train_step(batch, pass);
  ++position_.step;
}

std::vector<ParamPtr> Trainer::all_params() {
  std::vector<ParamPtr> all = net_.params();
  for (const ParamPtr& param : rule_.owned()) all.push_back(param);
  return all;
}

void Trainer::require_finite() {
  Tensor all_finite = at::ones({}, sums_.options().dtype(at::kBool));
  for (const ParamPtr& param : all_params()) all_finite.logical_and_(param->value.isfinite().all());
  if (!all_finite.item<bool>())
    report_divergence(loader_->at(position_.epoch, 0).inputs, position_.step, position_.epoch + 1);
}

std::string Trainer::first_not_finite(const Tensor& inputs) {
  Activity activity;
  net_.run(inputs, activity, {Mode::Eval}, {.keep_values = true});
  for (const Node& node : net_.nodes()) {
    if (!node.op) continue;
    for (const ParamPtr& param : node.op->params())
      if (!finite(param->value)) return "the parameter '" + param->name + "' is";
    // A unit that never fires is no divergence.
    if (!legal(activity.values[static_cast<size_t>(node.id)], node.spec.kind))
      return "the output of '" + node.name + "' is";
  }
  for (const ParamPtr& param : rule_.owned())
    if (!finite(param->value)) return "the rule's '" + param->name + "' is";
  return "the loss of the output '" + net_.node(net_.output_node()).name + "' is";
}

void Trainer::report_divergence(const Tensor& inputs, int64_t step, int64_t epoch) {
  const Kind kind = net_.node(net_.input_nodes()[0]).spec.kind;
  if (const std::string fault = not_finite_in(inputs, kind); !fault.empty())
    end_diverged(step, epoch, fault);
  end_diverged(
      step, epoch,
      first_not_finite(inputs) + " no longer finite; use a smaller learning rate or --clip-norm");
}

void Trainer::end_diverged(int64_t step, int64_t epoch, const std::string& why) {
  failure_ = text::cat("training diverged at step ", step, " (epoch ", epoch, "): ", why);
  for (Observer* observer : observers_) observer->on_stop(*this, "diverged");
  throw Diverged(failure_);
}

void Trainer::state(StateIO io) {
  for (const ParamPtr& param : net_.params()) io.tensor("net." + param->name, param->value);
  for (auto& [name, tensor] : net_.buffers()) io.tensor("net." + name, *tensor);
  for (const ParamPtr& param : rule_.owned()) io.tensor("rule.owned." + param->name, param->value);
  rule_.state(io.scope("rule"));
  updater_.state(io.scope("optimizer"));
  StateIO at = io.scope("position");
  at.integer("epoch", position_.epoch);
  at.integer("pass", position_.pass);
  at.integer("batch", position_.batch);
  at.integer("step", position_.step);
  at.tensor("sums", sums_);
  at.integer("seen", seen_);
  at.number("seconds", seconds_);
  at.number("epoch_seconds", epoch_seconds_);
  cost_.state(at);
  solver_costs_.state(io.scope("solvers"));
  at.number("learning_rate", learning_rate_);
  at.integer("samples", samples_);
  at.integer("peak", peak_);
  at.integer("data_bytes", data_bytes_);
  at.number("best_loss", best_score_);  // of whatever score is the primary one
  at.integer("best_epoch", best_epoch_);
  int64_t recorded = recorded_, exploded = exploded_;
  at.integer("recorded", recorded);
  at.integer("exploded", exploded);
  at.number("first_loss", first_loss_);
  recorded_ = recorded != 0;
  exploded_ = exploded != 0;
  if (at.is_loading()) check_loaded();
}

void Trainer::check_loaded() {
  for (const ParamPtr& param : all_params())
    if (!finite(param->value))
      throw Error("the parameter '" + param->name +
                  "' in the checkpoint is not finite; use an earlier checkpoint or start the run "
                  "again");
  const Position& at = position_;
  for (const int64_t count : {at.epoch, at.pass, at.batch, at.step, seen_, samples_, best_epoch_})
    if (count < 0)
      throw Error(text::cat("the checkpoint says ", count,
                            " where something is counted: it is damaged; use an earlier one"));
  if (at.batch > loader_->batches() || at.pass > passes_in_epoch())
    throw Error(
        text::cat("the checkpoint stands at batch ", at.batch, " of pass ", at.pass + 1,
                  ", but an epoch has ", loader_->batches(), " batches and ", passes_in_epoch(),
                  " passes: the data, the batch size or the rule are not those of the run"));
  compare_epochs();
}

void Trainer::compare_epochs() {
  const int64_t done = position_.epoch, epochs = settings_.epochs;
  if (epochs_before_ < 0 || epochs_before_ == epochs) return;
  if (epochs < done)
    throw UsageError(text::cat("option 'epochs' asks for ", epochs, ", but the run has done ", done,
                               "; ask for more, or leave the option out"));
  // The rate at the place where the run goes on, with the old number of epochs and with the new.
  const double was = settings_.schedule.factor(done, 0, epochs_before_, position_.step),
               is = settings_.schedule.factor(done, 0, epochs, position_.step);
  if (was == is) return;
  const double lr = settings_.optimizer.lr;
  warn(text::cat("the ", settings_.schedule.kind, " schedule now spans ", epochs,
                 " epochs instead of ", epochs_before_, ": after epoch ", done,
                 " the learning rate goes on at ", figure(lr * is), ", where it would have been ",
                 figure(lr * was)));
}

}  // namespace altprop
