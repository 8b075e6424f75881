// Recordings of event cameras: the layout of N-MNIST, views of it, and an ideal sensor.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "altprop/data/source.h"
#include "altprop/data/spiking/event_stream.h"
#include "altprop/data/spiking/moving_sensor.h"
#include "altprop/train/experiment.h"
#include "data/helpers.h"
#include "support/fuzz.h"
#include "support/learnt.h"

namespace altprop::data::testing {
namespace {

std::string records(const std::vector<std::array<int, 3>>& all) {
  std::string out;
  for (const auto& [x, y, rest] : all)
    for (const int byte : {x, y, rest >> 16 & 0xff, rest >> 8 & 0xff, rest & 0xff})
      out += static_cast<char>(byte);
  return out;
}

std::string said_of_file(const std::string& bytes) {
  TempFolder folder;
  const std::string path = write(folder / "a.bin", bytes);
  try {
    read_nmnist(path);
    return "no error";
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_NE(sentence.find(path), std::string::npos) << sentence;
    EXPECT_LT(sentence.size(), 700u);
    return sentence;
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(EventRecordings, RecordsAreReadBitByBit) {
  TempFolder folder;
  const std::string path = write(folder / "a.bin", records({{7, 15, 0x800000 | 654},
                                                            {33, 33, 0x7fffff},
                                                            {5, 240, 0},  // the clock's overflow
                                                            {1, 2, 3},
                                                            {0, 240, 0},
                                                            {0, 0, 0x800000}}));
  const std::vector<PixelEvent> expected = {
      {7, 15, true, 654}, {33, 33, false, 8388607}, {1, 2, false, 8195}, {0, 0, true, 16384}};
  EXPECT_EQ(read_nmnist(path), expected);
}

TEST(EventRecordings, WhatIsWrittenIsReadAgain) {
  std::vector<PixelEvent> events;
  for (int i = 0; i < 200; ++i)
    events.push_back({i % 34, (7 * i) % 34, i % 3 == 0, int64_t{i} * i * 700});
  TempFolder folder;
  EXPECT_EQ(read_nmnist(write(folder / "a.bin", nmnist_bytes(events))), events);
  EXPECT_GT(events.back().time, 8388607) << "overflows are needed";
  EXPECT_THROW(nmnist_bytes({{0, 240, true, 1}}), UsageError);
  EXPECT_THROW(nmnist_bytes({{0, 0, true, -1}}), UsageError);
}

TEST(EventRecordings, DamagedFilesAreRefused) {
  EXPECT_TRUE(has(said_of_file(""), "has no events"));
  EXPECT_TRUE(has(said_of_file(records({{3, 240, 0}})), "has no events"));
  EXPECT_TRUE(has(said_of_file("abcd"), "no whole records of 5"));
  EXPECT_TRUE(has(said_of_file(records({{1, 1, 5}, {34, 0, 7}})), "x 34, y 0 in record 1"));
  EXPECT_TRUE(has(said_of_file(records({{0, 34, 7}})), "x 0, y 34 in record 0"));
  EXPECT_EQ(said_of_file(records({{33, 33, 7}})), "no error");
}

TEST(EventRecordings, AreFuzzed) {
  TempFolder folder;
  const std::string path = folder / "a.bin";
  fuzz::run({.name = "nmnist",
             .seeds = {records({{7, 15, 654}, {33, 33, 0x7fffff}, {5, 240, 0}, {1, 2, 3}}),
                       nmnist_bytes({{1, 2, true, 5}, {3, 4, false, 9'000'000}})},
             .read =
                 [&](const std::string& input) {
                   write(path, input);
                   try {
                     for (const PixelEvent& e : read_nmnist(path)) {
                       EXPECT_TRUE(e.x >= 0 && e.x < 34 && e.y >= 0 && e.y < 34 && e.time >= 0);
                     }
                   } catch (const Error& error) {
                     EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
                     throw;
                   }
                 },
             .rounds = 2000});
}

TEST(EventRecordings, ViewsShowTheFirstChangeAndTheNumber) {
  const std::vector<PixelEvent> events = {{3, 1, true, 1000},
                                          {3, 1, true, 1400},
                                          {0, 2, false, 1500},
                                          {3, 1, false, 2000},
                                          {5, 5, true, 9000}};
  const Sensor sensor{6, 7};
  const Tensor first = first_spike_view(events, sensor, 4000), count = count_view(events, sensor);
  ASSERT_EQ(first.sizes(), IntArrayRef({2, 7, 6}));
  EXPECT_EQ(first[1][1][3].item<float>(), 1) << "the recording's first";
  EXPECT_FLOAT_EQ(first[0][2][0].item<float>(), 1 - 0.125f);
  EXPECT_FLOAT_EQ(first[0][1][3].item<float>(), 0.75f);
  EXPECT_EQ(first[1][5][5].item<float>(), 0) << "behind the span";
  EXPECT_EQ(first.ne(0).sum().item<int64_t>(), 3);
  EXPECT_EQ(count[1][1][3].item<int64_t>(), 2);
  EXPECT_EQ(count.sum().item<int64_t>(), 5);
  EXPECT_EQ(count_view(std::vector<PixelEvent>(300, {0, 0, true, 0}), sensor).max().item<int64_t>(),
            255);
  EXPECT_THROW(first_spike_view(events, sensor, 0), UsageError);
}

TEST(EventRecordings, TheIdealSensorSendsWhatBrightnessDoes) {
  std::vector<uint8_t> picture(28 * 28, 0);
  const MovingSensor camera;
  EXPECT_TRUE(camera.watch(picture.data(), 28).empty()) << "nothing to see";
  for (int y = 8; y < 20; ++y)
    for (int x = 8; x < 20; ++x) picture[static_cast<size_t>(y * 28 + x)] = 255;
  const std::vector<PixelEvent> events = camera.watch(picture.data(), 28);
  ASSERT_GT(events.size(), 100u);
  int64_t before = 0;
  std::vector<int64_t> balance(34 * 34, 0);
  for (const PixelEvent& e : events) {
    EXPECT_GE(e.time, before);
    before = e.time;
    balance[static_cast<size_t>(e.y * 34 + e.x)] += e.brighter ? 1 : -1;
  }
  EXPECT_LE(before, 300'000);
  // The picture comes back to where it was, and so does every pixel, up to what is less than the
  // contrast: never more levels up than from black to white.
  for (const int64_t b : balance) EXPECT_LE(std::abs(b), 1);
  // Finer contrasts send more; a level takes the logarithm's share.
  MovingSensor fine = camera;
  fine.contrast = camera.contrast / 2;
  EXPECT_GT(fine.watch(picture.data(), 28).size(), 3 * events.size() / 2);
  // Whatever it sends the layout can hold.
  TempFolder folder;
  EXPECT_EQ(read_nmnist(write(folder / "a.bin", nmnist_bytes(events))), events);
}

/// A folder in the layout of N-MNIST with recordings of the ideal sensor.
void write_folder(const TempFolder& folder, int each) {
  std::vector<uint8_t> picture(28 * 28);
  for (const char* part : {"Train", "Test"})
    for (int digit = 0; digit < 10; ++digit)
      for (int i = 0; i < each; ++i) {
        std::fill(picture.begin(), picture.end(), uint8_t{0});
        for (int y = 3 + digit; y < 12 + digit; ++y)
          picture[static_cast<size_t>(y * 28 + 10 + i)] = 255;
        write(folder / (std::string(part) + "/" + std::to_string(digit) + "/" + std::to_string(i) +
                        ".bin"),
              nmnist_bytes(MovingSensor().watch(picture.data(), 28)));
      }
}

TEST(EventRecordings, AFolderIsADataSet) {
  TempFolder folder;
  write_folder(folder, 2);
  for (const char* view : {"first-spike", "count"}) {
    const Splits splits = load("events", {{"events.folder", folder.path()}, {"events.view", view}});
    EXPECT_EQ(splits.train.inputs.sizes(), IntArrayRef({20, 2, 34, 34}));
    EXPECT_EQ(splits.test.size(), 20);
    EXPECT_EQ(splits.train.classes, 10);
    EXPECT_EQ(splits.train.targets[19].item<int64_t>(), 9);
    EXPECT_GE(splits.train.inputs.min().item<double>(), 0);
    EXPECT_GT(splits.train.inputs.ne(0).sum().item<int64_t>(), 200);
  }
  const auto said = [](const OptionValues& values) -> std::string {
    try {
      load("events", values);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_TRUE(has(said({{"events.folder", folder / "nowhere"}}), "nowhere"));
  EXPECT_TRUE(has(said({{"events.folder", folder.path()}, {"events.layout", "moving-glyphs"}}),
                  "has no effect"));
  write(folder / "Train/3/zz.bin", "abc");
  EXPECT_TRUE(has(said({{"events.folder", folder.path()}}), "Train/3/zz.bin"));
}

TEST(EventRecordings, MovingGlyphsAreLearntFromTheirFirstSpikes) {
  RunSettings s;
  s.data = "events";
  s.data_options = {
      {"events.layout", "moving-glyphs"}, {"events.train", "1000"}, {"events.test", "300"}};
  s.net = "relpsp:*-60-*";
  s.loss = "spike-cross-entropy";
  s.optimizer.kind = "adam";
  s.optimizer.lr = 3e-3;
  s.epochs = 4;
  s.batch = 50;
  s.threads = 1;
  s.probe_every = 0;
  s.seed += static_cast<decltype(s.seed)>(test::seed_offset());
  Experiment e(s);
  EXPECT_EQ(e.trainer().run(), "done");
  test::expect_learnt_at_least("accuracy", *e.trainer().evaluate(e.data().test).accuracy(), 0.4);
}

TEST(EventRecordings, TheRealRecordingHasItsCounts) {
  const char* root = std::getenv("ALTPROP_DATA");
  const std::string path = root ? std::string(root) + "/events/sample_nmnist.bin" : "";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no recording in ALTPROP_DATA";
  const std::vector<PixelEvent> events = read_nmnist(path);
  ASSERT_EQ(events.size(), 4325u);
  EXPECT_EQ(events[0], (PixelEvent{7, 15, true, 654}));
  EXPECT_EQ(events[1], (PixelEvent{19, 18, false, 2999}));
  EXPECT_EQ(
      std::count_if(events.begin(), events.end(), [](const PixelEvent& e) { return e.brighter; }),
      2145);
  EXPECT_EQ(events.back().time, 311175);
  EXPECT_EQ(count_view(events, kNMnistSensor).ne(0).sum().item<int64_t>(), 805);
  EXPECT_EQ(nmnist_bytes(events), read_all(path));
}

}  // namespace
}  // namespace altprop::data::testing
