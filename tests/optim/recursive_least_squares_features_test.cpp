// Recursive least squares of weights that have a number for each feature: every feature is a map of
// one input by itself.
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/norm.h"
#include "optim/recursive_least_squares.h"

namespace altprop::directions {
namespace {

constexpr int64_t kFeatures = 3;

Tensor feature_batch(int64_t number) {
  return Stream(7).at(number).normal({5, kFeatures}, at::kDouble) + 0.5;
}

Graph one_operation(const OpPtr& op) {
  Graph net;
  net.output(net.add(op, {net.input({{kFeatures}})}, "op"));
  net.to(at::kCPU, at::kDouble);
  return net;
}

TEST(RecursiveLeastSquares, EachFeatureIsAMapOfOneInput) {
  for (const char* mode : {"mean", "mean-post", "exact", "exact-ema"})
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(std::string(mode) + (bias ? ", bias" : ""));
      const OptionValues options = {{"rls.mode", mode}, {"rls.lambda", "0.9"},
                                    {"rls.p0", "0.5"},  {"rls.cap", "1.5"},
                                    {"rls.l1", "0.01"}, {"rls.every", "2"}};
      Learning together(one_operation(diagonal(bias)), options);
      std::vector<std::unique_ptr<Learning>> alone;
      for (int64_t f = 0; f < kFeatures; ++f) {
        alone.push_back(std::make_unique<Learning>(affine(1, 1, bias), options));
        together.value(0)[f].copy_(alone.back()->value(0)[0][0]);
        if (bias) together.value(1)[f].copy_(alone.back()->value(1)[0]);
      }
      for (int64_t t = 0; t < 5; ++t) {
        const Tensor x = feature_batch(t), y = feature_batch(100 + t);
        together.step(x, y);
        for (int64_t f = 0; f < kFeatures; ++f)
          alone[static_cast<size_t>(f)]->step(x.narrow(1, f, 1), y.narrow(1, f, 1));
      }
      for (int64_t f = 0; f < kFeatures; ++f) {
        const Learning& one = *alone[static_cast<size_t>(f)];
        EXPECT_NEAR(together.value(0)[f].item<double>(), one.value(0).item<double>(), 1e-11);
        if (bias) {
          EXPECT_NEAR(together.value(1)[f].item<double>(), one.value(1).item<double>(), 1e-11);
        }
      }
    }
}

/// Inputs that are normalised over the batch have the mean 0: P stays for the gain, and the bias's
/// input of 1 halves both, h = 1 + 1.
TEST(RecursiveLeastSquares, ANormsRowsAreItsNormalisedInputs) {
  const auto op = std::make_shared<BatchNorm>(1e-5, 0.1);
  Learning run(one_operation(op), {});
  const Tensor x = feature_batch(1), y = feature_batch(2);
  Gradients exact;
  run.signals(x, y, exact);
  const std::vector<Tensor> before = {run.value(0).clone(), run.value(1).clone()};
  run.step(x, y);
  for (size_t i = 0; i < 2; ++i)
    expect_close(before[i] - run.value(i), exact.of_param(*run.net.params()[i]) / 2, 1e-12);
  // Where all rows count the gain's inputs have the mean square 1, too.
  Learning all(one_operation(std::make_shared<BatchNorm>(1e-12, 0.1)), {{"rls.mode", "exact"}});
  Gradients again;
  all.signals(x, y, again);
  all.step(x, y);
  for (size_t i = 0; i < 2; ++i)
    expect_close(before[i] - all.value(i), again.of_param(*all.net.params()[i]) / 2, 1e-9);
}

/// Behind a convolution and over the features of a sample, from any state onwards.
TEST(RecursiveLeastSquares, NormsLearnAndResume) {
  const auto net = [] {
    Graph out = network(
        "chain: conv 4 k=3, batch-norm, relu, conv 4 k=3, group-norm 2, relu, flatten, layer-norm, linear *",
        {.input_shape = {2, 7, 7}, .classes = 3});
    out.to(at::kCPU, at::kDouble);
    initialise(out, Initialiser("xavier"), Stream(3).at("init"));
    return out;
  };
  for (const char* mode : {"mean", "exact-ema"}) {
    const OptionValues options = {{"rls.mode", mode}, {"rls.lambda", "0.95"}};
    const OptimizerSettings settings{.kind = "sgd", .lr = 0.1};
    Learning whole(net(), options, settings), part(net(), options, settings);
    for (int64_t t = 0; t < 3; ++t)
      for (Learning* run : {&whole, &part}) run->step(images(4, t), wanted(4, t));
    TensorMap map, copied;
    part.updater.state(StateIO::saving(map));
    Learning rest(net(), options, settings);
    rest.updater.state(StateIO::loading(map));
    rest.updater.state(StateIO::saving(copied));
    std::vector<std::string> kept;
    for (const auto& [name, tensor] : map)
      if (name.ends_with(".features")) kept.push_back(name);
    ASSERT_EQ(kept.size(), 3u);
    for (const std::string& name : kept)
      EXPECT_TRUE(copied.at(name).equal(map.at(name))) << name << " before the first signal";
    for (size_t i = 0; i < part.net.params().size(); ++i) rest.value(i).copy_(part.value(i));
    for (auto& [name, tensor] : rest.net.buffers())
      for (auto& [other, value] : part.net.buffers())
        if (name == other) tensor->copy_(*value);
    for (int64_t t = 3; t < 6; ++t)
      for (Learning* run : {&whole, &rest}) run->step(images(4, t), wanted(4, t));
    for (size_t i = 0; i < whole.net.params().size(); ++i)
      EXPECT_TRUE(whole.value(i).equal(rest.value(i))) << whole.net.params()[i]->name;
    map.at(kept[0]) = at::ones({2, 2, 2}, at::kDouble);
    Learning other(net(), options, settings);
    other.updater.state(StateIO::loading(map));
    expect_says(sentence([&] { other.step(images(4), wanted(4)); }),
                {".features", "another run's"});
  }
}

}  // namespace
}  // namespace altprop::directions
