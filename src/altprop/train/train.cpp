#include "altprop/train/train.h"

#include "altprop/train/progress.h"

namespace altprop {

namespace {

struct Collector : Observer {
  std::vector<nlohmann::json> records;
  void on_epoch(Trainer&, const nlohmann::json& record) override { records.push_back(record); }
};

}  // namespace

TrainResult train(Graph& net, Learner& rule, const data::Splits& data, const TrainOptions& o) {
  RunSettings settings;
  settings.epochs = o.epochs;
  settings.batch = o.batch;
  settings.seed = o.seed;
  settings.loss = o.loss;
  settings.optimizer.kind = o.optimizer;
  settings.optimizer.lr = o.lr;
  settings.optimizer.momentum = o.momentum;
  settings.optimizer.weight_decay = o.weight_decay;
  const at::TensorOptions like = net.options();
  settings.device = like.device().str();
  settings.dtype = like.dtype().toScalarType() == at::kDouble ? "float64" : "float32";
  const auto loss = make_loss(o.loss);
  Trainer trainer(net, rule, *loss, data, settings);
  Collector collector;
  Progress progress("train");
  trainer.observe(collector);
  if (o.progress) trainer.observe(progress);
  trainer.run();
  return {data.test.empty() ? Scores() : trainer.evaluate(data.test), collector.records,
          trainer.warnings()};
}

}  // namespace altprop
