// Damaged checkpoints: bytes that changed, and entries that do not belong to the run.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstring>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/rules/registry.h"
#include "altprop/train/checkpoint.h"
#include "altprop/train/trainer.h"
#include "data/helpers.h"
#include "support/device.h"
#include "support/fuzz.h"

namespace altprop {
namespace {

using data::testing::TempFolder;

/// A small run: 12 samples in batches of 5, two epochs.
struct SmallRun {
  data::Splits data =
      data::from_tensors(Stream(1).at("x").normal({12, 6}), at::arange(12).remainder(4), {}, {}, 4);
  Graph net = network("mlp:6-5-4:relu:norm=batch");
  std::unique_ptr<Learner> rule = make_rule("kolen-pollack");
  std::unique_ptr<Loss> loss = make_loss("cross-entropy");
  std::unique_ptr<Trainer> trainer;

  SmallRun() {
    net.to(test::test_device(), at::kFloat);
    initialise(net, Initialiser("xavier"), Stream(1));
    RunSettings settings;
    settings.epochs = 2;
    settings.batch = 5;
    settings.probe_every = 0;
    settings.device = test::test_device().str();
    settings.optimizer.kind = "adam";
    trainer = std::make_unique<Trainer>(net, *rule, *loss, data, settings);
  }
  TensorMap state() {
    TensorMap map;
    trainer->state(StateIO::saving(map));
    return map;
  }
};

/// The state after two of the six steps.
TensorMap good_state() {
  SmallRun run;
  for (int64_t i = 0; i < 2; ++i)
    run.trainer->train_on(
        data::Loader(run.data.train, {.batch = 5, .device = test::test_device()}).at(0, i));
  return run.state();
}

/// The entries in which two checkpoints differ.
std::string difference(const TensorMap& a, const TensorMap& b) {
  std::string out;
  for (const auto& [name, tensor] : a)
    if (const auto other = b.find(name); other == b.end() || !at::equal(tensor, other->second))
      out += name + " is " + text::cat(tensor, "; ");
  for (const auto& [name, tensor] : b)
    if (!a.count(name)) out += name + " is missing; ";
  return out;
}

TEST(Fuzz, CheckpointBytes) {
  TempFolder folder;
  const TensorMap good = good_state();
  const std::string path = folder / "checkpoint.safetensors";
  save_checkpoint(path, good, {{"altprop", "{}"}});
  fuzz::run({.name = "checkpoint.safetensors",
             .seeds = {data::testing::read_all(path)},
             .read =
                 [&](const std::string& input) {
                   data::testing::write(path, input);
                   const Checkpoint found = load_checkpoint(path);
                   // What is accepted is what was saved, to the last bit.
                   EXPECT_EQ(difference(found.tensors, good), "");
                   EXPECT_EQ(found.texts, (Texts{{"altprop", "{}"}}));
                 },
             .rounds = 2500});
}

// ---- entries

int64_t drawn(const Stream& draw, uint64_t i, size_t n) {
  return draw.integer_at(i, static_cast<int64_t>(n));
}

Tensor changed(const Tensor& tensor, const Stream& draw, const TensorMap& all) {
  static const at::ScalarType kTypes[] = {at::kFloat, at::kDouble, at::kLong, at::kInt,
                                          at::kByte,  at::kBool,   at::kHalf, at::kComplexFloat};
  switch (draw.integer_at(0, 7)) {
    case 0:
      return tensor.to(kTypes[drawn(draw, 1, std::size(kTypes))]);
    case 1:
      return tensor.unsqueeze(0);
    case 2:
      return tensor.flatten().slice(0, 0, drawn(draw, 1, static_cast<size_t>(tensor.numel()) + 1));
    case 3:
      return std::next(all.begin(), drawn(draw, 1, all.size()))->second;
    case 4:
      return at::full_like(
          tensor, tensor.is_floating_point() ? (draw.integer_at(1, 2) ? NAN : INFINITY) : -1);
    case 5: {
      const auto bits = static_cast<int64_t>(draw.bits(1) >> draw.integer_at(2, 64));
      return tensor.is_floating_point()
                 ? tensor * 1e30
                 : at::full_like(tensor, bits, tensor.options().dtype(at::kLong));
    }
    default:
      return at::empty({0}, tensor.options());
  }
}

TEST(Fuzz, CheckpointEntries) {
  const TensorMap good = good_state();
  int64_t accepted = 0, refused = 0, diverged = 0;
  for (int64_t i = 0; i < 1500; ++i) {
    TensorMap map = good;
    const Stream stream = Stream(3).at(i);
    for (int64_t c = 0; c <= stream.integer_at(0, 2); ++c) {
      const Stream draw = stream.at(c);
      const auto entry = std::next(map.begin(), drawn(draw, 10, map.size()));
      SCOPED_TRACE(entry->first);
      if (draw.integer_at(11, 6) == 0) {
        map.erase(entry);
      } else {
        entry->second = changed(entry->second, draw, good);
      }
    }
    SmallRun run;
    try {
      run.trainer->state(StateIO::loading(map));
      ++accepted;
      if (run.trainer->position().epoch < 2) run.trainer->run();  // comes to an end
    } catch (const Diverged&) {
      ++diverged;
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find("c10"), std::string::npos) << error.what();
    } catch (const std::exception& other) {
      ADD_FAILURE() << "input " << i << ": " << other.what();
    }
  }
  EXPECT_GT(accepted, 50);
  EXPECT_GT(refused, 700);
  EXPECT_GT(diverged, 0) << "infinite statistics of batch norm show only in the values";
}

TEST(Checkpoint, RefusesAPositionOutsideOfTheData) {
  for (const auto& [name, value] : {std::pair<std::string, int64_t>{"position.batch", 4},
                                    {"position.pass", 9},
                                    {"position.epoch", -1},
                                    {"position.step", -7}}) {
    TensorMap map = good_state();
    map[name] = at::scalar_tensor(value, at::kLong);
    SmallRun run;
    EXPECT_THROW(run.trainer->state(StateIO::loading(map)), Error) << name;
  }
}

TEST(Checkpoint, RefusesWeightsThatAreNotFinite) {
  TensorMap map = good_state();
  map["net.fc2.weight"].view(-1)[3] = INFINITY;
  SmallRun run;
  const std::string message =
      data::testing::error_of([&] { run.trainer->state(StateIO::loading(map)); });
  EXPECT_NE(message.find("fc2.weight"), std::string::npos) << message;
}

}  // namespace
}  // namespace altprop
