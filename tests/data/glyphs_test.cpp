// The embedded data set: deterministic, blank at the border, too hard for a linear classifier and
// not for a small MLP.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

/// Accuracy on `test` of softmax regression (hidden = 0) or of a one-hidden-layer ReLU network,
/// trained by SGD with momentum 0.9 on the mean cross-entropy.
double trained_accuracy(const Splits& data, int64_t hidden, int64_t epochs, double rate) {
  const int64_t batch = 50, n = data.train.size(), classes = data.train.classes;
  auto ready = [&](const Dataset& part) {
    return part.inputs.to(at::kFloat)
        .mul(part.scale)
        .sub(data.train.mean[0])
        .div(data.train.stddev[0])
        .flatten(1);
  };
  const Tensor x = ready(data.train), test_x = ready(data.test);
  const Stream stream(7);
  const int64_t width = hidden ? hidden : x.size(1);
  std::vector<Tensor> w{stream.at("w2")
                            .normal({width, classes})
                            .mul(hidden ? std::sqrt(1.0 / static_cast<double>(width)) : 0),
                        at::zeros({classes})};
  if (hidden) {
    w.push_back(stream.at("w1")
                    .normal({x.size(1), hidden})
                    .mul(std::sqrt(2.0 / static_cast<double>(x.size(1)))));
    w.push_back(at::zeros({hidden}));
  }
  std::vector<Tensor> velocity;
  for (const Tensor& p : w) velocity.push_back(at::zeros_like(p));
  auto features = [&](const Tensor& in) { return hidden ? at::addmm(w[3], in, w[2]).relu() : in; };
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const Tensor order = stream.at("order").at(epoch).permutation(n);
    for (int64_t begin = 0; begin + batch <= n; begin += batch) {
      const Tensor ids = order.narrow(0, begin, batch);
      const Tensor in = x.index_select(0, ids), h = features(in);
      const Tensor delta = (at::addmm(w[1], h, w[0]).softmax(1) -
                            at::one_hot(data.train.targets.index_select(0, ids), classes)) /
                           static_cast<double>(batch);
      std::vector<Tensor> gradient{h.t().mm(delta), delta.sum(0)};
      if (hidden) {
        const Tensor back = delta.mm(w[0].t()) * h.gt(0);
        gradient.push_back(in.t().mm(back));
        gradient.push_back(back.sum(0));
      }
      for (size_t i = 0; i < w.size(); ++i)
        w[i].sub_(velocity[i].mul_(0.9).add_(gradient[i]), rate);
    }
  }
  return at::addmm(w[1], features(test_x), w[0])
      .argmax(1)
      .eq(data.test.targets)
      .to(at::kDouble)
      .mean()
      .item<double>();
}

TEST(Glyphs, LinearClassifierStaysClearlyBelowMlp) {
  const Splits data = load("glyphs");
  ASSERT_EQ(data.train.size(), 10000);
  ASSERT_EQ(data.test.size(), 2000);
  const double linear = trained_accuracy(data, 0, 15, 0.003),
               mlp = trained_accuracy(data, 256, 8, 0.02);
  std::printf("glyphs: linear %.1f %%, 784-256-10 %.1f %%\n", 100 * linear, 100 * mlp);
  EXPECT_GT(linear, 0.70);
  EXPECT_LT(linear, 0.85);
  EXPECT_GT(mlp, 0.93);
}

TEST(Glyphs, BorderIsBlankAndAllClassesOccur) {
  const Splits data = load("glyphs", {{"glyphs.train", "3000"}, {"glyphs.noise", "0.3"}});
  const Tensor& x = data.train.inputs;
  EXPECT_EQ(x.sizes().vec(), (std::vector<int64_t>{3000, 1, 28, 28}));
  for (int64_t edge : {0, 27}) {
    EXPECT_EQ(x.select(2, edge).max().item<int64_t>(), 0);
    EXPECT_EQ(x.select(3, edge).max().item<int64_t>(), 0);
  }
  EXPECT_GT(x.select(2, 1).max().item<int64_t>(), 0)
      << "noise must reach the row beside the blank one";
  EXPECT_GT(at::bincount(data.train.targets, {}, 10).min().item<int64_t>(), 230);
  EXPECT_EQ(data.train.class_names.size(), 10u);
}

TEST(Glyphs, SampleDependsOnSeedPartAndIndexAlone) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Splits a = load("glyphs", {{"glyphs.train", "300"}, {"glyphs.test", "100"}});
  at::set_num_threads(2);
  const Splits b = load("glyphs", {{"glyphs.train", "500"}, {"glyphs.test", "100"}});
  at::set_num_threads(threads);
  EXPECT_TRUE(a.train.inputs.equal(b.train.inputs.narrow(0, 0, 300)));
  EXPECT_TRUE(a.train.targets.equal(b.train.targets.narrow(0, 0, 300)));
  EXPECT_FALSE(a.train.inputs.narrow(0, 0, 100).equal(a.test.inputs));
  const Splits other = load("glyphs", {{"glyphs.train", "300"}, {"glyphs.seed", "1"}});
  EXPECT_FALSE(a.train.inputs.equal(other.train.inputs));
}

TEST(Glyphs, StyleOptionsActOnTheDrawing) {
  const Splits plain = load("glyphs", {{"glyphs.train", "200"},
                                       {"glyphs.deform", "0"},
                                       {"glyphs.noise", "0"},
                                       {"glyphs.occlusion", "0"}});
  const Tensor zeds = plain.train.inputs.index({plain.train.targets.eq(4)});
  ASSERT_GT(zeds.size(0), 1);
  EXPECT_TRUE(zeds.eq(zeds[0]).all().item<bool>())
      << "without deformation and noise a class has one drawing";
  const Splits hidden = load("glyphs", {{"glyphs.train", "200"},
                                        {"glyphs.deform", "0"},
                                        {"glyphs.noise", "0"},
                                        {"glyphs.occlusion", "1"}});
  EXPECT_LT(hidden.train.inputs.sum().item<double>(),
            0.97 * plain.train.inputs.sum().item<double>());
  EXPECT_THROW(load("glyphs", {{"glyphs.noise", "2"}}), UsageError);
}

}  // namespace
}  // namespace altprop::data
