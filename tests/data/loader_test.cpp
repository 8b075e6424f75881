#include "altprop/data/loader.h"

#include <gtest/gtest.h>

#include <atomic>

#include "altprop/data/prefetch.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

Dataset photographs(int64_t n = 23) {
  const Stream stream(3);
  Dataset out;
  out.name = "photographs";
  out.inputs = stream.uniform(0, 256, {n, 2, 6, 5}).to(at::kByte);
  out.targets = stream.at("y").uniform(0, 4, {n}).to(at::kLong);
  out.classes = 4;
  out.scale = 1.0 / 255;
  out.mean = {0.3, 0.6};
  out.stddev = {0.2, 0.5};
  return out;
}

Tensor naive(const Dataset& data) {
  const Tensor mean = at::tensor(data.mean, at::kDouble).view({1, 2, 1, 1});
  return (data.inputs.to(at::kDouble) * data.scale - mean) /
         at::tensor(data.stddev, at::kDouble).view({1, 2, 1, 1});
}

void expect_same(const Batch& a, const Batch& b) {
  EXPECT_TRUE(a.inputs.equal(b.inputs));
  EXPECT_TRUE(a.targets.equal(b.targets));
  EXPECT_TRUE(a.ids.equal(b.ids));
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.index, b.index);
}

const Augment kAll{.crop = 2, .fill = "zero", .flip = true};

TEST(Loader, WithoutShuffleBatchesAreViewsInOrder) {
  const Dataset data = photographs();
  const Loader loader(data, {.batch = 10, .dtype = at::kDouble});
  ASSERT_EQ(loader.batches(), 3);
  EXPECT_EQ(loader.samples(), 23);
  const Tensor expected = naive(data);
  for (int64_t i = 0; i < 3; ++i) {
    const Batch batch = loader.at(0, i);
    EXPECT_EQ(batch.size, i == 2 ? 3 : 10);
    EXPECT_EQ(batch.index, i);
    EXPECT_TRUE(batch.inputs.allclose(expected.narrow(0, 10 * i, batch.size), 1e-14, 1e-14));
    EXPECT_TRUE(batch.targets.equal(data.targets.narrow(0, 10 * i, batch.size)));
    EXPECT_TRUE(batch.ids.equal(at::arange(10 * i, 10 * i + batch.size)));
  }
  EXPECT_EQ(loader.at(0, 1).inputs.data_ptr(), loader.at(5, 1).inputs.data_ptr());
  EXPECT_EQ(Loader(data, {.batch = 10, .drop_last = true}).batches(), 2);
  EXPECT_EQ(Loader(data, {.batch = 10, .drop_last = true}).samples(), 20);
}

TEST(Loader, ShuffledEpochsAreDifferentPermutations) {
  const Dataset data = photographs();
  const Loader loader(data,
                      {.batch = 5, .shuffle = true, .stream = Stream(1), .dtype = at::kDouble});
  const Tensor expected = naive(data);
  std::vector<Tensor> orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<Tensor> ids;
    for (int64_t i = 0; i < loader.batches(); ++i) {
      const Batch batch = loader.at(epoch, i);
      ids.push_back(batch.ids);
      EXPECT_TRUE(batch.inputs.allclose(expected.index_select(0, batch.ids), 1e-14, 1e-14));
      EXPECT_TRUE(batch.targets.equal(data.targets.index_select(0, batch.ids)));
    }
    orders.push_back(at::cat(ids));
    EXPECT_TRUE(std::get<0>(orders.back().sort()).equal(at::arange(23)));
  }
  EXPECT_FALSE(orders[0].equal(orders[1]));
  EXPECT_FALSE(orders[1].equal(orders[2]));
  const Loader other(data, {.batch = 23, .shuffle = true, .stream = Stream(2)});
  EXPECT_FALSE(other.at(0, 0).ids.equal(orders[0]));
}

TEST(Loader, RandomAccessEqualsSequentialAccess) {
  const LoaderOptions options{.batch = 5, .shuffle = true, .stream = Stream(1), .augment = kAll};
  const Loader forward(photographs(), options), backward(photographs(), options);
  std::vector<Batch> all;
  for (int64_t i = 0; i < 15; ++i) all.push_back(forward.at(i / 5, i % 5));
  for (int64_t i = 14; i >= 0; --i)
    expect_same(backward.at(i / 5, i % 5), all[static_cast<size_t>(i)]);
}

TEST(Loader, PrefetchAndConversionByBatchChangeNothing) {
  for (const Augment& augment : {Augment{}, kAll, Augment{.crop = 1, .fill = "edge"}})
    for (bool shuffle : {false, true})
      for (at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
        LoaderOptions options{.batch = 4,
                              .shuffle = shuffle,
                              .stream = Stream(1),
                              .augment = augment,
                              .dtype = dtype};
        const Loader plain(photographs(), options);
        options.resident_bytes = 0;
        const Loader by_batch(photographs(), options);
        options.prefetch = 3;
        const Loader ahead(photographs(), options);
        for (int64_t epoch : {0, 1, 7})
          for (int64_t i : {0, 1, 2, 3, 4, 5, 2, 0}) {
            const Batch expected = plain.at(epoch, i);
            EXPECT_EQ(expected.inputs.scalar_type(), dtype);
            expect_same(by_batch.at(epoch, i), expected);
            expect_same(ahead.at(epoch, i), expected);
          }
      }
}

/// Pad, mirror and cut out with plain indexing.
Tensor reference(const Tensor& image, const Shift& shift, bool edge, const Tensor& black) {
  const Tensor source = shift.mirror ? image.flip({2}) : image;
  Tensor out = at::empty_like(image);
  const int64_t height = image.size(1), width = image.size(2);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const int64_t from_y = y + shift.down, from_x = x + shift.right;
      const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      const Tensor pixel = source.select(1, std::clamp<int64_t>(from_y, 0, height - 1))
                               .select(1, std::clamp<int64_t>(from_x, 0, width - 1));
      out.select(1, y).select(1, x).copy_(inside || edge ? pixel : black);
    }
  return out;
}

TEST(Loader, AugmentationEqualsNaiveReference) {
  const Dataset data = photographs();
  const Tensor values = naive(data), black = at::tensor({-0.3 / 0.2, -0.6 / 0.5}, at::kDouble);
  for (const std::string fill : {"zero", "edge"}) {
    // A crop wider than the image must work as well.
    for (int64_t crop : {0, 2, 7}) {
      const Augment augment{.crop = crop, .fill = fill, .flip = true};
      const Loader loader(
          data, {.batch = 23, .stream = Stream(1), .augment = augment, .dtype = at::kDouble});
      const Batch batch = loader.at(2, 0);
      const Stream epoch = Stream(1).at("augment").at(2);
      int64_t mirrored = 0, moved = 0;
      for (int64_t i = 0; i < 23; ++i) {
        const Shift shift = draw_shift(augment, epoch, i);
        mirrored += shift.mirror;
        moved += shift.down != 0 || shift.right != 0;
        EXPECT_LE(std::max(std::abs(shift.down), std::abs(shift.right)), crop);
        EXPECT_TRUE(batch.inputs[i].allclose(reference(values[i], shift, fill == "edge", black),
                                             1e-13, 1e-13))
            << i;
      }
      EXPECT_GT(mirrored, 4);
      EXPECT_LT(mirrored, 19);
      EXPECT_EQ(moved > 0, crop > 0);
    }
  }
}

TEST(Loader, FlipAloneMirrorsWholeImages) {
  const Dataset data = photographs();
  const Tensor values = naive(data);
  const Loader loader(data, {.batch = 23, .augment = {.flip = true}, .dtype = at::kDouble});
  const Tensor got = loader.at(0, 0).inputs;
  int64_t flipped = 0;
  for (int64_t i = 0; i < 23; ++i) {
    const bool same = got[i].allclose(values[i]), mirror = got[i].allclose(values[i].flip({2}));
    EXPECT_NE(same, mirror) << i;
    flipped += mirror;
  }
  EXPECT_GT(flipped, 4);
  EXPECT_LT(flipped, 19);
}

TEST(Loader, AugmentationBelongsToTheSampleNotToItsBatch) {
  const Loader small(photographs(),
                     {.batch = 4, .shuffle = true, .stream = Stream(1), .augment = kAll});
  const Loader large(photographs(), {.batch = 23, .stream = Stream(1), .augment = kAll});
  const Tensor all = large.at(1, 0).inputs;
  const Batch batch = small.at(1, 3);
  EXPECT_TRUE(batch.inputs.equal(all.index_select(0, batch.ids)));
  EXPECT_FALSE(all.equal(large.at(2, 0).inputs)) << "another epoch, another draw";
}

TEST(Loader, RegressionTargetsAndVectorsPass) {
  Dataset data;
  data.name = "curve";
  data.inputs = at::rand({7, 3}, at::kDouble);
  data.targets = at::rand({7, 2}, at::kDouble);
  const Batch batch = Loader(data, {.batch = 7, .shuffle = true}).at(0, 0);
  EXPECT_EQ(batch.inputs.scalar_type(), at::kFloat);
  EXPECT_TRUE(batch.targets.equal(data.targets.to(at::kFloat).index_select(0, batch.ids)));
}

TEST(Loader, RefusesWhatDoesNotFit) {
  Dataset vectors;
  vectors.name = "vectors";
  vectors.inputs = at::rand({7, 3});
  vectors.targets = at::rand({7, 2});
  expect_error([&] { Loader(vectors, {.augment = {.flip = true}}); }, {"vectors", "images", "[3]"});
  expect_error([&] { Loader(vectors, {.batch = 8, .drop_last = true}); },
               {"drop-last", "7 samples"});
  expect_error([&] { Loader(vectors, {.batch = 0}); }, {"batch"});
  expect_error([&] { Loader(vectors, {.augment = {.crop = -1}}); }, {"augment.crop"});
  expect_error([&] { Loader(vectors, {.dtype = at::kInt}); }, {"Int"});
  expect_error([&] { Loader(Dataset{}, {}); }, {"empty"});
  const Loader loader(vectors, {.batch = 4, .prefetch = 2});
  expect_error([&] { loader.at(0, 2); }, {"no batch 2", "0 to 1"});
  expect_error([&] { loader.at(-1, 0); }, {"epoch -1"});
}

TEST(Loader, OptionsAreDeclared) {
  LoaderOptions options;
  Options declared("the loader");
  options.declare(declared);
  declared.set_all(
      {{"batch", "32"}, {"augment.crop", "4"}, {"augment.fill", "edge"}, {"augment.flip", "true"}});
  EXPECT_EQ(options.batch, 32);
  EXPECT_EQ(options.augment.crop, 4);
  EXPECT_TRUE(options.augment.flip);
  EXPECT_THROW(declared.set("batch", "0"), UsageError);
}

TEST(Prefetcher, GivesExceptionsToWhoeverAsksForTheItem) {
  std::atomic<int> made{0};
  Prefetcher<int> prefetcher(
      [&](std::pair<int64_t, int64_t> key) {
        ++made;
        if (key.second == 2) throw Error("item 2 is damaged");
        return static_cast<int>(100 * key.first + key.second);
      },
      4, 3);
  for (int round = 0; round < 50; ++round) {
    EXPECT_EQ(prefetcher.get({round, 0}), 100 * round);
    EXPECT_EQ(prefetcher.get({round, 1}), 100 * round + 1);
    expect_error([&] { prefetcher.get({round, 2}); }, {"item 2 is damaged"});
    EXPECT_EQ(prefetcher.get({round, 3}), 100 * round + 3);
  }
  // An item is made once or, if the background was not fast enough, not at all in the background;
  // never twice in order.
  EXPECT_LE(made.load(), 50 * 4 + 3);
}

TEST(Prefetcher, WorksAheadAndStopsWhileWorking) {
  std::atomic<int> made{0};
  {
    Prefetcher<int> prefetcher([&](std::pair<int64_t, int64_t>) { return ++made; }, 10, 3);
    prefetcher.get({0, 0});
    for (int i = 0; i < 2000 && made < 4; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(made.load(), 4) << "three items beyond the one asked for";
  }
  for (int i = 0; i < 100; ++i) {
    Loader loader(photographs(), {.batch = 4, .shuffle = true, .augment = kAll, .prefetch = 4});
    loader.at(0, i % 3);
  }  // destroyed with work under way
}

TEST(Prefetcher, ManyCallersGetTheirOwnItems) {
  Prefetcher<int64_t> prefetcher(
      [](std::pair<int64_t, int64_t> key) { return 1000 * key.first + key.second; }, 7, 2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&, t] {
      for (int64_t i = 0; i < 700; ++i)
        wrong += prefetcher.get({i / 7, (i + t) % 7}) != 1000 * (i / 7) + (i + t) % 7;
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace altprop::data::testing
