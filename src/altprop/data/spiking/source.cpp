// Recordings of event cameras: N-MNIST's folders of files (Orchard et al. 2015, arXiv 1507.07629),
// or glyphs that the program draws and lets move in front of an ideal sensor.
#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/glyph_pen.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"
#include "altprop/data/spiking/event_stream.h"
#include "altprop/data/spiking/moving_sensor.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

constexpr int64_t kDigits = 10;
constexpr int64_t kMostRecordings = 1'000'000;

struct Events : Reader {
  std::string folder, layout = "n-mnist", view = "first-spike";
  double span = 320;
  int64_t train = 2000, test = 500, seed = 0;

  void declare(Options& o) override {
    o.text("events.folder", folder,
           {"folder of the recordings, with Train/0 to Train/9 and Test/0 to Test/9; relative to "
            "data-dir if not found as given; empty: n-mnist in data-dir"});
    o.choice(
        "events.layout", layout, {"n-mnist", "moving-glyphs"},
        {"n-mnist: its folders of .bin files; moving-glyphs: drawn and watched by the program, no "
         "files"});
    o.choice("events.view", view, {"first-spike", "count"},
             {"what a sample is, for darkening and brightening of each pixel: how early it first "
              "changes, as latency decodes it, or how often"});
    o.number("events.span", span, {.min = 0, .max = 1e9, .min_excluded = true},
             {"first-spike: time from a recording's first event on that is looked at", "ms"});
    o.integer("events.train", train, {.min = 1, .max = 1e6},
              {"moving-glyphs: training samples", "samples"});
    o.integer("events.test", test, {.min = 0, .max = 1e6},
              {"moving-glyphs: test samples", "samples"});
    o.integer("events.seed", seed, {.min = 0}, {"moving-glyphs: seed of all samples"});
  }

  Splits read(const std::string& data_folder) const override {
    if (layout == "moving-glyphs") {
      if (!folder.empty())
        throw UsageError(
            "option 'events.folder' has no effect with events.layout moving-glyphs, which are "
            "drawn by "
            "the program; leave one of them out");
      const Stream stream = Stream(static_cast<uint64_t>(seed)).at("moving-glyphs");
      return {drawn(train, stream.at("train")), {}, drawn(test, stream.at("test"))};
    }
    const std::string root = path_in(data_folder, folder.empty() ? "n-mnist" : folder);
    return {recorded(root, "Train"), {}, recorded(root, "Test")};
  }

 private:
  Tensor seen(const std::vector<PixelEvent>& events) const {
    return view == "count" ? count_view(events, kNMnistSensor)
                           : first_spike_view(events, kNMnistSensor, span * 1e3);
  }

  Dataset empty_set(int64_t n, const std::string& name) const {
    Dataset out;
    out.name = name;
    out.classes = kDigits;
    const bool counts = view == "count";
    out.inputs = at::zeros({n, 2, kNMnistSensor.height, kNMnistSensor.width},
                           counts ? at::kByte : at::kFloat);
    out.targets = at::empty({n}, at::kLong);
    // Intensities are delivered as they are, from 0 to 1.
    out.scale = counts ? 1.0 / 255 : 1;
    out.mean = {0, 0};
    out.stddev = {1, 1};
    return out;
  }

  Dataset drawn(int64_t n, const Stream& stream) const {
    Dataset out = empty_set(n, "events (moving-glyphs)");
    out.class_names = glyph_names();
    auto* labels = out.targets.data_ptr<int64_t>();
    at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
      GlyphPen pen({.noise = 0, .occlusion = 0});
      const MovingSensor camera;
      std::vector<uint8_t> picture(kGlyphSide * kGlyphSide);
      for (int64_t i = begin; i < end; ++i) {
        const Stream sample = stream.at(i);
        labels[i] = sample.at("class").integer_at(0, kGlyphClasses);
        std::fill(picture.begin(), picture.end(), uint8_t{0});
        pen.draw(labels[i], sample, picture.data());
        out.inputs[i].copy_(seen(camera.watch(picture.data(), kGlyphSide)));
      }
    });
    return out;
  }

  /// The files of a class, in the order of their names.
  static std::vector<std::string> files_in(const std::filesystem::path& folder) {
    std::error_code failed;
    std::vector<std::string> out;
    std::filesystem::directory_iterator here(folder, failed);
    if (failed)
      throw Error(
          "'" + folder.string() +
          "' cannot be read as a folder of recordings; set events.folder to the one that has "
          "Train/0 to Train/9 and Test/0 to Test/9 in it");
    for (; here != std::filesystem::directory_iterator(); here.increment(failed)) {
      if (failed) throw Error("the folder '" + folder.string() + "' cannot be read to its end");
      if (here->path().extension() != ".bin") continue;
      out.push_back(here->path().string());
      if (static_cast<int64_t>(out.size()) > kMostRecordings)
        throw Error(text::cat("'", folder.string(), "' has more than ", kMostRecordings, " files"));
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  Dataset recorded(const std::string& root, const char* part) const {
    std::vector<std::pair<std::string, int64_t>> files;
    for (int64_t digit = 0; digit < kDigits; ++digit)
      for (std::string& path : files_in(std::filesystem::path(root) / part / std::to_string(digit)))
        files.emplace_back(std::move(path), digit);
    if (files.empty())
      throw Error("'" + root + "/" + part +
                  "' has no recordings, files whose names end in .bin, in its folders 0 to 9");
    Dataset out =
        empty_set(static_cast<int64_t>(files.size()), text::cat("events (", root, "/", part, ")"));
    for (size_t i = 0; i < files.size(); ++i) {
      out.inputs[static_cast<int64_t>(i)].copy_(seen(read_nmnist(files[i].first)));
      out.targets[static_cast<int64_t>(i)] = files[i].second;
    }
    return out;
  }
};

const Register registered_events{
    {"events",
     {},
     "recordings of event cameras, N-MNIST's layout (34x34 pixels, 10 classes), or glyphs that the "
     "program lets move",
     [] { return std::make_unique<Events>(); }}};

}  // namespace
}  // namespace altprop::data
