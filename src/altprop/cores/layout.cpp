#include "altprop/cores/layout.h"

#include <numeric>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/limits.h"

namespace altprop::cores {

namespace {

/// A window's places along one side of `extent`.
int64_t places_along(int64_t extent, int64_t size, int64_t stride) {
  return (extent - size) / stride + 1;
}

struct Side {
  int64_t extent, size, places;
};

Side side_of(int64_t extent, Window window, const std::string& what) {
  const int64_t size = window.size > 0 ? window.size : extent;
  if (window.stride < 1) throw Refusal("cores", "the stride has to be at least 1");
  if (size > extent)
    throw Refusal(
        "cores", text::cat("a window of ", size, " does not fit ", what, " of ", extent, " a side"),
        text::cat("use at most ", extent));
  return {extent, size, places_along(extent, size, window.stride)};
}

/// How many of the windows along a side hold this place.
int64_t windows_around(const Side& side, int64_t stride, int64_t place) {
  int64_t out = 0;
  for (int64_t k = 0; k < side.places; ++k)
    out += place >= k * stride && place < k * stride + side.size;
  return out;
}

/// Gives each core a group of neurons for every window of the next layer that it will be in.
void deal_groups(CoreLayout& layout, int64_t group, Window next) {
  if (group < 1) throw Refusal("cores", "a core has at least one neuron");
  const Side down = side_of(layout.rows, next, "the grid of cores"),
             across = side_of(layout.columns, next, "the grid of cores");
  for (int64_t core = 0; core < layout.size(); ++core) {
    const int64_t groups = windows_around(down, next.stride, core / layout.columns) *
                           windows_around(across, next.stride, core % layout.columns);
    if (groups == 0)
      throw Refusal("cores",
                    text::cat("no window of the next layer holds core ", core,
                              ", whose outputs would be lost"),
                    "choose another next=");
    layout.groups.push_back(groups);
    layout.neurons.push_back(groups * group);
  }
}

}  // namespace

int64_t CoreLayout::outputs() const {
  return std::accumulate(neurons.begin(), neurons.end(), int64_t{0});
}

int64_t CoreLayout::first_output(int64_t core) const {
  return std::accumulate(neurons.begin(), neurons.begin() + core, int64_t{0});
}

bool CoreLayout::each_input_once() const {
  std::vector<char> read(static_cast<size_t>(inputs), 0);
  for (const auto& of_core : axons)
    for (const int64_t input : of_core)
      if (input >= 0 && read[static_cast<size_t>(input)]++) return false;
  return true;
}

void CoreLayout::check() const {
  if (axons.empty() || axons.size() != neurons.size() || axons.size() != groups.size() ||
      rows * columns != size())
    throw Refusal("cores", "axons, neurons, groups and grid are not those of equally many cores");
  for (int64_t core = 0; core < size(); ++core) {
    const size_t at = static_cast<size_t>(core);
    const std::string where = text::cat("core ", core);
    const int64_t count = static_cast<int64_t>(axons[at].size());
    if (count < 1 || count > kMostAxons)
      throw Refusal(where,
                    text::cat("it would have ", count, " axons, and a core has 1 to ", kMostAxons),
                    "use a smaller patch, or fewer neurons in the layer in front");
    if (count != axons_each())
      throw Refusal(where, text::cat("it has ", count, " axons, but core 0 has ", axons_each()),
                    "give all cores of a layer equally many; -1 is a silent one");
    if (neurons[at] < 1 || neurons[at] > kMostNeurons)
      throw Refusal(
          where,
          text::cat("it would have ", neurons[at], " neurons, and a core has 1 to ", kMostNeurons),
          "use fewer neurons for each core that it serves");
    if (groups[at] < 1 || neurons[at] % groups[at] != 0)
      throw Refusal(where, text::cat(neurons[at], " neurons are no ", groups[at], " equal groups"));
    for (int64_t axon = 0; axon < count; ++axon)
      if (const int64_t input = axons[at][static_cast<size_t>(axon)]; input < -1 || input >= inputs)
        throw Refusal(text::cat(where, ", axon ", axon),
                      text::cat("it reads input ", input, ", but there are ", inputs));
  }
}

CoreLayout over_inputs(const std::vector<int64_t>& shape, Window patch, int64_t group,
                       Window next) {
  CoreLayout out;
  out.inputs = Spec{shape}.numel();
  if (patch.size == 0) {
    if (out.inputs > kMostAxons)
      throw Refusal(
          "cores",
          text::cat("one core over all ", out.inputs, " inputs would need as many axons, ",
                    "and a core has at most ", kMostAxons),
          shape.size() == 3 ? "give a patch, as in cores 64 patch=16 stride=12"
                            : "use fewer inputs, or an image of shape [C, H, W]");
    out.axons.emplace_back();
    for (int64_t i = 0; i < out.inputs; ++i) out.axons[0].push_back(i);
  } else {
    if (shape.size() != 3)
      throw Refusal("cores",
                    text::cat("a patch is one of an image [C, H, W], but the input has "
                              "shape ",
                              shape_text(shape)),
                    "leave patch out");
    const int64_t channels = shape[0], height = shape[1], width = shape[2];
    const Side down = side_of(height, patch, "an image"),
               across = side_of(width, patch, "an image");
    if (channels * patch.size * patch.size > kMostAxons)
      throw Refusal("cores",
                    text::cat("a patch of ", patch.size, " x ", patch.size, " pixels",
                              channels > 1 ? text::cat(" in ", channels, " channels") : "",
                              " would need ", channels * patch.size * patch.size,
                              " axons, and a core has at most ", kMostAxons),
                    "use a smaller patch");
    out.rows = down.places;
    out.columns = across.places;
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t c = 0; c < out.columns; ++c) {
        std::vector<int64_t>& axons = out.axons.emplace_back();
        for (int64_t k = 0; k < channels; ++k)
          for (int64_t i = 0; i < patch.size; ++i)
            for (int64_t j = 0; j < patch.size; ++j)
              axons.push_back((k * height + r * patch.stride + i) * width + c * patch.stride + j);
      }
  }
  deal_groups(out, group, next);
  out.check();
  return out;
}

CoreLayout over_cores(const CoreLayout& before, Window window, int64_t group, Window next) {
  CoreLayout out;
  out.inputs = before.outputs();
  const Side down = side_of(before.rows, window, "the grid of cores in front"),
             across = side_of(before.columns, window, "the grid of cores in front");
  out.rows = down.places;
  out.columns = across.places;
  std::vector<int64_t> served(before.neurons.size(), 0);
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t c = 0; c < out.columns; ++c) {
      std::vector<int64_t>& axons = out.axons.emplace_back();
      for (int64_t i = 0; i < down.size; ++i)
        for (int64_t j = 0; j < across.size; ++j) {
          const int64_t source = (r * window.stride + i) * before.columns + c * window.stride + j;
          const size_t at = static_cast<size_t>(source);
          const int64_t each = before.neurons[at] / before.groups[at],
                        first = before.first_output(source) + served[at] * each;
          for (int64_t k = 0; k < each && served[at] < before.groups[at]; ++k)
            axons.push_back(first + k);
          ++served[at];
        }
    }
  for (size_t at = 0; at < served.size(); ++at)
    if (served[at] != before.groups[at])
      throw Refusal(
          "cores",
          text::cat("core ", at, " of the layer in front has ", before.groups[at],
                    before.groups[at] == 1 ? " group" : " groups", " of neurons, but ", served[at],
                    " cores read it, and a neuron has "
                    "one destination"),
          text::cat("write next=", down.size, "/", window.stride, " in the layer in front"));
  deal_groups(out, group, next);
  out.check();
  return out;
}

}  // namespace altprop::cores
