#include "altprop/train/confusion.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/data/loader.h"
#include "altprop/train/loader_options.h"

namespace altprop {

namespace {

constexpr int64_t kMostClasses = 100;

}  // namespace

nlohmann::json confusion_of(Experiment& experiment) {
  const bool tested = !experiment.data().test.empty();
  const data::Dataset& part = tested ? experiment.data().test : experiment.data().validation;
  const int64_t classes = part.classes;
  if (part.empty() || classes < 2 || classes > kMostClasses || part.per_step() ||
      experiment.loss().of_flows())
    return nullptr;
  at::NoGradGuard no_grad;
  const data::Loader loader(part, evaluation_options(experiment.settings()));
  Tensor counts = at::zeros({classes * classes}, at::kLong);
  double right = 0;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    const Tensor output = experiment.rule().predict(experiment.trainer().evaluated(batch));
    if (output.dim() != 2 || output.size(1) != classes) return nullptr;
    const Tensor of_loss = experiment.loss().right(output, batch.targets);
    if (!of_loss.defined()) return nullptr;
    right += of_loss.item<double>();
    const Tensor taken = experiment.loss().link(output).argmax(1).to(at::kCPU);
    counts += at::bincount(batch.targets.to(at::kCPU) * classes + taken, {}, classes * classes);
  }
  counts = counts.reshape({classes, classes});
  // Some losses have another answer than the largest output; then there is no table.
  if (static_cast<double>(counts.diagonal().sum().item<int64_t>()) != std::round(right))
    return nullptr;
  nlohmann::json rows = nlohmann::json::array();
  const auto at = counts.accessor<int64_t, 2>();
  for (int64_t target = 0; target < classes; ++target) {
    nlohmann::json row = nlohmann::json::array();
    for (int64_t taken = 0; taken < classes; ++taken) row.push_back(at[target][taken]);
    rows.push_back(std::move(row));
  }
  nlohmann::json out{{"part", tested ? "test" : "validation"}, {"counts", std::move(rows)}};
  if (!part.class_names.empty()) out["names"] = part.class_names;
  return out;
}

}  // namespace altprop
