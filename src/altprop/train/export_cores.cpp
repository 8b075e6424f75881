#include "altprop/train/export_cores.h"

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/cores/engine.h"
#include "altprop/cores/mapping_file.h"
#include "altprop/cores/member.h"
#include "altprop/train/deploy_run.h"

namespace altprop {

namespace {

/// Spikes that go in and come out of one member for some images, all ticks of one after the other.
struct Recorded {
  std::vector<std::vector<int>> inputs;
  std::string in, out, classes;  ///< lines
};

/// Spikes of some images in one tick.
struct TickOfSpikes {
  std::vector<std::vector<int>> inputs, votes;  ///< by image
};

TickOfSpikes spikes_of_tick(const cores::Engine& engine, const cores::Mapping& drawn,
                            const ImagesForCores& images, const CoresExport& settings,
                            cores::Encoding encoding, int64_t tick) {
  // The spikes that a member sees go by its place among 64.
  const int64_t place = settings.member % cores::kMembersAtOnce;
  const uint64_t key = cores::spike_key(static_cast<uint64_t>(settings.seed),
                                        settings.member / cores::kMembersAtOnce, tick);
  const int64_t n = images.values.size(0), inputs = drawn.inputs();
  const Tensor chance =
      cores::chances(images.values, encoding, tick, settings.ticks).view({n, inputs});
  Tensor counts = at::zeros({place + 1, n, drawn.classes}, at::kInt),
         votes = at::empty({place + 1, n, static_cast<int64_t>(drawn.votes.size())}, at::kByte);
  engine.run(chance, images.ids, key, counts, &votes);
  TickOfSpikes out;
  std::vector<uint64_t> words(static_cast<size_t>(inputs));
  for (int64_t b = 0; b < n; ++b) {
    cores::draw_spikes(key, images.ids[b].item<int64_t>(),
                       chance.const_data_ptr<int32_t>() + b * inputs, inputs, words.data());
    std::vector<int> &spikes = out.inputs.emplace_back(), &fired = out.votes.emplace_back();
    for (const uint64_t word : words) spikes.push_back(static_cast<int>(word >> place & 1));
    const Tensor row = votes[place][b];
    for (int64_t v = 0; v < row.size(0); ++v) fired.push_back(row[v].item<int>());
  }
  return out;
}

Recorded recorded_spikes(const cores::Mapping& drawn, const ImagesForCores& images,
                         const CoresExport& settings) {
  const auto engine = cores::make_engine(cores::EngineKind::Popcount, drawn);
  for (int64_t m = 0; m <= settings.member % cores::kMembersAtOnce; ++m) engine->add(drawn);
  const cores::Encoding encoding = cores::DeploySettings{.input = settings.input}.encoding();
  std::vector<TickOfSpikes> ticks;
  for (int64_t tick = 0; tick < settings.ticks; ++tick)
    ticks.push_back(spikes_of_tick(*engine, drawn, images, settings, encoding, tick));
  Recorded out;
  for (int64_t b = 0; b < images.values.size(0); ++b) {
    for (TickOfSpikes& tick : ticks) {
      out.in += cores::spike_text(tick.inputs[static_cast<size_t>(b)]) + "\n";
      out.out += cores::spike_text(tick.votes[static_cast<size_t>(b)]) + "\n";
      out.inputs.push_back(std::move(tick.inputs[static_cast<size_t>(b)]));
    }
    out.classes += std::to_string(images.targets[b].item<int64_t>()) + "\n";
  }
  return out;
}

}  // namespace

std::string export_cores(EarlierRun& run, const std::filesystem::path& folder,
                         const CoresExport& settings) {
  run.restore();
  const cores::Mapping drawn = cores::draw_member(
      cores::mapping_of(run.experiment->net()), static_cast<uint64_t>(settings.seed),
      settings.member,
      settings.leak == "round" ? cores::LeakMode::Round : cores::LeakMode::Stochastic);
  Recorded recorded;
  if (settings.images > 0) {
    const data::Dataset& test = run.experiment->data().test;
    if (test.empty()) throw UsageError("the data set has no test images; leave --images out");
    recorded = recorded_spikes(drawn, images_for_cores(test, settings.images), settings);
  }
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::string tail;
  if (settings.as == "ranc") {
    const cores::RancFiles files = cores::ranc_files(drawn, recorded.inputs);
    write_atomically(folder / "input.json", files.input);
    write_atomically(folder / "config.json", files.config);
    tail = settings.ticks == 1
               ? text::cat("; the spikes of image k are in line k + ", files.layers,
                           " of the simulator's output, both counted from 0")
               : text::cat("; the spikes of tick t of image k are in line ", settings.ticks,
                           " k + t + ", files.layers,
                           " of the simulator's output, all counted from 0");
  } else {
    write_atomically(folder / "mapping.json", cores::mapping_text(drawn));
  }
  if (settings.images > 0) {
    write_atomically(folder / "inputs.txt", recorded.in);
    write_atomically(folder / "outputs.txt", recorded.out);
    write_atomically(folder / "classes.txt", recorded.classes);
  }
  return text::cat(drawn.cores.size(), " cores of ", run.file.string(), " in ", folder.string(),
                   tail);
}

}  // namespace altprop
