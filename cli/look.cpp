// Commands that look and do not train: check, describe.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/network/describe.h"
#include "altprop/network/init.h"
#include "altprop/optim/direction.h"
#include "altprop/optim/optimizer.h"
#include "altprop/ode/cost_table.h"
#include "altprop/probes/gradient_check.h"
#include "altprop/probes/ode_gradients.h"
#include "altprop/probes/settling.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "altprop/train/presets.h"
#include "command.h"

namespace altprop::cli {

namespace {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

/// The first batch of a run's data, in float64.
data::Batch batch_to_check(Experiment& e) {
  data::LoaderOptions options;
  options.batch = e.settings().batch;
  options.dtype = at::kDouble;
  options.device = at::Device(e.settings().device);
  return data::Loader(data::first(e.data().train, e.settings().batch), options).at(0, 0);
}

/// All gradient methods of the network's ODE blocks, by backprop.
void check_ode_gradients(RunSettings settings, bool json) {
  settings.dtype = "float64";
  const int64_t checkpoints = settings.ode_checkpoints, graph_stages = settings.ode_graph_stages;
  const ode::AdjointSteps adjoint = settings.ode_adjoint;
  settings.ode_checkpoints = settings.ode_graph_stages = 0;
  settings.ode_adjoint = {};
  settings.ode_gradient = RunSettings().ode_gradient;
  settings.ode_memory.clear();
  Experiment e(settings);
  if (e.settings().rule != "backprop")
    throw UsageError("--ode.gradient all compares the methods by backprop, not by rule '" +
                     e.settings().rule +
                     "'; leave --rule out, or name one method to check it under that rule");
  const data::Batch batch = batch_to_check(e);
  const Stream draws = Stream(static_cast<uint64_t>(e.settings().seed)).at("step").at(int64_t{0});
  const auto rows = compare_ode_gradients(
      e.net(), {batch.inputs}, {e.loss(), batch.targets, static_cast<double>(batch.size)},
      {.mode = Mode::Train, .draws = draws, .ids = batch.ids}, checkpoints, graph_stages,
      adjoint);
  if (json) {
    const nlohmann::json out{{"net", e.settings().net},
                             {"reference", "naive"},
                             {"samples", batch.size},
                             {"methods", ode_gradient_json(rows)}};
    std::printf("%s\n", out.dump(2).c_str());
    return;
  }
  std::printf(
      "gradients of ODE blocks against naive, the exact one of the steps that were taken, float64, "
      "%ld samples of %s\n\n%s",
      static_cast<long>(batch.size), e.settings().data.c_str(), ode_gradient_table(rows).c_str());
}

void check(RunSettings settings, bool json) {
  settings.dtype = "float64";
  Experiment e(settings);
  Rule& rule = with_gradient(e.rule(), e.settings().rule);
  const data::Batch batch = batch_to_check(e);
  const Stream draws = Stream(static_cast<uint64_t>(e.settings().seed)).at("step").at(int64_t{0});
  const Step step = Step::look_at({.inputs = batch.inputs, .ids = batch.ids, .draws = draws},
                                  batch.targets);
  for (const std::string& warning : e.trainer().warnings())
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const auto rows = compare_gradients(rule, step);
  const auto settling = watch_settling(rule, step);
  if (json) {
    nlohmann::json layers = nlohmann::json::array();
    for (const GradientRow& row : rows)
      layers.push_back({{"name", row.name},
                        {"cosine", number(row.s.cosine)},
                        {"relative_error", number(row.s.relative_error)},
                        {"magnitude_ratio", number(row.s.magnitude_ratio)}});
    nlohmann::json out{{"rule", e.settings().rule},
                       {"net", e.settings().net},
                       {"reference", rule.reference_name()},
                       {"layers", layers}};
    if (settling) out["relaxation"] = settling_json(*settling);
    if (!e.trainer().warnings().empty()) out["warnings"] = e.trainer().warnings();
    std::printf("%s\n", out.dump(2).c_str());
    return;
  }
  std::printf(
      "gradients of %s against %s, float64, %ld samples of %s\n\n%-28s %12s %10s %16s %16s\n",
      e.settings().rule.c_str(), rule.reference_name().c_str(), static_cast<long>(batch.size),
      e.settings().data.c_str(), "parameter", "cosine", "angle deg", "magnitude ratio",
      "relative error");
  for (const GradientRow& row : rows)
    std::printf("%-28s %12.6f %10.3f %16.6g %16.3e\n", row.name.c_str(), row.s.cosine,
                row.s.angle_degrees, row.s.magnitude_ratio, row.s.relative_error);
  if (rule.is_stochastic())
    std::printf("\nthe rule's gradient is a random estimate; these figures are those of one draw\n");
  if (settling) std::printf("\n%s", settling_table(*settling).c_str());
}

/// What the ODE blocks cost; with data, adaptive ones take the steps of one batch with weights as
/// the default settings draw them.
std::vector<ode::Profile> profiles_of(Graph& net, const data::Splits* data, int64_t batch) {
  std::vector<ode::Profile> out = ode::profiles(net, batch);
  const bool adaptive = std::any_of(out.begin(), out.end(),
                                    [](const ode::Profile& p) { return p.is_adaptive(); });
  if (!data || !adaptive || data->train.empty()) return out;
  const RunSettings usual;
  initialise(net, Initialiser(usual.init), Stream(static_cast<uint64_t>(usual.seed)).at("init"));
  data::LoaderOptions options;
  options.batch = batch;
  ode::measure_steps(net, data::Loader(data::first(data->train, batch), options).at(0, 0).inputs,
                     out);
  return out;
}

void describe_net(const std::string& text, const std::string& data_name,
                  const OptionValues& data_options, int64_t batch, bool json) {
  InputInfo info;
  std::optional<data::Splits> data;
  if (!data_name.empty()) {
    data = data::load(data_name, data_options);
    info = facts_for_network(*data);
  }
  Graph net = network(text, info);
  Description description = describe(net, batch);
  for (const RuleEntry& entry : rule_entries())
    description.rules.emplace_back(entry.name,
                                   refusal_of(entry, net, *make_loss(entry.example_loss)));
  std::vector<ode::Profile> blocks;
  if (!ode::blocks_of(net).empty()) blocks = profiles_of(net, data ? &*data : nullptr, batch);
  if (json) {
    nlohmann::json out = description.json();
    if (!blocks.empty()) out["ode_blocks"] = ode::cost_json(blocks, batch);
    std::printf("%s\n", out.dump(2).c_str());
  } else {
    std::printf("%s%s\n", description.table().c_str(), ode::cost_table(blocks, batch).c_str());
  }
}

}  // namespace

void add_check(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "check",
      "Compare a rule's gradients with the exact ones of what it approximates, in float64");
  auto flags = std::make_shared<RunFlags>();
  auto json = std::make_shared<bool>(false);
  auto gradient = std::make_shared<std::string>();
  flags->add(*app, {"ode.gradient", "title", "notes"});
  app->add_option("--ode.gradient", *gradient,
                  "how credit passes through ODE blocks: " +
                      text::join(ode::gradient_names(), "|") +
                      ", or all: a table of all of them, by backprop")
      ->type_name("<choice>")
      ->take_last();
  app->add_flag("--json", *json, "print JSON");
  app->callback([=] {
    RunSettings settings = flags->settings(*app);
    if (*gradient == "all") return check_ode_gradients(std::move(settings), *json);
    if (!gradient->empty()) {
      Options options;
      settings.declare(options);
      options.set("ode.gradient", *gradient);
    }
    check(std::move(settings), *json);
  });
}

void add_describe(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "describe", "Shapes, parameters, FLOPs and memory of a network, and which rules accept it");
  struct Arguments {
    std::string net, data, data_dir;
    int64_t batch = 64;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  app->add_option("--net", a->net, "network in one line of text")->required()->type_name("<text>");
  app->add_option("--data", a->data, "data set whose sample shape and classes the network takes")
      ->type_name("<text>");
  app->add_option("--data-dir", a->data_dir, "folder of the data sets")->type_name("<folder>");
  app->add_option("--batch", a->batch, "samples for the memory figures (64)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  app->add_flag("--json", a->json, "print JSON");
  app->callback([=] {
    describe_net(a->net, a->data,
                 a->data_dir.empty() ? OptionValues{} : OptionValues{{"data-dir", a->data_dir}},
                 a->batch, a->json);
  });
}

}  // namespace altprop::cli
