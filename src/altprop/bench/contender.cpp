#include "altprop/bench/contender.h"

#include <ATen/core/grad_mode.h>

#include "altprop/bench/timing.h"
#include "altprop/tensor/memory.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop::bench {

namespace {

constexpr int64_t kClasses = 10;

RunSettings settings_for(const Work& work, const std::string& rule, const std::string& optimizer,
                         int64_t batch) {
  RunSettings s;
  s.net = work.net;
  s.loss = work.loss;
  s.rule = rule;
  s.batch = batch;
  s.optimizer.kind = optimizer;
  s.optimizer.lr = 1e-4;  // small, so that no rule diverges on random classes
  return s;
}

}  // namespace

const std::vector<Work>& works() {
  static const std::vector<Work> all = {
      {"mlp", "mlp:784-500-500-10:relu", {784}, 64, {"momentum", "sgd", "adam"}},
      {"lenet-cifar", "lenet-cifar", {3, 32, 32}, 128, {"momentum"}},
      {"resnet-20", "resnet-20", {3, 32, 32}, 128, {"momentum"}},
      // For rules whose states settle: bounded activations. The phases are those of the dense
      // example of github.com/Laborieux-Axel/Equilibrium-Propagation and of a convolutional one.
      {"settling-mlp",
       "mlp:784-512-10:shifted-sigmoid:out=shifted-sigmoid",
       {784},
       50,
       {"momentum"},
       {"equilibrium-propagation[ep.free-steps=30,ep.nudged-steps=10,ep.beta=0.1]"}},
      {"settling-conv",
       "chain: conv 32 k=5 p=2, hard-sigmoid, maxpool 2, conv 64 k=5 p=2, hard-sigmoid, maxpool 2, "
       "linear *",
       {1, 28, 28},
       50,
       {"momentum"},
       {"equilibrium-propagation[ep.free-steps=20,ep.nudged-steps=6]"}},
      // Two layers of states, for complex nudges: four points of a batch are as many rows as two of
      // a batch twice as large.
      {"settling-deep",
       "mlp:784-256-256-10:shifted-sigmoid",
       {784},
       50,
       {"momentum"},
       {"holomorphic-ep[hep.points=2,hep.tolerance=0,hep.free-steps=30,hep.nudged-steps=20]",
        "holomorphic-ep[hep.points=4,hep.tolerance=0,hep.free-steps=30,hep.nudged-steps=20]",
        "holomorphic-ep[hep.points=8,hep.tolerance=0,hep.free-steps=30,hep.nudged-steps=20]"}},
      // The networks of arXiv 2009.05359 and 2006.04182, relaxed for 100 steps without and with the
      // loop.
      {"relaxing-mlp",
       "mlp:784-300-300-100-10:relu",
       {784},
       64,
       {"sgd"},
       {"activation-relaxation", "activation-relaxation[ar.engine=loop]",
        "predictive-coding[pc.mode=strict]"},
       "squared-error"},
      {"relaxing-conv",
       "chain: conv 6 k=5, relu, maxpool 2, conv 16 k=5, relu, linear 200, relu, linear 150, relu, "
       "linear *",
       {3, 32, 32},
       64,
       {"sgd"},
       {"predictive-coding[pc.eta=0.2]", "predictive-coding[pc.eta=0.2,pc.engine=loop]"},
       "squared-error"},
      // Characters of a text; with unit steps predictive coding is exact after three hops a step.
      {"lstm",
       "lstm:*-128-*",
       {50},
       64,
       {"adam"},
       {"predictive-coding[pc.eta=1,pc.steps=150]"},
       "cross-entropy",
       65},
      // A network whose weights flow on the orthogonal group (arXiv 2006.11421).
      {"ode-to-ode",
       "ode-to-ode:784-64-10:relu:flow=iso,steps=25",
       {784},
       128,
       {"adam"},
       {"backprop"}},
      // One ODE block, whose f is small or convolutions on images, by every way to its gradient.
      {"ode",
       "dag: z1 = ode(input, solver=rk4, steps=25){ a = tanh(linear(with-time(z), 128)); "
       "b = tanh(linear(a, 128)); output linear(b, 16) }; output linear(z1, 10)",
       {16},
       256,
       {"sgd"},
       {"backprop", "backprop[ode.gradient=naive]", "backprop[ode.gradient=one-checkpoint]",
        "backprop[ode.gradient=aca]", "backprop[ode.graph-stages=4]",
        "backprop[ode.gradient=binomial]", "backprop[ode.gradient=adjoint]"}},
      {"ode-image",
       "ode-image:channels=64,solver=rk4,steps=2",
       {1, 28, 28},
       32,
       {"sgd"},
       {"backprop", "backprop[ode.gradient=naive]", "backprop[ode.gradient=aca]"}},
      // Units that fire once: at a fixed threshold, and in windows beside the same network of
      // ReLUs.
      {.name = "spikes-event",
       .net = "relpsp:784-800-10",
       .input_shape = {784},
       .batch = 64,
       .optimizers = {"adam"},
       .rules = {"backprop"},
       .loss = "spike-cross-entropy",
       .dark = true},
      {.name = "spikes-window",
       .net = "relpsp:784-800-800-10:window",
       .input_shape = {784},
       .batch = 64,
       .optimizers = {"adam"},
       .rules = {"backprop"},
       .dark = true},
      {.name = "spikes-relu",
       .net = "mlp:784-800-800-10:relu",
       .input_shape = {784},
       .batch = 64,
       .optimizers = {"adam"},
       .rules = {"backprop"},
       .dark = true},
      // Five neuromorphic cores, as the preset truenorth-mnist-5 trains them.
      {.name = "cores",
       .net = "truenorth:5",
       .input_shape = {1, 28, 28},
       .batch = 100,
       .optimizers = {"adam"},
       .rules = {"backprop", "feedback-alignment"},
       .probabilities = true},
      {.name = "cores-30",
       .net = "truenorth:30",
       .input_shape = {1, 28, 28},
       .batch = 100,
       .optimizers = {"adam"},
       .rules = {"backprop"},
       .probabilities = true},
      // For the rules that need rates in [0, 1].
      {"mlp-box",
       "mlp:784-500-10:hard-sigmoid:bias=false",
       {784},
       20,
       {"sgd"},
       {},
       "squared-error"},
  };
  return all;
}

namespace {

/// Numbers from 0 to `below` - 1, as tokens and classes are.
Tensor numbers(const Stream& stream, int64_t below, IntArrayRef shape) {
  return stream.uniform(0, static_cast<double>(below), shape, at::kFloat).to(at::kLong);
}

data::Splits random_samples(const Stream& stream, const std::vector<int64_t>& shape,
                            const Work& work) {
  constexpr double kBright = 0.19;  // share of the pixels of MNIST that are not black
  const Stream of = stream.at("inputs");
  const Tensor inputs =
      work.dark ? of.uniform(shape) * stream.at("bright").bernoulli(kBright, shape)
      : work.probabilities ? of.uniform(shape)
                           : of.normal(shape);
  const Tensor classes = numbers(stream.at("classes"), kClasses, {shape[0]});
  return data::from_tensors(inputs, classes, {}, {}, kClasses, "random");
}

data::Splits random_texts(const Stream& stream, const std::vector<int64_t>& shape,
                          int64_t vocabulary) {
  data::Splits out;
  out.train.name = "random";
  out.train.classes = out.train.vocabulary = vocabulary;
  out.train.inputs = numbers(stream.at("inputs"), vocabulary, shape);
  out.train.targets = numbers(stream.at("classes"), vocabulary, shape);
  data::check(out);
  return out;
}

}  // namespace

Material::Material(const Work& work, int64_t batch) {
  constexpr int64_t kBatches = 4;
  std::vector<int64_t> shape = {kBatches * batch};
  shape.insert(shape.end(), work.input_shape.begin(), work.input_shape.end());
  const Stream stream = Stream(1).at("bench");
  splits = std::make_shared<data::Splits>(work.vocabulary > 0
                                              ? random_texts(stream, shape, work.vocabulary)
                                              : random_samples(stream, shape, work));
  data::LoaderOptions options;
  options.batch = batch;
  const data::Loader loader(splits->train, options);
  for (int64_t i = 0; i < loader.batches(); ++i) batches.push_back(loader.at(0, i));
}

Contender::Contender(const Work& work, const std::string& rule, const std::string& optimizer,
                     std::shared_ptr<const Material> material)
    : material_(std::move(material)),
      experiment_(settings_for(work, rule, optimizer, material_->batches[0].size),
                  material_->splits),
      passes_(experiment_.rule().passes(0, 1)) {
  step();
  kernels_ = count_kernels([this] {
    const WholeBatches whole;  // the limit is that of products of the whole batch
    step();
  });
  memory::reset_peak(at::kCPU);
  step();
  // The trainer knows what was there before it, its copy of the data included.
  const Trainer& trainer = experiment_.trainer();
  peak_memory_ =
      memory::peak(at::kCPU) - (trainer.peak_memory() - trainer.peak_memory_above_data());
}

void Contender::step() {
  const data::Batch& batch = material_->batches[steps_++ % material_->batches.size()];
  for (const std::string& pass : passes_) experiment_.trainer().train_on(batch, pass);
}

double Contender::measure(double budget) {
  return time_calls([this] { step(); }, budget, 1);
}

}  // namespace altprop::bench
