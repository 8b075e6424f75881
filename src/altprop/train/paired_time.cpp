#include "altprop/train/paired_time.h"

#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/base/timing.h"
#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/loader_options.h"

namespace altprop {

namespace {

/// One of the two: a step is one batch of every pass of an epoch that is not the first, whose
/// passes may be others.
struct Side {
  Experiment experiment;
  data::Loader loader;
  std::vector<std::string> passes;
  std::vector<double> times = {};
  int64_t next = 0;

  Side(RunSettings settings, const std::shared_ptr<const data::Splits>& data)
      : experiment(quiet(std::move(settings)), data),
        loader(data->train, training_options(experiment.settings(), Stream(1).at("paired"))),
        passes(experiment.rule().passes(1, 2)) {}

  static RunSettings quiet(RunSettings settings) {
    settings.prefetch = settings.early_stop = settings.probe_every = 0;
    settings.init_from.clear();
    return settings;
  }

  double step() {
    const data::Batch batch = loader.at(0, next++ % loader.batches());
    const double begin = clock_seconds();
    for (const std::string& pass : passes) experiment.trainer().train_on(batch, pass);
    return clock_seconds() - begin;
  }
};

}  // namespace

std::optional<PairedTime> time_beside_backprop(const RunSettings& rule, const RunSettings& backprop,
                                               const std::shared_ptr<const data::Splits>& data,
                                               double budget) {
  if (!at::Device(rule.device).is_cpu()) return std::nullopt;
  constexpr int64_t kWarmUp = 3, kMostSteps = 200, kBatches = 8;
  try {
    const double begin = clock_seconds();
    const auto some = std::make_shared<data::Splits>();
    some->train = data::first(data->train, kBatches * rule.batch);
    Side sides[] = {Side(rule, some), Side(backprop, some)};
    for (int64_t i = 0; i < kWarmUp + kMostSteps; ++i) {
      for (Side& side : sides) {
        const double seconds = side.step();
        if (i >= kWarmUp) side.times.push_back(seconds);
      }
      const double spent = clock_seconds() - begin;
      if (interrupt::requested()) return std::nullopt;
      if (spent > budget) break;
    }
    const auto steps = static_cast<int64_t>(sides[0].times.size());
    if (steps < kFewestPairedSteps) return std::nullopt;
    return PairedTime{median(sides[0].times), median(sides[1].times), steps};
  } catch (const Diverged&) {
    return std::nullopt;
  }
}

}  // namespace altprop
