// Recursive least squares against regularised least squares in closed form, worked examples, and
// what must not change it. It was the proof that a direction gets by with the signals alone.
#include "optim/recursive_least_squares.h"

#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/shape.h"

namespace altprop::directions {
namespace {

TEST(RecursiveLeastSquares, SingleRowsOfAWorkedExample) {
  const double rows[4][3] = {{1, 2, 1}, {3, -1, 0}, {0.5, 1, 2}, {2, 0, -1}};
  for (const bool forgets : {false, true}) {
    Learning run(affine(2, 1, false),
                 {{"rls.p0", "2"}, {"rls.lambda", forgets ? "0.9" : "1"}, {"rls.cap", "1e9"}});
    run.value(0).copy_(numbers({0.1, -0.2}).view({1, 2}));
    for (const auto& row : rows)
      run.step(numbers({row[0], row[1]}).view({1, 2}), numbers({row[2]}).view({1, 1}));
    if (forgets) {
      expect_close(run.value(0), numbers({-1.4526e-4, 0.64438}).view({1, 2}), 1e-5);
    } else {
      expect_close(run.value(0), numbers({0.0238, 0.6018}).view({1, 2}), 5e-5);
      expect_close(run.p("fc.weight"), numbers({0.0680, 0.0052, 0.0052, 0.1542}).view({2, 2}),
                   5e-5);
    }
  }
}

/// argmin over Theta of  sum_i lambda^(t-i) |a_i Theta - y_i|^2 + lambda^t |Theta - Theta_0|^2 /
/// p0, a_i = [x_i; 1], by the normal equations.
TEST(RecursiveLeastSquares, SingleRowsAreRegularisedLeastSquares) {
  const int64_t inputs = 5, outputs = 3, rows = 40;
  const double p0 = 1.5;
  for (const double lambda : {1.0, 0.95}) {
    Learning run(
        affine(inputs, outputs),
        {{"rls.p0", "1.5"}, {"rls.lambda", lambda == 1 ? "1" : "0.95"}, {"rls.cap", "1e9"}});
    const Tensor x = Stream(1).normal({rows, inputs}, at::kDouble),
                 y = Stream(2).normal({rows, outputs}, at::kDouble),
                 a = at::cat({x, at::ones({rows, 1}, at::kDouble)}, 1);
    run.value(1).copy_(Stream(4).normal({outputs}, at::kDouble));
    const Tensor start = at::cat({run.value(0), run.value(1).view({-1, 1})}, 1).t();
    for (int64_t i = 0; i < rows; ++i) run.step(x.narrow(0, i, 1), y.narrow(0, i, 1));
    const Tensor weights =
        at::pow(lambda, at::arange(rows - 1, -1, -1, at::kDouble)).view({rows, 1});
    const double prior = std::pow(lambda, rows) / p0;
    const Tensor left = a.t().mm(a * weights) + prior * at::eye(inputs + 1, at::kDouble),
                 right = a.t().mm(y * weights) + prior * start;
    const Tensor theta = at::linalg_solve(left, right);
    expect_close(run.value(0), theta.narrow(0, 0, inputs).t(), 1e-11);
    expect_close(run.value(1), theta[inputs], 1e-11);
    expect_close(run.p("fc.weight").mm(left), at::eye(inputs + 1, at::kDouble), 1e-10);
  }
}

/// Batches of two with a bias: the mean input stands for both rows.
TEST(RecursiveLeastSquares, MeanInputsOfAWorkedExample) {
  Learning run(affine(2, 1), {{"rls.lambda", "0.99"}, {"rls.k", "0.5"}},
               {.kind = "sgd", .lr = 0.3});
  run.value(0).copy_(numbers({0.1, -0.2}).view({1, 2}));
  run.value(1).zero_();
  run.step(numbers({1, 2, 3, -1}).view({2, 2}), numbers({1, 0}).view({2, 1}));
  expect_close(run.value(0), numbers({0.091701, -0.071369}).view({1, 2}), 1e-6);
  expect_close(run.value(1), numbers({0.033195}), 1e-6);
  expect_close(run.p("fc.weight"),
               numbers({0.451262, -0.13971, -0.279419, -0.13971, 0.975174, -0.069855, -0.279419,
                        -0.069855, 0.870391})
                   .view({3, 3}),
               1e-6);
  run.step(numbers({0.5, 1, 2, 0}).view({2, 2}), numbers({2, -1}).view({2, 1}));
  expect_close(run.value(0), numbers({-0.028412, 0.148091}).view({1, 2}), 1e-6);
  expect_close(run.value(1), numbers({0.131668}), 1e-6);
  expect_close(run.p("fc.weight"),
               numbers({0.439503, -0.159588, -0.319175, -0.159588, 0.964125, -0.112358, -0.319175,
                        -0.112358, 0.795588})
                   .view({3, 3}),
               1e-6);
}

TEST(RecursiveLeastSquares, WithoutInputsItIsDescentBitForBit) {
  Learning run(small_conv_net(), {{"rls.k", "0"}}, {.kind = "sgd", .lr = 0.1});
  Graph plain = small_conv_net();
  OwnUpdater updater({.kind = "sgd", .lr = 0.1});
  updater.bind(plain.params());
  for (int64_t i = 0; i < 3; ++i) {
    run.step(images(4, i), wanted(4, i));
    at::NoGradGuard no_grad;
    test::send_exact(plain, *run.loss, images(4, i), wanted(4, i), updater);
    updater.apply();
  }
  for (size_t i = 0; i < plain.params().size(); ++i)
    EXPECT_TRUE(run.value(i).equal(plain.params()[i]->value)) << plain.params()[i]->name;
}

TEST(RecursiveLeastSquares, DuplicatesInABatchChangeNothing) {
  Learning once(small_conv_net(), {}, {.kind = "momentum", .lr = 0.1}),
      twice(small_conv_net(), {}, {.kind = "momentum", .lr = 0.1});
  for (int64_t i = 0; i < 4; ++i) {
    once.step(images(4, i), wanted(4, i));
    twice.step(images(4, i).repeat({2, 1, 1, 1}), wanted(4, i).repeat({2, 1}));
  }
  for (size_t i = 0; i < once.net.params().size(); ++i)
    expect_close(once.value(i), twice.value(i), 1e-12);
}

/// The first layer's rows are all windows of all images, and its P follows their mean.
TEST(RecursiveLeastSquares, RowsOfAConvolutionAreItsWindows) {
  // More windows than are made at a time.
  const Tensor x = Stream(7).uniform(0, 1, {3, 2, 50, 50}, at::kDouble);
  Graph net =
      network("chain: conv 2 k=3 p=1, tanh, linear *", {.input_shape = {2, 50, 50}, .classes = 3});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(3).at("init"));
  const std::string weight = net.params()[0]->name;
  Learning run(std::move(net), {{"rls.k", "0.5"}, {"rls.p0", "2"}});
  const Tensor before = run.value(0).clone(), bias = run.value(1).clone();
  Gradients found;
  run.signals(x, wanted(3), found);
  run.step(x, wanted(3));
  const Tensor windows = at::im2col(x, {3, 3}, {1, 1}, {1, 1}, {1, 1});  // [3, 18, 2500]
  const Tensor mean =
      at::cat({windows.mean(std::vector<int64_t>{0, 2}), at::ones({1}, at::kDouble)});
  const Tensor u = 2 * mean;
  const double h = 1 + 0.5 * mean.dot(u).item<double>();
  expect_close(run.p(weight), 2 * at::eye(19, at::kDouble) - at::outer(u, u) * 0.5 / h, 1e-12);
  expect_close(before - run.value(0), found.of_param(*run.net.params()[0]) * 2 / h, 1e-12);
  expect_close(bias - run.value(1), found.of_param(*run.net.params()[1]) * 2 / h, 1e-12);
}

TEST(RecursiveLeastSquares, AWindowOfTheWholeImageIsADenseMap) {
  Graph conv, dense;
  conv.output(conv.add(
      flatten(), {conv.add(conv2d({.out = 3, .kernel = 4}), {conv.input({{2, 4, 4}})}, "fc")}));
  dense.output(dense.add(linear(3), {dense.add(flatten(), {dense.input({{2, 4, 4}})})}, "fc"));
  Learning a(std::move(conv), {}), b(std::move(dense), {});
  for (size_t i = 0; i < 2; ++i) {
    a.value(i).copy_(Stream(8).at(static_cast<int64_t>(i)).normal(a.value(i).sizes(), at::kDouble));
    b.value(i).copy_(a.value(i).view_as(b.value(i)));
  }
  for (int64_t t = 0; t < 3; ++t) {
    const Tensor x = Stream(9).at(t).normal({5, 2, 4, 4}, at::kDouble);
    a.step(x, wanted(5, t));
    b.step(x, wanted(5, t));
  }
  for (size_t i = 0; i < 2; ++i) expect_close(a.value(i).view_as(b.value(i)), b.value(i), 1e-12);
  expect_close(a.p("fc.weight"), b.p("fc.weight"), 1e-12);
}

/// Operations that share a weight have one P, of all their rows; so have several signals of one.
TEST(RecursiveLeastSquares, RowsOfASharedWeightAreThoseOfAllItsUses) {
  Graph net;
  const int x = net.input({{4}});
  const int h = net.add(linear(4), {x}, "first");
  const auto params = net.params();
  net.output(net.add(std::make_shared<Linear>(params[0], params[1]), {h}, "second"));
  Learning run(std::move(net), {});
  run.value(0).copy_(Stream(1).normal({4, 4}, at::kDouble));
  const Tensor in = Stream(2).normal({3, 4}, at::kDouble);
  const Tensor between = in.mm(run.value(0).t()) + run.value(1);
  run.step(in, Stream(3).normal({3, 4}, at::kDouble));
  const Tensor mean = at::cat({at::cat({in, between}).mean(0), at::ones({1}, at::kDouble)});
  const Tensor p = at::eye(5, at::kDouble) - at::outer(mean, mean) / (1 + mean.dot(mean));
  expect_close(run.p("first.weight"), p, 1e-12);
}

/// Regression on inputs of a skewed spectrum with a mean, which a batch's mean input shows: a pass
/// over the data is worth more than with the best of the rates of descent and Adam.
TEST(RecursiveLeastSquares, OnePassOfARegressionFitsMore) {
  const int64_t inputs = 50, outputs = 10, rows = 4000, batch = 50;
  const Stream draws = Stream(11);
  const Tensor basis =
      std::get<0>(at::linalg_qr(draws.at("basis").normal({inputs, inputs}, at::kDouble)));
  const Tensor spread = at::arange(1, inputs + 1, at::kDouble).reciprocal_();
  const Tensor x =
      (draws.at("x").normal({rows, inputs}, at::kDouble) * (spread / spread.mean()).sqrt())
          .mm(basis) +
      0.5;
  const Tensor y =
      at::tanh(2 * x.mm(draws.at("a").normal({inputs, 40}, at::kDouble) / std::sqrt(inputs)))
          .mm(draws.at("c").normal({40, outputs}, at::kDouble) / std::sqrt(40)) +
      0.05 * draws.at("noise").normal({rows, outputs}, at::kDouble);
  const auto error = [&](const OptimizerSettings& settings, const std::string& direction) {
    Graph net = network("mlp:50-64-64-10:relu");
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("he"), Stream(3).at("init"));
    const auto loss = make_loss("squared-error");
    OwnUpdater updater(settings);
    updater.set_direction(make_direction(direction));
    updater.bind(net.params());
    at::NoGradGuard no_grad;
    for (int64_t i = 0; i < rows; i += batch) {
      test::send_exact(net, *loss, x.narrow(0, i, batch), y.narrow(0, i, batch), updater);
      updater.apply();
    }
    return (net.predict(x) - y).square().mean().item<double>();
  };
  const double rls = error({.kind = "sgd", .lr = 1}, "recursive-least-squares");
  for (const double lr : {0.03, 0.1})
    EXPECT_LT(rls, 0.7 * error({.kind = "sgd", .lr = lr}, "accumulate")) << rls;
  for (const double lr : {0.003, 0.01, 0.03})
    EXPECT_LT(rls, error({.kind = "adam", .lr = lr}, "accumulate")) << rls;
}

/// What every optimizer steps along is P g / h, whatever it makes of that.
TEST(RecursiveLeastSquares, EveryOptimizerStepsAlongIt) {
  for (const std::string& kind : optimizer_names()) {
    SCOPED_TRACE(kind);
    const OptimizerSettings settings{.kind = kind, .lr = 0.05, .weight_decay = 0.1};
    Learning own(small_conv_net(), {}, settings), directions(small_conv_net(), {});
    Graph net = small_conv_net();
    OwnUpdater plain(settings);
    plain.bind(net.params());
    for (int64_t t = 0; t < 4; ++t) {
      own.step(images(4, t), wanted(4, t));
      for (size_t i = 0; i < net.params().size(); ++i)
        directions.value(i).copy_(net.params()[i]->value);
      directions.step(images(4, t), wanted(4, t));
      std::vector<Tensor> along;
      for (size_t i = 0; i < net.params().size(); ++i)
        along.push_back(net.params()[i]->value - directions.value(i));
      for (size_t i = 0; i < along.size(); ++i)
        plain.take(ParamSignal{net.params()[i].get(), along[i]});
      plain.apply();
    }
    for (size_t i = 0; i < net.params().size(); ++i)
      expect_close(own.value(i), net.params()[i]->value, 1e-11);
  }
}

TEST(RecursiveLeastSquares, ItsMatrixStaysSymmetricPositiveAndBounded) {
  Learning run(small_conv_net(), {});
  const std::string weight = run.net.params()[2]->name;
  double trace = 1e9;
  for (int64_t t = 0; t < 20; ++t) {
    run.step(images(4, t), wanted(4, t));
    const Tensor p = run.p(weight), values = at::linalg_eigvalsh(p);
    EXPECT_TRUE(p.equal(p.t()));
    EXPECT_GT(values.min().item<double>(), 0);
    EXPECT_LT(values.max().item<double>(), 1 + 1e-12);
    EXPECT_LE(p.trace().item<double>(), trace);
    trace = p.trace().item<double>();
  }
}

/// Forgetting winds P up where inputs never point, which the cap takes back.
TEST(RecursiveLeastSquares, WhatForgettingWindsUpIsCapped) {
  for (const bool capped : {true, false}) {
    Learning run(affine(3, 2, false), {{"rls.lambda", "0.5"}, {"rls.cap", capped ? "4" : "1e300"}},
                 {.kind = "sgd", .lr = 1e-3});
    const Tensor x = numbers({1, 0, 0}).view({1, 3});
    for (int64_t t = 0; t < 30; ++t) run.step(x, at::zeros({1, 2}, at::kDouble));
    const double trace = run.p("fc.weight").trace().item<double>();
    if (capped) {
      EXPECT_NEAR(trace, 4 * 3, 1e-9);
    } else {
      EXPECT_GT(trace, 1e8);
    }
  }
}

}  // namespace
}  // namespace altprop::directions
