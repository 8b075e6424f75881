#include "altprop/data/dataset.h"

#include <gtest/gtest.h>

#include <set>

#include "altprop/base/text.h"
#include "altprop/data/prepare.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

Splits numbered(int64_t train, int64_t test) {
  Splits out;
  int64_t first = 0;
  for (auto [part, n] : {std::pair{&out.train, train}, {&out.test, test}}) {
    part->name = "numbered";
    part->inputs = at::arange(first, first + n, at::kFloat).view({n, 1});
    part->targets = at::arange(n, at::kLong).remainder(3);
    part->classes = 3;
    first += n;
  }
  return out;
}

std::set<int64_t> values(const Dataset& data) {
  std::set<int64_t> out;
  for (int64_t i = 0; i < data.size(); ++i) out.insert(data.inputs[i][0].item<int64_t>());
  return out;
}

TEST(Dataset, ValidationPartIsDisjointAndComplete) {
  PrepareOptions options;
  options.validation = 30;
  const Splits data = prepare(numbered(100, 10), options);
  EXPECT_EQ(data.train.size(), 70);
  EXPECT_EQ(data.validation.size(), 30);
  EXPECT_EQ(data.test.size(), 10);
  std::set<int64_t> all = values(data.train);
  all.merge(values(data.validation));
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(*all.rbegin(), 99);
  for (const Dataset* part : {&data.train, &data.validation})
    EXPECT_TRUE(part->inputs.squeeze(1).to(at::kLong).remainder(3).equal(part->targets))
        << "targets stay with inputs";
  EXPECT_EQ(values(prepare(numbered(100, 10), options).validation), values(data.validation));
  options.seed = 1;
  EXPECT_NE(values(prepare(numbered(100, 10), options).validation), values(data.validation));
  options.validation = 0.25;
  EXPECT_EQ(prepare(numbered(100, 10), options).validation.size(), 25);
}

TEST(Dataset, LimitsAreDrawnAndNested) {
  PrepareOptions options;
  options.train_limit = 20;
  options.test_limit = 4;
  const Splits small = prepare(numbered(100, 10), options);
  EXPECT_EQ(small.test.size(), 4);
  options.train_limit = 50;
  const std::set<int64_t> few = values(small.train),
                          many = values(prepare(numbered(100, 10), options).train);
  EXPECT_EQ(few.size(), 20u);
  EXPECT_GT(*few.rbegin(), 50) << "a limit draws from the whole set";
  for (int64_t value : few) EXPECT_TRUE(many.count(value));
}

TEST(Dataset, RefusesOptionsThatDoNotFit) {
  auto refuse = [](std::function<void(PrepareOptions&)> change,
                   std::initializer_list<std::string> parts) {
    PrepareOptions options;
    change(options);
    expect_error([&] { prepare(numbered(100, 10), options); }, parts);
  };
  refuse([](auto& o) { o.validation = 100; },
         {"'validation' asks for 100", "100 training samples"});
  refuse([](auto& o) { o.validation = 2.5; }, {"whole number"});
  refuse([](auto& o) { o.validation = 0.001; }, {"leaves 100 of the 100"});
  refuse([](auto& o) { o.train_limit = 101; }, {"train-limit", "101", "100"});
  refuse([](auto& o) { o.image_size = 32; }, {"image-size", "[1]"});
}

TEST(Dataset, NormalisationIsMeasuredOnTheTrainingPart) {
  Splits data = numbered(4, 2);
  data.train.inputs =
      at::tensor({0.0, 10.0, 2.0, 10.0, 4.0, 10.0, 6.0, 10.0}, at::kDouble).view({4, 2});
  data.test.inputs = at::ones({2, 2}, at::kDouble);
  PrepareOptions options;
  const Splits standard = prepare(data, options);
  EXPECT_EQ(standard.train.mean, (std::vector<double>{3, 10}));
  EXPECT_NEAR(standard.train.stddev[0], std::sqrt(5), 1e-12);
  EXPECT_EQ(standard.train.stddev[1], 1) << "a constant column must not be divided by zero";
  EXPECT_EQ(standard.test.mean, standard.train.mean);
  options.deviations = 3;
  const Splits wide = prepare(data, options);
  EXPECT_EQ(wide.train.mean, standard.train.mean);
  EXPECT_NEAR(wide.test.stddev[0], 3 * std::sqrt(5), 1e-12);
  EXPECT_EQ(wide.test.stddev, wide.train.stddev);
  options.normalise = "unit";
  const Splits unit = prepare(data, options);
  EXPECT_EQ(unit.train.mean, (std::vector<double>{0, 10}));
  EXPECT_EQ(unit.train.stddev, (std::vector<double>{6, 1}));
  options.normalise = "symmetric";
  EXPECT_EQ(prepare(data, options).train.mean[0], 3);
  options.normalise = "none";
  EXPECT_TRUE(prepare(data, options).train.mean.empty());
}

TEST(Dataset, ImagesArePaddedOnAllSides) {
  const Splits data =
      load("glyphs", {{"glyphs.train", "5"}, {"glyphs.test", "2"}, {"image-size", "33"}});
  const Splits plain = load("glyphs", {{"glyphs.train", "5"}, {"glyphs.test", "2"}});
  EXPECT_EQ(data.train.sample_shape(), (std::vector<int64_t>{1, 33, 33}));
  EXPECT_TRUE(data.train.inputs.slice(2, 2, 30).slice(3, 2, 30).equal(plain.train.inputs));
  EXPECT_EQ(data.train.inputs.sum().item<int64_t>(), plain.train.inputs.sum().item<int64_t>());
  EXPECT_EQ(data.train.mean, plain.train.mean) << "padding does not change the normalisation";
  expect_error([] { load("glyphs", {{"image-size", "20"}}); }, {"image-size", "20", "28x28"});
}

TEST(Dataset, CallersTensorsAreChecked) {
  const Tensor x = at::rand({4, 2}), y = at::tensor({0, 1, 2, 1}, at::kLong);
  const Splits data = from_tensors(x, y.to(at::kInt), x, y);
  EXPECT_EQ(data.train.classes, 3);
  EXPECT_EQ(data.train.inputs.data_ptr(), x.data_ptr()) << "floating inputs are not copied";
  EXPECT_EQ(from_tensors(x.to(at::kLong), y).train.inputs.scalar_type(), at::kFloat);
  EXPECT_EQ(from_tensors(x, at::rand({4})).train.targets.dim(), 2);
  expect_error([&] { from_tensors(x, y.narrow(0, 0, 3)); }, {"4 inputs, but 3 targets"});
  expect_error([&] { from_tensors(x, y, {}, {}, 2); }, {"label 2 at sample 2", "0 to 1"});
  expect_error([&] { from_tensors(x, y - 1); }, {"label -1 at sample 0", "-1 to 1"});
  expect_error([&] { from_tensors(x, y - 5); }, {"label -5", "-5 to -3"});
  expect_error([&] { from_tensors(x, at::rand({4}), {}, {}, 3); }, {"class ids as int64"});
  expect_error([&] { from_tensors(-x / 0.0, y); }, {"not finite"});
  const Splits silent = from_tensors(x / 0.0, y);  // spikes that never come
  expect_error([&] { require_finite(silent.train); }, {"not finite", "in 4 of its 4"});
  expect_error([&] { prepare(silent, {}); }, {"not finite"});
  expect_error([&] { from_tensors(x, y, at::rand({4, 3}), y); }, {"[2]", "[3]"});
  expect_error([&] { from_tensors({}, y); }, {"no inputs"});
  expect_error(
      [&] {
        from_tensors(at::rand({0, 2}), at::empty({0}, at::kLong));
      },
      {"no training samples"});
  expect_error([&] { from_tensors(x, at::rand({4, 2}), x, at::rand({4, 3})); }, {"other targets"});
}

TEST(Dataset, SubsetsKeepInputsAndTargetsTogether) {
  const Dataset data = numbered(10, 1).train;
  const Dataset some = subset(data, at::tensor({7, 2}, at::kLong));
  EXPECT_EQ(some.inputs[0].item<int64_t>(), 7);
  EXPECT_TRUE(some.targets.equal(at::tensor({1, 2}, at::kLong)));
  EXPECT_EQ(first(data, 3).size(), 3);
  EXPECT_EQ(first(data, 30).size(), 10);
  expect_error([&] { subset(data, at::tensor({10}, at::kLong)); }, {"numbered", "0 to 9"});
}

TEST(Source, NamesAliasesAndSuggestions) {
  std::set<std::string> names;
  for (const Source& source : list()) names.insert(source.name);
  for (const char* name :
       {"cifar-10", "cifar-100", "csv", "fashion-mnist", "glyphs", "mnist", "npy"})
    EXPECT_TRUE(names.count(name)) << name;
  EXPECT_EQ(find("cifar10").name, "cifar-10");
  expect_error([] { find("mnits"); }, {"no data source 'mnits'", "did you mean 'mnist'"});
  expect_error(
      [] {
        load("glyphs", {{"glyphs.tain", "5"}});
      },
      {"data source 'glyphs'", "did you mean 'glyphs.train'"});
  Request request("glyphs");
  EXPECT_TRUE(request.options().has("train-limit"));
  EXPECT_TRUE(request.options().has("glyphs.noise"));
}

}  // namespace
}  // namespace altprop::data::testing
