#include "altprop/train/experiment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>

#include "altprop/base/factors.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/ode/cost.h"
#include "altprop/optim/direction.h"
#include "altprop/rules/registry.h"
#include "altprop/spiking/fire_at.h"
#include "altprop/tensor/recorded_steps.h"
#include "altprop/train/initial_weights.h"
#include "altprop/train/loader_options.h"

namespace altprop {

std::shared_ptr<const data::Splits> load_data(const RunSettings& settings) {
  return std::make_shared<data::Splits>(data::load(settings.data, settings.data_options));
}

void expand_rule(RunSettings& settings) {
  const RuleText written = parse_rule(settings.rule);
  const std::vector<std::string> own = rule_option_names(written.name);
  OptionValues before;  // in brackets stands the last word, whichever way the option is named
  before.swap(settings.rule_options);
  for (const auto& [name, value] : before) {
    const std::string full = rule_option_name(written.name, name);
    if (!settings.rule_options.emplace(full, value).second)
      throw UsageError("option '" + full + "' of rule '" + written.name +
                       "' is given twice, once as '" + name + "'; leave one out");
  }
  Options options("rule '" + written.name + "'");
  settings.declare(options);
  for (const auto& [name, value] : written.values) {
    if (name == "rule" || name == "preset" || name == "label" || name == "title" || name == "notes")
      throw UsageError("rule '" + settings.rule + "': '" + name +
                       "' is no setting that may stand in brackets; give --" + name);
    const bool rules = std::count(own.begin(), own.end(), name) > 0;
    if (!rules && options.has(name)) {
      options.set(name, value);
    } else if (!rules && is_direction_option(name)) {
      settings.direction_options[name] = value;
    } else {
      // Unknown names are refused by the rule, which knows what is near.
      settings.rule_options[rule_option_name(written.name, name)] = value;
    }
  }
  if (settings.label.empty()) settings.label = settings.rule;
  settings.rule = written.name;
}

void use_machine(const RunSettings& settings) {
  if (settings.threads > 0) at::set_num_threads(static_cast<int>(settings.threads));
  try {
    const at::Device device(settings.device);
    if (device.is_cpu()) return;
    RecordedSteps::allow(settings.device_graphs);
    if (!at::hasCUDA() || !device.is_cuda())
      throw UsageError("device '" + settings.device + "' is not available here; use cpu");
    at::empty({1}, at::TensorOptions().device(device));
    // float32 is meant as such, and a resumed run has to take the same kernels.
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setBenchmarkCuDNN(false);
  } catch (const c10::Error&) {
    throw UsageError("device '" + settings.device +
                     "' is not available here; use cpu, cuda or cuda:N with a GPU that is there");
  }
}

InputInfo facts_for_network(const data::Splits& data) {
  return {.input_shape = data.train.sample_shape(),
          .classes = data.train.classes,
          .target_values = data.train.classes > 0 ? 0 : data.train.targets.size(-1),
          .vocabulary = data.train.vocabulary,
          .per_step = data.train.per_step()};
}

namespace {

/// The gradient method of the settings for all ODE blocks; that of ode.memory is chosen later.
void set_ode_gradient(const Graph& net, const RunSettings& settings) {
  const RunSettings usual;
  const bool chosen = settings.ode_gradient != usual.ode_gradient,
             memory = !settings.ode_memory.empty(),
             counted = settings.ode_checkpoints > 0 || settings.ode_graph_stages > 0,
             adjoint = settings.ode_adjoint != usual.ode_adjoint;
  const char* named = chosen                          ? "ode.gradient"
                      : memory                        ? "ode.memory"
                      : settings.ode_checkpoints > 0  ? "ode.checkpoints"
                      : settings.ode_graph_stages > 0 ? "ode.graph-stages"
                      : adjoint                       ? "ode.adjoint-..."
                                                      : nullptr;
  if (memory && (chosen || counted || adjoint))
    throw UsageError("option 'ode.memory' chooses the gradient method, so that ode.gradient and its "
                     "options (ode.checkpoints, ode.graph-stages, ode.adjoint-...) are left out "
                     "beside it");
  const ode::GradientMethod method =
      ode::gradient_method(settings.ode_gradient, settings.ode_checkpoints,
                           settings.ode_graph_stages, settings.ode_adjoint);
  if (ode::set_gradient(net, method) == 0 && named)
    throw UsageError(text::cat("option '", named, "' has no effect, because the network has no ODE block; "
                               "leave it out, or write one, as in chain: linear 16, ode{linear 16, tanh}, "
                               "linear *"));
}

}  // namespace

Graph build_network(const RunSettings& settings, const data::Splits& data) {
  Graph net = network(settings.net, facts_for_network(data));
  set_ode_gradient(net, settings);
  net.to(at::Device(settings.device), settings.dtype == "float64" ? at::kDouble : at::kFloat);
  initialise(net, Initialiser(settings.init),
             Stream(static_cast<uint64_t>(settings.seed)).at("init"));
  for (const ParamPtr& param : net.params())
    if (const double factor = factor_of("init-of", settings.init_of, param->name); factor != 1)
      param->value.mul_(factor);
  return net;
}

Experiment::Experiment(RunSettings settings) : Experiment(std::move(settings), nullptr) {}

Experiment::Experiment(RunSettings settings, std::shared_ptr<const data::Splits> data)
    : settings_(std::move(settings)), data_(std::move(data)) {
  expand_rule(settings_);
  settings_.net = network_text(settings_.net);  // the file that it came from may change
  use_machine(settings_);
  rule_ = make_rule(settings_.rule, settings_.rule_options);
  loss_ = make_loss(settings_.loss, settings_.spikes);
  if (!data_) data_ = load_data(settings_);
  net_ = build_network(settings_, *data_);
  std::string notice;
  let_units_fire();
  if (!settings_.init_from.empty()) notice = start_from(net_, settings_.init_from, settings_.net);
  trainer_ = std::make_unique<Trainer>(net_, *rule_, *loss_, *data_, settings_);
  if (!notice.empty()) trainer_->warn(notice);
  look_at_ode_blocks();
}

void Experiment::let_units_fire() {
  if (settings_.fire_at == 0 || data_->train.empty()) return;
  data::LoaderOptions options = evaluation_options(settings_);
  options.batch = settings_.batch;
  const data::Dataset some = data::first(data_->train, settings_.batch);
  if (spiking::fire_at(net_, data::Loader(some, options).at(0, 0).inputs, settings_.fire_at) == 0)
    throw UsageError(
        "option 'spike.fire-at' has no effect, because the network has no relpsp-event layer; leave "
        "it out, or write one, as in relpsp:784-800-10");
}

void Experiment::look_at_ode_blocks() {
  const std::vector<ode::Block*> blocks = ode::blocks_of(net_);
  if (blocks.empty() || data_->train.empty()) return;
  ode::GradientMethod method = blocks[0]->gradient();
  const bool adaptive = std::any_of(blocks.begin(), blocks.end(), [](const ode::Block* block) {
    return block->problem().sizes.is_adaptive();
  });
  // Of equal steps there is nothing to find out but bytes, and the digits that MALI will lose.
  if (!adaptive && settings_.ode_memory.empty() && method.kind != ode::Gradient::Mali) return;
  const data::Dataset some = data::first(data_->train, settings_.batch);
  std::vector<ode::Profile> profiles = ode::profiles(net_, some.size());
  std::optional<ode::Tally> seen;
  if (adaptive) {
    data::LoaderOptions options = evaluation_options(settings_);
    options.batch = settings_.batch;
    seen = ode::measure_steps(net_, data::Loader(some, options).at(0, 0).inputs, profiles);
  }
  if (!settings_.ode_memory.empty()) {
    const ode::Choice choice =
        ode::fastest_within(profiles, ode::bytes_of_text(settings_.ode_memory));
    method = choice.method;
    ode::set_gradient(net_, method);
    ode_choice_ = choice.sentence;
  }
  for (std::string& sentence : ode::warnings_of(profiles, net_, method, seen ? &*seen : nullptr))
    trainer_->warn(std::move(sentence));
}

int64_t Experiment::parameters() const {
  int64_t total = 0;
  for (const ParamPtr& param : net_.params()) total += param->value.numel();
  return total;
}

}  // namespace altprop
