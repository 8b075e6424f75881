// What recursive least squares refuses, warns of and keeps.
#include "altprop/network/ops/embedding.h"
#include "optim/recursive_least_squares.h"

namespace altprop::directions {
namespace {

TEST(RecursiveLeastSquares, ParametersWithoutRowsAreRefusedOrLeftAlone) {
  const auto groups = [] {
    return network("chain: conv 4 k=3 groups=2, relu, linear *",
                   {.input_shape = {2, 7, 7}, .classes = 3});
  };
  expect_says(sentence([&] { Learning(groups(), {}); }),
              {"conv2d 'conv1'", "conv1.weight", "rls.rest=plain"});
  Learning plain(groups(), {{"rls.rest", "plain"}});
  plain.step(images(4), wanted(4));
  EXPECT_TRUE(plain.value(0).isfinite().all().item<bool>());
  // Frozen ones are not stepped, so that nothing is wanted of them.
  Graph frozen = groups();
  for (const ParamPtr& param : frozen.params())
    if (param->name.starts_with("conv1")) param->learnt = false;
  Learning(std::move(frozen), {});
  Graph table;
  table.output(table.add(
      linear(2), {table.add(embedding(7, 4), {table.input({.shape = {}, .dtype = Dtype::Int64})})}));
  expect_says(sentence([&] { Learning(std::move(table), {}); }),
              {"embedding 'embedding1'", "rls.rest=plain"});
  // Of the others it shows when a gradient comes without rows.
  Learning transposed(network("chain: conv-transpose 3 k=3, relu, linear *",
                              {.input_shape = {2, 7, 7}, .classes = 3}),
                      {});
  expect_says(sentence([&] { transposed.step(images(4), wanted(4)); }),
              {"rls.rest=plain", "weight"});
}

TEST(RecursiveLeastSquares, GradientsWithoutSignalsOfAMapAreRefused) {
  Learning run(affine(2, 1), {});
  const ParamPtr weight = run.net.params()[0];
  run.updater.take(ParamSignal{weight.get(), weight->value});
  expect_says(sentence([&] { run.updater.apply(); }), {"fc.weight", "rls.rest=plain"});
  // Beside signals a penalty is a part of the gradient.
  Learning with(affine(2, 1), {}), without(affine(2, 1), {});
  const Tensor x = numbers({1, 2}).view({1, 2}), y = numbers({1}).view({1, 1}),
               penalty = numbers({0.5, -0.25}).view({1, 2});
  with.updater.take(ParamSignal{with.net.params()[0].get(), penalty});
  with.step(x, y);
  without.step(x, y);
  const double h = 1 + 1 + 4 + 1;
  expect_close(without.value(0) - with.value(0), penalty / h, 1e-12);
}

TEST(RecursiveLeastSquares, ErrorsSayWhatToDo) {
  expect_says(sentence([] {
                Learning run(affine(4, 1), {{"rls.max-inputs", "4"}});
                run.step(at::ones({1, 4}, at::kDouble), at::ones({1, 1}, at::kDouble));
              }),
              {"fc.weight", "5 inputs", "rls.max-inputs"});
  Learning(affine(3, 1), {{"rls.max-inputs", "4"}})
      .step(at::ones({1, 3}, at::kDouble), at::ones({1, 1}, at::kDouble));
  expect_says(sentence([] {
                Learning run(affine(2, 1), {});
                run.step(numbers({1, NAN}).view({1, 2}), numbers({1}).view({1, 1}));
              }),
              {"fc.weight", "no longer finite", "rls.lambda"});
  expect_says(sentence([] { make_direction("recursive-least-square"); }),
              {"recursive-least-squares"});
  expect_says(sentence([] {
                make_direction("accumulate", {{"rls.k", "1"}});
              }),
              {"accumulate", "rls.k"});
  for (const auto& [name, value] : {std::pair{"rls.lambda", "0"},
                                    {"rls.k", "-1"},
                                    {"rls.p0", "0"},
                                    {"rls.cap", "0.5"},
                                    {"rls.rest", "skip"}})
    expect_says(sentence([&, name = name, value = value] {
                  make_direction("recursive-least-squares", {{name, value}});
                }),
                {name});
  Param a("same", at::ones({2})), b("same", at::ones({2}));
  OwnUpdater updater(kWholeSteps);
  updater.set_direction(make_direction("recursive-least-squares"));
  expect_says(sentence([&] {
                updater.bind({std::make_shared<Param>(a), std::make_shared<Param>(b)});
              }),
              {"'same'"});
}

TEST(RecursiveLeastSquares, SaysWhatRateIsTooLarge) {
  const auto direction = make_direction("recursive-least-squares");
  EXPECT_TRUE(direction->warnings({.kind = "sgd", .lr = 1}).empty());
  EXPECT_TRUE(direction->warnings({.kind = "adam", .lr = 10}).empty());
  EXPECT_EQ(direction->warnings({.kind = "sgd", .lr = 3}).size(), 1u);
  EXPECT_EQ(direction->warnings({.kind = "momentum", .lr = 1}).size(), 1u);
}

/// By the parameters' names, whatever order they come in.
TEST(RecursiveLeastSquares, StateIsKeptByName) {
  Learning whole(small_conv_net(), {}), part(small_conv_net(), {});
  for (int64_t t = 0; t < 3; ++t)
    for (Learning* run : {&whole, &part}) run->step(images(4, t), wanted(4, t));
  TensorMap map;
  part.updater.state(StateIO::saving(map));
  Learning rest(small_conv_net(), {});
  rest.updater.state(StateIO::loading(map));
  for (size_t i = 0; i < part.net.params().size(); ++i) {
    rest.value(i).copy_(part.value(i));
    EXPECT_EQ(map.count("direction." + part.net.params()[i]->name + ".p"), i % 2 == 0) << i;
  }
  for (int64_t t = 3; t < 6; ++t)
    for (Learning* run : {&whole, &rest}) run->step(images(4, t), wanted(4, t));
  for (size_t i = 0; i < whole.net.params().size(); ++i)
    EXPECT_TRUE(whole.value(i).equal(rest.value(i))) << i;
  map.begin()->second = at::ones({2, 3});
  for (auto& [name, tensor] : map)
    if (name.ends_with(".p")) tensor = at::ones({2, 3}, at::kDouble);
  Learning other(small_conv_net(), {});
  expect_says(sentence([&] { other.updater.state(StateIO::loading(map)); }), {".p", "square"});
  for (auto& [name, tensor] : map)
    if (name.ends_with(".p")) tensor = at::eye(2, at::kDouble);
  Learning smaller(small_conv_net(), {});
  smaller.updater.state(StateIO::loading(map));
  expect_says(sentence([&] { smaller.step(images(4), wanted(4)); }), {"another run's"});
}

}  // namespace
}  // namespace altprop::directions
