#include "altprop/network/init.h"

#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "check_op.h"

namespace altprop {
namespace {

TEST(Init, DrawsHaveTheDeviationOfTheScheme) {
  const std::vector<int64_t> dense = {200, 300}, kernel = {40, 30, 3, 5};
  for (const char* name : {"xavier", "xavier-normal", "kaiming", "he", "lecun", "akrout",
                           "orthogonal", "uniform:0.3", "normal:2"})
    for (const auto& shape : {dense, kernel}) {
      const Initialiser scheme(name);
      const Tensor w = scheme.draw(shape, Stream(1), at::kDouble);
      EXPECT_NEAR(w.std().item<double>() / scheme.deviation(shape), 1, 0.02) << name;
      EXPECT_NEAR(w.mean().item<double>() / scheme.deviation(shape), 0, 0.02) << name;
    }
  EXPECT_EQ(largest(Initialiser("zero").draw(dense, Stream(1), at::kDouble)), 0);
}

TEST(Init, DeviationsAreThePublishedOnes) {
  const std::vector<int64_t> kernel = {8, 6, 3, 3};  // fan_in 54, fan_out 72
  const auto deviation = [&](const char* name) { return Initialiser(name).deviation(kernel); };
  EXPECT_DOUBLE_EQ(deviation("xavier"), std::sqrt(2.0 / 126));
  EXPECT_DOUBLE_EQ(deviation("kaiming"), std::sqrt(1.0 / (3 * 54)));
  EXPECT_DOUBLE_EQ(deviation("he"), std::sqrt(2.0 / 54));
  EXPECT_DOUBLE_EQ(deviation("lecun"), std::sqrt(1.0 / 54));
  EXPECT_DOUBLE_EQ(deviation("akrout"), std::sqrt(1.0 / 126));
}

TEST(Init, UniformSchemesStayWithinTheirBound) {
  const std::vector<int64_t> shape = {50, 70};
  EXPECT_LE(largest(Initialiser("xavier").draw(shape, Stream(1), at::kDouble)),
            std::sqrt(6.0 / 120));
  EXPECT_LE(largest(Initialiser("kaiming").draw(shape, Stream(1), at::kDouble)),
            std::sqrt(1.0 / 70));
}

TEST(Init, OrthogonalMatricesHaveOrthonormalRowsOrColumns) {
  const Tensor wide = draw_orthogonal(5, 9, Stream(1), at::kDouble);
  const Tensor tall = draw_orthogonal(9, 5, Stream(1), at::kDouble);
  expect_close(wide.mm(wide.t()), at::eye(5, at::kDouble), 1e-12, "rows");
  expect_close(tall.t().mm(tall), at::eye(5, at::kDouble), 1e-12, "columns");
}

TEST(Init, BiasesFollowTheScheme) {
  const std::vector<int64_t> bias = {20000}, weight = {20000, 25};
  const auto deviation = [&](const char* name) {
    return Initialiser(name).draw_bias(bias, weight, Stream(1), at::kDouble).std().item<double>();
  };
  EXPECT_EQ(deviation("xavier"), 0);
  EXPECT_NEAR(deviation("kaiming"), 0.2 / std::sqrt(3.0), 2e-3);
  EXPECT_NEAR(deviation("akrout") * std::sqrt(20025.0), 1, 0.02);
}

TEST(Init, EachParameterHasItsOwnStream) {
  const auto build = [](bool more) {
    auto net = std::make_shared<Graph>();
    int h = net->input({{4}});
    if (more) h = net->add(linear(4), {h}, "extra");
    h = net->add(linear(4), {h}, "a");
    net->output(net->add(linear(4), {h}, "b"));
    initialise(*net, Initialiser("kaiming"), Stream(5));
    return net;
  };
  const auto few = build(false)->params(), many = build(true)->params();
  for (size_t i = 0; i < few.size(); ++i) EXPECT_TRUE(at::equal(few[i]->value, many[i + 2]->value));
  EXPECT_FALSE(at::equal(few[0]->value, few[2]->value));
}

TEST(Init, NormsKeepTheirsAndEmbeddingsBringTheirOwn) {
  Graph net;
  int h = net.input({.shape = {7}, .dtype = Dtype::Int64});
  h = net.add(embedding(500, 20), {h}, "table");
  net.output(net.add(layer_norm(), {h}, "norm"));
  initialise(net, Initialiser("zero"), Stream(5));
  EXPECT_NEAR(net.params()[0]->value.std().item<double>(), 1, 0.03);
  EXPECT_TRUE(at::equal(net.params()[1]->value, at::ones({20})));
}

TEST(Init, RefusesUnknownSchemes) {
  for (const char* name : {"xaver", "uniform", "normal:-1", "he:2", "normal:inf"})
    expect_refusal([&] { Initialiser scheme(name); }, "xavier|xavier-normal");
}

}  // namespace
}  // namespace altprop
