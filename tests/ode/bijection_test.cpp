// What stands between the flows of an image: changes of density that are those of the Jacobian, ways
// back, noise between whole numbers, and networks in several scales.
#include "altprop/ode/bijection.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numbers>

#include "altprop/network/init.h"
#include "altprop/network/likelihood.h"
#include "altprop/ode/flow.h"
#include "network/check_op.h"
#include "network/support.h"

namespace altprop::ode {
namespace {

using test::contains;
using test::message_of;

InputInfo image_info(std::vector<int64_t> shape) {
  InputInfo out;
  out.input_shape = std::move(shape);
  return out;
}

Graph drawn_image_flow(const std::string& text, std::vector<int64_t> shape,
                       const std::string& scheme = "normal:0.4") {
  Graph net = network(text, image_info(std::move(shape)));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser(scheme), Stream(3).at("init"));
  return net;
}

Tensor unit_values(uint64_t seed, IntArrayRef shape) {
  return Stream(seed).uniform(shape, at::kDouble);
}

/// (z, 0) through an operation that is built for it.
Tensor passed(Op& op, const Tensor& z, Saved& saved) {
  const std::vector<Spec> specs = {Spec{{z.size(1) + 1}}};
  EXPECT_EQ(op.infer(specs).shape.size(), 1u);
  op.build(specs);
  return op.forward(std::vector<Tensor>{at::cat({z, at::zeros({z.size(0), 1}, z.options())}, 1)},
                    saved, {});
}

Tensor log_density_of_normal(const Tensor& z) {
  return -0.5 * z.square().sum(1) - 0.5 * double(z.size(1)) * std::log(2 * std::numbers::pi);
}

TEST(Bijection, TheChangeOfDensityIsThatOfTheJacobian) {
  const Tensor z = unit_values(1, {3, 8});
  for (const OpPtr& op : {logit(0.05), logit(1e-6), squeeze({2, 2, 2})}) {
    Saved saved;
    const Tensor out = passed(*op, z, saved);
    std::vector<Tensor> columns;
    for (int64_t k = 0; k < 8; ++k) {
      Tensor unit = at::zeros({3, 9}, at::kDouble);
      unit.select(1, k).fill_(1);
      columns.push_back(op->jvp(saved, unit).narrow(1, 0, 8));
    }
    const Tensor expected = -std::get<1>(at::linalg_slogdet(at::stack(columns, 2)));
    expect_close(out.select(1, 8), expected, 1e-10, op->type());
  }
}

TEST(Bijection, ValuesThatLeaveTakeTheirDensityWithThem) {
  const Tensor z = Stream(2).normal({4, 6}, at::kDouble);
  const OpPtr op = factor_out(2);
  Saved saved;
  const Tensor out = passed(*op, z, saved);
  ASSERT_EQ(out.sizes(), IntArrayRef({4, 3}));
  EXPECT_TRUE(at::equal(out.narrow(1, 0, 2), z.narrow(1, 0, 2)));
  expect_close(log_density_of_normal(out.narrow(1, 0, 2)) - out.select(1, 2), log_density_of_normal(z), 1e-12, "log density");
}

TEST(Bijection, WaysBackAreThoseForward) {
  const Tensor z = unit_values(4, {5, 16});
  for (const OpPtr& op : {logit(0.05), squeeze({1, 4, 4}), squeeze({4, 2, 2}), factor_out(5)}) {
    Saved saved;
    const Tensor out = passed(*op, z, saved);
    const auto& map = dynamic_cast<const Bijection&>(*op);
    const Tensor made = out.narrow(1, 0, out.size(1) - 1);
    const Tensor back = map.inverse(made, Stream(9), 0);
    ASSERT_EQ(back.sizes(), z.sizes()) << op->type();
    if (op->type() != "factor_out") {
      expect_close(back, z, 1e-12, op->type());
      continue;
    }
    EXPECT_TRUE(at::equal(back.narrow(1, 0, 5), made));
    // What is drawn goes by the number of the row, whoever is asked for with it.
    EXPECT_TRUE(at::equal(map.inverse(made.narrow(0, 2, 3), Stream(9), 2), back.narrow(0, 2, 3)));
    EXPECT_FALSE(at::equal(back.narrow(1, 5, 11), z.narrow(1, 5, 11)));
  }
}

/// Pixel (2i + a, 2j + b) of channel c becomes pixel (i, j) of channel 4c + 2a + b.
TEST(Bijection, SqueezeMovesPixelsIntoChannels) {
  Saved saved;
  const Tensor image = at::arange(24, at::kDouble).view({1, 24});
  const Tensor out = passed(*squeeze({1, 4, 6}), image, saved).narrow(1, 0, 24).view({4, 2, 3});
  for (int64_t a = 0; a < 2; ++a)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t i = 0; i < 2; ++i)
        for (int64_t j = 0; j < 3; ++j)
          EXPECT_EQ(out[2 * a + b][i][j].item<double>(), double(6 * (2 * i + a) + 2 * j + b));
}

/// Over the square [0, 1]^2, with a logit in front and one value that leaves half-way.
TEST(ImageFlow, ADensityOfTheSquareIntegratesToOne) {
  at::NoGradGuard no_grad;
  const Graph net = drawn_image_flow(
      "chain: zero-channels, logit 0.02, ode{flow{linear 6, tanh, linear 2}} solver=dopri8 steps=4, "
      "factor-out 1, ode{flow{linear 3, tanh, linear 1}} solver=dopri8 steps=4",
      {2});
  constexpr int64_t cells = 160;
  const Tensor at = (at::arange(cells, at::kDouble) + 0.5) / double(cells);
  const Tensor points = at::stack({at.view({1, -1}).expand({cells, cells}).flatten(),
                                   at.view({-1, 1}).expand({cells, cells}).flatten()},
                                  1);
  const Tensor density = log_density(net, points).exp();
  // alpha = 0.02 leaves out what lies beyond the logits of 0.02 and 0.98.
  const double inside = density.mean().item<double>();
  EXPECT_GT(inside, 0.97);
  EXPECT_LT(inside, 1.0005);
  Graph wide = drawn_image_flow(
      "chain: zero-channels, logit 1e-6, ode{flow{linear 6, tanh, linear 2}} solver=dopri8 steps=4, "
      "factor-out 1, ode{flow{linear 3, tanh, linear 1}} solver=dopri8 steps=4",
      {2});
  EXPECT_NEAR(log_density(wide, points).exp().mean().item<double>(), 1, 2e-3);
}

TEST(ImageFlow, SamplesGoForwardToTheDrawsThatTheyCameFrom) {
  at::NoGradGuard no_grad;
  const Graph net = drawn_image_flow(
      "cnf-image:4:softplus:scales=2,blocks=1,levels=0,solver=dopri8,steps=8,learn-T=no", {1, 4, 4},
      "normal:0.15");
  const Tensor x = sample(net, 5, Stream(4), 2);
  ASSERT_EQ(x.sizes(), IntArrayRef({5, 1, 4, 4}));
  ASSERT_GT(x.min().item<double>(), 0);  // beyond the logit of alpha samples would be cut
  ASSERT_LT(x.max().item<double>(), 1);
  const Tensor z = net.predict(x).narrow(1, 0, 8);
  expect_close(z, Stream(4).normal_rows({}, {5, 8}, at::kDouble), 1e-6, "draws");
}

TEST(ImageFlow, WholeNumbersBecomeContinuousAndAreCountedInBits) {
  const Tensor bytes = at::randint(0, 256, {3, 1, 4, 4}, at::kDouble);
  const OpPtr op = dequantise();
  Saved saved;
  const auto noisy = [&](const Tensor& x, Mode mode, uint64_t seed, const Tensor& ids) {
    return op->forward(std::vector<Tensor>{x}, saved,
                       {.mode = mode, .draws = Stream(seed), .ids = ids});
  };
  const Tensor ids = at::tensor({7, 3, 5}, at::kLong);
  const Tensor y = noisy(bytes / 255, Mode::Train, 1, ids);
  EXPECT_TRUE(at::equal((y * 256).floor(), bytes));
  EXPECT_TRUE(at::equal(quantised(y, 256), bytes / 255));
  EXPECT_FALSE(at::equal(y, noisy(bytes / 255, Mode::Train, 2, ids)));
  EXPECT_FALSE(at::equal(y * 256 - bytes, at::zeros_like(y)));
  // A sample draws what belongs to its number.
  const Tensor one = noisy(bytes.narrow(0, 1, 1) / 255, Mode::Eval, 1, ids.narrow(0, 1, 1));
  EXPECT_TRUE(at::equal(one, y.narrow(0, 1, 1)));
  // A replay takes the draws of the pass that it repeats.
  const Tensor first = noisy(bytes / 255, Mode::Train, 3, ids);
  EXPECT_TRUE(at::equal(noisy(bytes / 255, Mode::Replay, 4, ids), first));

  const Flow flow = flow_of(network("cnf-image:4:softplus:scales=2,blocks=1", image_info({1, 4, 4})));
  EXPECT_EQ(flow.levels, 256);
  EXPECT_EQ(flow.width, 8);
  // A uniform density on [0, 1]^16 says nothing: eight bits a pixel.
  EXPECT_NEAR(flow.bits_per_dimension(0).value(), 8, 1e-12);
  EXPECT_NEAR(flow.bits_per_dimension(16 * std::log(2)).value(), 9, 1e-12);
  EXPECT_FALSE(flow_of(network("cnf:2:8:tanh", image_info({2}))).bits_per_dimension(1).has_value());
}

TEST(ImageFlow, HasTheScalesAndFlowsOfItsCode) {
  const auto blocks = [](const std::string& text, std::vector<int64_t> shape) {
    int count = 0;
    for (const Flow::Part& part : flow_of(network(text, image_info(std::move(shape)))).parts)
      count += part.block != nullptr;
    return count;
  };
  // 28, 14, 7: three scales, of which the first two have flows before and after their squeeze.
  EXPECT_EQ(blocks("cnf-image:4:softplus", {1, 28, 28}), 10);
  EXPECT_EQ(blocks("cnf-image:4:softplus:blocks=1", {3, 32, 32}), 7);
  EXPECT_EQ(blocks("cnf-image:4:softplus:scales=1", {1, 5, 7}), 2);
  const Graph net = network("cnf-image:64x3:softplus", image_info({1, 28, 28}));
  // Convolutions of 3 x 3 with the time as one more channel, and the root of T: of the code's sizes.
  const auto of_flow = [](int64_t c) {
    return (c + 1) * 64 * 9 + 64 + 2 * (65 * 64 * 9 + 64) + 65 * c * 9 + c + 1;
  };
  int64_t parameters = 0;
  for (const ParamPtr& param : net.params()) parameters += param->value.numel();
  EXPECT_EQ(parameters, 2 * (of_flow(1) + of_flow(4) + of_flow(2) + of_flow(8) + of_flow(4)));
}

TEST(ImageFlow, GradientsAreThoseOfFiniteDifferences) {
  Graph net = drawn_image_flow(
      "cnf-image:3:softplus:scales=2,blocks=1,solver=rk4,steps=2", {1, 4, 4});
  const Tensor x = at::randint(0, 256, {3, 1, 4, 4}, at::kDouble) / 255;
  const auto loss = make_likelihood();
  const Pass pass{Mode::Train, Stream(5)};
  Activity activity;
  const Tensor out = net.run(x, activity, pass);
  Feedback exact;
  Gradients sink;
  net.sweep(activity, {{net.output_node(), loss->gradient(out, {})}}, exact, &sink);
  const auto value = [&] {
    Activity scratch;
    return loss->value(net.run(x, scratch, pass), {}).sum().item<double>();
  };
  for (const ParamPtr& param : net.params()) {
    Tensor flat = param->value.view({-1});
    const int64_t k = flat.numel() / 2;
    const double before = flat[k].item<double>(), h = 1e-6;
    flat[k] = before + h;
    const double high = value();
    flat[k] = before - h;
    const double low = value();
    flat[k] = before;
    EXPECT_NEAR(sink.of_param(*param).view({-1})[k].item<double>(), (high - low) / (2 * h),
                2e-6 * std::max(1.0, std::abs(high)))
        << param->name;
  }
}

TEST(ImageFlow, OddInputsAreRefusedInASentence) {
  const auto why = [](const std::string& text, std::vector<int64_t> shape) {
    return message_of([&] { flow_of(network(text, image_info(std::move(shape)))); });
  };
  EXPECT_TRUE(contains(why("cnf-image:4:softplus", {12}), "[channels, height, width]"));
  EXPECT_TRUE(contains(why("cnf-image:4:softplus:scales=4", {1, 28, 28}), "fewer scales"));
  EXPECT_TRUE(contains(why("cnf-image:4:softplus:levels=1", {1, 8, 8}), "levels=256"));
  EXPECT_TRUE(contains(why("cnf-image:4:relu", {1, 8, 8}), "second order"));
  EXPECT_TRUE(contains(why("chain: zero-channels, squeeze 1x3x4", {12}), "even"));
  EXPECT_TRUE(contains(why("chain: zero-channels, squeeze 1x4x4", {12}), "16 values"));
  EXPECT_TRUE(contains(why("chain: zero-channels, factor-out 12", {12}), "none leaves"));
  EXPECT_TRUE(contains(why("chain: logit, zero-channels, ode{flow{linear 2}}", {2}), "logit"));
  EXPECT_TRUE(contains(why("chain: zero-channels, logit", {2}), "no ode"));
  EXPECT_TRUE(contains(why("chain: zero-channels, dequantise, ode{flow{linear 2}}", {2}), "dequantise"));
  for (const double alpha : {0.0, 0.5, -1.0, std::nan("")})
    EXPECT_TRUE(contains(message_of([&] { logit(alpha); }), "alpha")) << alpha;
  EXPECT_TRUE(contains(message_of([] { dequantise(1); }), "levels"));
  EXPECT_TRUE(contains(message_of([] { factor_out(0); }), "keep"));
  const Graph net = network("cnf-image:4:softplus:scales=1", image_info({1, 4, 4}));
  for (const double value : {-0.5, 1.5, 255.0})
    EXPECT_TRUE(contains(message_of([&] { net.predict(at::full({1, 1, 4, 4}, value)); }),
                         "--normalise unit"))
        << value;
}

}  // namespace
}  // namespace altprop::ode
