// The published data sets, where ALTPROP_DATA has them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "altprop/data/download.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data {
namespace {

#define NEED_DATA(name)                                                                      \
  if (!std::getenv("ALTPROP_DATA") ||                                                        \
      !std::filesystem::exists(std::filesystem::path(std::getenv("ALTPROP_DATA")) / (name))) \
  GTEST_SKIP() << "set ALTPROP_DATA to a folder that has " << (name) << "/ to run this test"

std::vector<int64_t> counts(const Dataset& data) {
  const Tensor out = at::bincount(data.targets, {}, data.classes);
  return {out.data_ptr<int64_t>(), out.data_ptr<int64_t>() + out.numel()};
}

/// The constants in use are the published ones; the data must agree with them to the digits given.
void expect_published_statistics(const Splits& data, double tolerance) {
  Dataset measured = data.train;
  measure(measured);
  for (size_t c = 0; c < measured.mean.size(); ++c) {
    EXPECT_NEAR(measured.mean[c], data.train.mean[c], tolerance);
    EXPECT_NEAR(measured.stddev[c], data.train.stddev[c], tolerance);
  }
}

TEST(RealData, Mnist) {
  NEED_DATA("mnist");
  const Splits data = load("mnist");
  EXPECT_EQ(counts(data.train),
            (std::vector<int64_t>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  EXPECT_EQ(counts(data.test),
            (std::vector<int64_t>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
  EXPECT_EQ(data.train.sample_shape(), (std::vector<int64_t>{1, 28, 28}));
  expect_published_statistics(data, 6e-5);
  DownloadOptions nowhere;
  nowhere.mirror = "http://127.0.0.1:1/";
  EXPECT_FALSE(download(find_remote("mnist"), nowhere))
      << "all four files have the published checksums";
}

TEST(RealData, TinyShakespeare) {
  NEED_DATA("tinyshakespeare");
  const Splits data = load("tinyshakespeare", {{"text.length", "50"}});
  EXPECT_EQ(data.train.vocabulary, 65);
  // 1,115,394 characters: 90, 5 and 5 %.
  EXPECT_EQ(data.train.size(), (1003855 - 1) / 50);
  EXPECT_EQ(data.validation.size(), (1059624 - 1003855 - 1) / 50);
  EXPECT_EQ(data.test.size(), (1115394 - 1059624 - 1) / 50);
  std::string begin;
  for (int64_t t = 0; t < 14; ++t)
    begin += data.train.class_names[static_cast<size_t>(data.train.inputs[0][t].item<int64_t>())];
  EXPECT_EQ(begin, "First Citizen:");
  DownloadOptions nowhere;
  nowhere.mirror = "http://127.0.0.1:1/";
  EXPECT_FALSE(download(find_remote("tinyshakespeare"), nowhere)) << "the published checksum";
}

TEST(RealData, Names) {
  NEED_DATA("names");
  const Splits data = load("names", {{"names.test", "0"}});
  EXPECT_EQ(counts(data.train), (std::vector<int64_t>{2000, 268, 519, 297, 3668, 277, 724, 203, 232,
                                                      709, 991, 94, 139, 74, 9384, 100, 298, 73}));
  EXPECT_EQ(data.train.inputs.size(1), 19);
  // Of the tutorial's own folding: all letters, and the sum over all names of
  // (place in the name) * (place in the alphabet), both from 1.
  const Tensor there = data.train.inputs.ge(0);
  EXPECT_EQ(there.sum().item<int64_t>(), 143170);
  EXPECT_EQ(((data.train.inputs + 1) * at::arange(1, 20, at::kLong)).sum().item<int64_t>(),
            8248481);
  const Splits split = load("names");
  EXPECT_EQ(split.train.size() + split.test.size(), 20050);
  DownloadOptions nowhere;
  nowhere.mirror = "http://127.0.0.1:1/";
  EXPECT_FALSE(download(find_remote("names"), nowhere)) << "the published checksums";
}

TEST(RealData, FashionMnist) {
  NEED_DATA("fashion-mnist");
  const Splits data = load("fashion");
  EXPECT_EQ(counts(data.train), std::vector<int64_t>(10, 6000));
  EXPECT_EQ(counts(data.test), std::vector<int64_t>(10, 1000));
  EXPECT_EQ(data.train.class_names[9], "Ankle boot");
  EXPECT_EQ(data.train.targets[0].item<int64_t>(), 9);
  expect_published_statistics(data, 6e-5);
  DownloadOptions nowhere;
  nowhere.mirror = "http://127.0.0.1:1/";
  EXPECT_FALSE(download(find_remote("fashion-mnist"), nowhere));
}

TEST(RealData, Cifar10) {
  NEED_DATA("cifar-10-batches-bin");
  const Splits data = load("cifar-10", {{"validation", "5000"}});
  EXPECT_EQ(data.train.size(), 45000);
  EXPECT_EQ(data.validation.size(), 5000);
  EXPECT_EQ(data.train.class_names,
            (std::vector<std::string>{"airplane", "automobile", "bird", "cat", "deer", "dog",
                                      "frog", "horse", "ship", "truck"}));
  const Splits all = load("cifar10");
  EXPECT_EQ(counts(all.train), std::vector<int64_t>(10, 5000));
  EXPECT_EQ(counts(all.test), std::vector<int64_t>(10, 1000));
  EXPECT_TRUE(all.train.targets.narrow(0, 0, 10).equal(
      at::tensor({6, 9, 9, 4, 1, 1, 2, 7, 8, 3}, at::kLong)));
  EXPECT_TRUE(all.test.targets.narrow(0, 0, 10).equal(
      at::tensor({3, 8, 8, 0, 6, 6, 1, 6, 3, 1}, at::kLong)));
  expect_published_statistics(all, 6e-5);
}

#undef NEED_DATA

}  // namespace
}  // namespace altprop::data
