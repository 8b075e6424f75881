// Loops that a device repeats, with a CPU that does so, and CUDA graphs over a runtime that only
// takes notes.
#include "altprop/tensor/recorded_steps.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "altprop/tensor/cuda_graph.h"
#include "support/replaying_cpu.h"

namespace altprop {
namespace {

/// x <- 0.9 x + sin(y), y <- the old x; the way in which they are written differs.
struct Pair {
  Tensor x = at::linspace(0, 1, 5, at::kDouble), y = at::ones({5}, at::kDouble), memory;
  int64_t calls = 0;
  bool in_place = true, remembers = false;

  void step() {
    ++calls;
    if (!memory.defined() || !remembers) memory = y.sin();
    const Tensor next = x * 0.9 + memory;
    if (in_place) {
      y.copy_(x);
      x.copy_(next);
    } else {
      y = x;
      x = next;
    }
    if (remembers) memory = y.sin();  // for the next step
  }
  RepeatedStep loop() {
    return {.step = [this] { step(); },
            .carried =
                [this] {
                  return std::vector<Tensor*>{&x, &y};
                },
            .forget = [this] { memory = Tensor(); }};
  }
};

TEST(RecordedSteps, GiveWhatTheCallsGive) {
  const test::ReplayingCpu device;
  for (const bool in_place : {true, false})
    for (const bool remembers : {false, true})
      for (const int64_t steps : {0, 1, 5, 13, 14, 15, 16, 40, 41}) {
        Pair called, repeated;
        called.in_place = repeated.in_place = in_place;
        called.remembers = repeated.remembers = remembers;
        for (int64_t t = 0; t < steps; ++t) called.step();
        RecordedSteps recorded;
        const int64_t before = test::ReplayingCpu::replays();
        recorded.run(steps, repeated.loop());
        EXPECT_TRUE(at::equal(called.x, repeated.x)) << steps << in_place << remembers;
        EXPECT_TRUE(at::equal(called.y, repeated.y)) << steps << in_place << remembers;
        if (steps < 13) {
          EXPECT_EQ(repeated.calls, steps) << "not worth recording";
        } else {
          EXPECT_LE(repeated.calls, 8) << "the device repeats the rest";
          EXPECT_GE(test::ReplayingCpu::replays() - before, 3);
        }
        for (int64_t t = 0; t < 3; ++t) {  // goes on by itself
          called.step();
          repeated.step();
        }
        EXPECT_TRUE(at::equal(called.x, repeated.x)) << steps << in_place << remembers;
      }
}

TEST(RecordedSteps, AreCalledWhereNothingCanRepeatThem) {
  Pair pair;
  RecordedSteps recorded;
  recorded.run(40, pair.loop());
  EXPECT_EQ(pair.calls, 40);
  const test::ReplayingCpu device;
  RecordedSteps::allow(false);
  recorded.run(40, pair.loop());
  RecordedSteps::allow(true);
  EXPECT_EQ(pair.calls, 80);
}

TEST(RecordedSteps, ThatCannotBeRecordedAreCalledAndSaySo) {
  const test::ReplayingCpu device;
  Pair called, repeated;
  double seen = 0;
  RepeatedStep loop = repeated.loop();
  loop.step = [&] {
    repeated.step();
    seen = repeated.x.sum().item<double>();  // reads a number back
  };
  for (int64_t t = 0; t < 40; ++t) called.step();
  RecordedSteps recorded;
  recorded.run(40, loop);
  EXPECT_TRUE(at::equal(called.x, repeated.x));
  EXPECT_EQ(seen, called.x.sum().item<double>());
  EXPECT_NE(RecordedSteps::take_notice().find("could not be recorded"), std::string::npos);
  EXPECT_EQ(RecordedSteps::take_notice(), "") << "is said once";
  const int64_t recordings = test::ReplayingCpu::recordings();
  recorded.run(40, loop);
  EXPECT_EQ(test::ReplayingCpu::recordings(), recordings) << "and not tried again";
  RecordedSteps::allow(true);
}

std::vector<std::string> notes;
int failing = 0;

const CudaRuntime kNotes{
    .begin_capture = [](void*, int) { return notes.push_back("begin"), 0; },
    .end_capture =
        [](void*, void** graph) {
          *graph = &notes;
          return notes.push_back("end"), 0;
        },
    .instantiate =
        [](void** executable, void*, unsigned long long) {
          if (failing) return failing;
          *executable = &notes;
          return notes.push_back("instantiate"), 0;
        },
    .launch = [](void*, void*) { return notes.push_back("launch"), 0; },
    .destroy_executable = [](void*) { return notes.push_back("destroy executable"), 0; },
    .destroy_graph = [](void*) { return notes.push_back("destroy graph"), 0; },
    .last_error = [] { return notes.push_back("forget error"), 0; },
    .text_of_error = [](int) { return "out of memory"; }};

TEST(CudaGraph, CallsTheRuntimeInOrder) {
  notes.clear();
  failing = 0;
  {
    const auto graph = make_cuda_graph(kNotes, []() -> void* { return nullptr; });
    EXPECT_THROW(graph->replay(), c10::Error) << "nothing is recorded";
    graph->capture_begin({0, 0}, at::GraphCaptureMode::Default);
    graph->capture_end();
    graph->replay();
    graph->replay();
  }
  EXPECT_EQ(notes, (std::vector<std::string>{"begin", "end", "instantiate", "launch", "launch",
                                             "destroy executable", "destroy graph"}));
}

TEST(CudaGraph, SaysWhatTheRuntimeSays) {
  notes.clear();
  failing = 2;
  const auto graph = make_cuda_graph(kNotes, []() -> void* { return nullptr; });
  graph->capture_begin({0, 0}, at::GraphCaptureMode::Default);
  try {
    graph->capture_end();
    FAIL() << "an error of the runtime is lost";
  } catch (const c10::Error& e) {
    EXPECT_NE(std::string(e.what()).find("out of memory"), std::string::npos);
  }
  EXPECT_EQ(notes.back(), "forget error");
}

TEST(CudaGraph, AreThereOnlyWithARuntime) {
  offer_cuda_graphs();
  EXPECT_EQ(at::has_graph_impl(c10::DeviceType::CUDA), CudaRuntime::loaded() != nullptr);
}

}  // namespace
}  // namespace altprop
