// The modes of recursive least squares in which all rows of a step count, blocks of inputs, and the
// penalty: against closed forms.
#include "optim/recursive_least_squares.h"

#include "altprop/network/ops/conv.h"

namespace altprop::directions {
namespace {

struct Regression {
  Tensor x, y, a;  ///< a = [x, 1]
  Regression(int64_t rows, int64_t inputs, int64_t outputs)
      : x(Stream(1).normal({rows, inputs}, at::kDouble)),
        y(Stream(2).normal({rows, outputs}, at::kDouble)),
        a(at::cat({x, at::ones({rows, 1}, at::kDouble)}, 1)) {}
};

/// Weights and bias as one matrix [inputs + 1, outputs].
Tensor theta(const Learning& run) {
  return at::cat({run.value(0), run.value(1).view({-1, 1})}, 1).t();
}

TEST(RecursiveLeastSquares, AllRowsOfAWorkedExample) {
  Learning run(affine(2, 1, false),
               {{"rls.mode", "exact"}, {"rls.p0", "2"}, {"rls.lambda", "0.9"}, {"rls.cap", "1e9"}});
  run.value(0).copy_(numbers({0.1, -0.2}).view({1, 2}));
  run.step(numbers({1, 2, 3, -1}).view({2, 2}), numbers({1, 0}).view({2, 1}));
  run.step(numbers({0.5, 1, 2, 0}).view({2, 2}), numbers({2, -1}).view({2, 1}));
  expect_close(run.value(0), numbers({0.0151, 0.5775}).view({1, 2}), 5e-5);
}

/// argmin  sum_t lambda^(T-t) / R_t |A_t Theta - Y_t|^2 + lambda^T / p0 |Theta - Theta_0|^2, for
/// batches of fewer rows than inputs and of more.
TEST(RecursiveLeastSquares, AllRowsAreRidgeRegression) {
  const int64_t inputs = 5, outputs = 3, batches = 8;
  for (const int64_t rows : {1, 4, 6, 20})
    for (const double lambda : {1.0, 0.9}) {
      SCOPED_TRACE(text::cat(rows, " rows, lambda ", lambda));
      const Regression all(batches * rows, inputs, outputs);
      Learning run(affine(inputs, outputs), {{"rls.mode", "exact"},
                                             {"rls.p0", "1.5"},
                                             {"rls.lambda", text::from_number(lambda)},
                                             {"rls.cap", "1e9"}});
      run.value(1).copy_(Stream(4).normal({outputs}, at::kDouble));
      Tensor left = at::eye(inputs + 1, at::kDouble) / 1.5, right = left.mm(theta(run));
      for (int64_t t = 0; t < batches; ++t) {
        run.step(all.x.narrow(0, t * rows, rows), all.y.narrow(0, t * rows, rows));
        const Tensor a = all.a.narrow(0, t * rows, rows), y = all.y.narrow(0, t * rows, rows);
        left = lambda * left + a.t().mm(a) / static_cast<double>(rows);
        right = lambda * right + a.t().mm(y) / static_cast<double>(rows);
      }
      expect_close(theta(run), at::linalg_solve(left, right), 1e-10);
      expect_close(run.p("fc.weight").mm(left), at::eye(inputs + 1, at::kDouble), 1e-9);
      EXPECT_TRUE(run.p("fc.weight").equal(run.p("fc.weight").t()));
    }
}

/// P_t x = P_(t-1) x / h for one row, so that the three modes are one.
TEST(RecursiveLeastSquares, OneRowIsTheSameInAllModesOfP) {
  const Regression all(12, 4, 2);
  std::vector<Tensor> found;
  for (const char* mode : {"mean", "mean-post", "exact"}) {
    Learning run(affine(4, 2), {{"rls.mode", mode}, {"rls.lambda", "0.95"}, {"rls.cap", "1e9"}});
    for (int64_t i = 0; i < 12; ++i) run.step(all.x.narrow(0, i, 1), all.y.narrow(0, i, 1));
    found.push_back(theta(run));
  }
  expect_close(found[1], found[0], 1e-12);
  expect_close(found[2], found[0], 1e-12);
}

TEST(RecursiveLeastSquares, TheMeanActsOnItsOwnStepInMeanPost) {
  const Regression all(6, 4, 2);
  Learning run(
      affine(4, 2),
      {{"rls.mode", "mean-post"}, {"rls.k", "0.5"}, {"rls.p0", "2"}, {"rls.lambda", "0.9"}});
  const Tensor before = theta(run), residual = all.a.mm(before) - all.y;
  const Tensor x = all.a.mean(0), eye = at::eye(5, at::kDouble);
  const Tensor p = at::linalg_inv(0.9 / 2 * eye + 0.5 * at::outer(x, x));
  run.step(all.x, all.y);
  expect_close(run.p("fc.weight"), p, 1e-12);
  expect_close(before - theta(run), p.mm(all.a.t().mm(residual)) / 6, 1e-12);
}

TEST(RecursiveLeastSquares, AnAverageOfAllRowsIsInvertedEveryFewSteps) {
  const Regression all(30, 4, 2);
  const double lambda = 0.8, damping = 0.05;
  Learning run(affine(4, 2), {{"rls.mode", "exact-ema"},
                              {"rls.lambda", "0.8"},
                              {"rls.damping", "0.05"},
                              {"rls.every", "2"},
                              {"rls.p0", "2"}});
  const Tensor eye = at::eye(5, at::kDouble);
  Tensor sigma = eye / 2, p;
  for (int64_t t = 0; t < 5; ++t) {
    const int64_t rows = t == 3 ? 10 : 3;  // more than inputs, and fewer
    const Tensor x = all.x.narrow(0, 3 * t, rows), y = all.y.narrow(0, 3 * t, rows),
                 a = all.a.narrow(0, 3 * t, rows), before = theta(run);
    sigma = lambda * sigma + (1 - lambda) * a.t().mm(a) / static_cast<double>(rows);
    if (t % 2 == 0) p = at::linalg_inv(sigma + damping * eye);
    run.step(x, y);
    const Tensor g = a.t().mm(a.mm(before) - y) / static_cast<double>(rows);
    expect_close(before - theta(run), p.mm(g), 1e-12);
  }
  // What is kept is what a resumed run needs.
  Learning rest(affine(4, 2), {{"rls.mode", "exact-ema"},
                               {"rls.lambda", "0.8"},
                               {"rls.damping", "0.05"},
                               {"rls.every", "2"},
                               {"rls.p0", "2"}});
  TensorMap map;
  run.updater.state(StateIO::saving(map));
  rest.updater.state(StateIO::loading(map));
  for (size_t i = 0; i < 2; ++i) rest.value(i).copy_(run.value(i));
  for (int64_t t = 0; t < 3; ++t)
    for (Learning* of : {&run, &rest}) of->step(all.x.narrow(0, t, 4), all.y.narrow(0, t, 4));
  EXPECT_TRUE(theta(run).equal(theta(rest)));

  expect_says(sentence([] {
                Learning never(affine(2, 1), {{"rls.mode", "exact-ema"}});
              }),
              {"rls.lambda=1", "never moves", "below 1"});
}

TEST(RecursiveLeastSquares, DuplicatesChangeNoModeOfIt) {
  for (const char* mode : {"mean-post", "exact", "exact-ema"}) {
    const OptionValues options = {{"rls.mode", mode}, {"rls.lambda", "0.9"}};
    const OptimizerSettings slow{.kind = "momentum", .lr = 0.1};
    Learning once(small_conv_net(), options, slow), twice(small_conv_net(), options, slow);
    for (int64_t i = 0; i < 4; ++i) {
      once.step(images(4, i), wanted(4, i));
      twice.step(images(4, i).repeat({2, 1, 1, 1}), wanted(4, i).repeat({2, 1}));
    }
    for (size_t i = 0; i < once.net.params().size(); ++i)
      expect_close(once.value(i), twice.value(i), 1e-10);
  }
}

/// The rows of a convolution are its windows, all of them.
TEST(RecursiveLeastSquares, AllWindowsOfAConvolutionCount) {
  Graph net;
  net.output(net.add(conv2d({.out = 3, .kernel = 3, .padding = 1}), {net.input({{2, 5, 5}})}, "c"));
  Learning run(std::move(net), {{"rls.mode", "exact"}, {"rls.p0", "0.5"}});
  const Tensor x = Stream(7).normal({4, 2, 5, 5}, at::kDouble);
  run.step(x, Stream(8).normal({4, 3, 5, 5}, at::kDouble));
  const Tensor windows =
      at::im2col(x, {3, 3}, {1, 1}, {1, 1}, {1, 1}).permute({0, 2, 1}).reshape({100, 18});
  const Tensor a = at::cat({windows, at::ones({100, 1}, at::kDouble)}, 1);
  expect_close(run.p("c.weight").mm(2 * at::eye(19, at::kDouble) + a.t().mm(a) / 100),
               at::eye(19, at::kDouble), 1e-10);
}

TEST(RecursiveLeastSquares, ABlockOfEverythingIsTheWhole) {
  for (const char* mode : {"mean", "exact"}) {
    Learning whole(small_conv_net(), {{"rls.mode", mode}}),
        block(small_conv_net(), {{"rls.mode", mode}, {"rls.max-dim", "64"}});
    for (int64_t t = 0; t < 3; ++t)
      for (Learning* run : {&whole, &block}) run->step(images(4, t), wanted(4, t));
    for (size_t i = 0; i < whole.net.params().size(); ++i)
      EXPECT_TRUE(whole.value(i).equal(block.value(i))) << mode << ", " << i;
  }
}

/// Each block is recursive least squares of its own inputs; inputs that are zero teach it nothing.
TEST(RecursiveLeastSquares, BlocksKeepAMatrixEach) {
  const Regression all(6, 5, 2);
  const OptionValues options = {{"rls.mode", "exact"}, {"rls.max-dim", "4"}, {"rls.lambda", "0.9"}};
  Learning run(affine(5, 2), options);
  const Tensor before = theta(run), g = all.a.t().mm(all.a.mm(before) - all.y) / 6;
  run.step(all.x, all.y);
  Tensor expected;
  for (const auto& [from, size] : std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {4, 2}}) {
    const Tensor a = all.a.narrow(1, from, size);
    const Tensor p = at::linalg_inv(0.9 * at::eye(size, at::kDouble) + a.t().mm(a) / 6);
    const Tensor part = p.mm(g.narrow(0, from, size));
    expected = expected.defined() ? at::cat({expected, part}) : part;
  }
  expect_close(before - theta(run), expected, 1e-12);

  TensorMap map;
  run.updater.state(StateIO::saving(map));
  EXPECT_EQ(map.count("direction.fc.weight.p1"), 1u);
  Learning rest(affine(5, 2), options), other(affine(5, 2), {{"rls.mode", "exact"}});
  for (Learning* of : {&rest, &other}) {
    TensorMap copy = map;
    of->updater.state(StateIO::loading(copy));
    for (size_t i = 0; i < 2; ++i) of->value(i).copy_(run.value(i));
  }
  for (Learning* of : {&run, &rest}) of->step(all.x, all.y);
  EXPECT_TRUE(theta(run).equal(theta(rest)));
  expect_says(sentence([&] { other.step(all.x, all.y); }), {"2 blocks", "'fc.weight'", "makes 1"});
}

/// The signs are added to the gradient before the product.
TEST(RecursiveLeastSquares, APenaltyOnMagnitudesGoesThroughP) {
  const Regression all(6, 4, 2);
  Learning run(affine(4, 2), {{"rls.mode", "exact"}, {"rls.l1", "0.25"}});
  run.value(1).copy_(numbers({0.5, -0.5}));
  const Tensor before = theta(run);
  const Tensor g = all.a.t().mm(all.a.mm(before) - all.y) / 6 + 0.25 * before.sign();
  run.step(all.x, all.y);
  expect_close(before - theta(run), run.p("fc.weight").mm(g), 1e-12);
}

TEST(RecursiveLeastSquares, AMatrixThatIsNotDefiniteEndsTheRun) {
  const Regression all(6, 4, 2);
  for (const int64_t rows : {3, 6}) {
    Learning run(affine(4, 2), {{"rls.mode", "exact"}});
    const Tensor x = all.x.narrow(0, 0, rows).clone();
    x[0][0] = NAN;
    expect_says(sentence([&] { run.step(x, all.y.narrow(0, 0, rows)); }),
                {"'fc.weight'", "no longer finite"});
  }
}

TEST(RecursiveLeastSquares, OptionsOfOtherModesAreSaid) {
  const auto warnings = [](const OptionValues& options, double lr = 1) {
    return make_direction("recursive-least-squares", options)->warnings({.kind = "sgd", .lr = lr});
  };
  EXPECT_EQ(
      warnings({{"rls.mode", "exact"}, {"rls.k", "0.5"}}),
      std::vector<std::string>{"recursive-least-squares: rls.k has no effect with rls.mode=exact"});
  EXPECT_EQ(warnings({{"rls.damping", "1"}, {"rls.every", "3"}}).size(), 2u);
  EXPECT_TRUE(warnings({{"rls.mode", "exact"}, {"rls.p0", "100"}}).empty());
  EXPECT_EQ(warnings({{"rls.mode", "exact"}}, 3).size(), 1u);
}

}  // namespace
}  // namespace altprop::directions
