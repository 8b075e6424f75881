// Residual networks (He, Zhang, Ren, Sun 2015, arXiv 1512.03385): the CIFAR form with depth 6n + 2
// and three stages of n blocks, and the ImageNet form with four stages for depths 18 and 34.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/shape.h"

namespace altprop {

namespace {

struct Stages {
  std::vector<int64_t> blocks;
  bool imagenet = false;
};

/// @throws UsageError with a clause saying which depths there are
Stages stages_of(int64_t depth) {
  if (depth == 18) return {{2, 2, 2, 2}, true};
  if (depth == 34) return {{3, 4, 6, 3}, true};
  const int64_t n = (depth - 2) / 6;
  if (n < 1 || depth != 6 * n + 2)
    throw UsageError("18, 34 or 6n + 2 (8, 14, 20, 26, 32, 44, 56, 110, ...)");
  return {{n, n, n}, false};
}

struct ResNet : Architecture {
  std::string depth = "20", activation = "relu", norm = "batch", shortcut = "default";
  int64_t width = 0;

  void declare(Options& o) override {
    o.checked_text("depth", depth, "18, 34 or 6n + 2",
                   [](const std::string& s) {
                     const auto number = text::to_integer(s);
                     stages_of(number && *number <= 1202 ? *number : 0);
                   },
                   {"number of layers with weights, shortcuts not counted; at most 1202"});
    o.checked_text("activation", activation, "", check_activation, {"function of all layers"});
    o.integer("width", width, {.min = 0, .max = 65536},
              {"channels of the first stage; 0: 16, or 64 for depths 18 and 34"});
    o.choice(
        "shortcut", shortcut, {"default", "A", "B"},
        {"where the shape changes: A takes every second position and adds zero channels, B is a "
         "1x1 convolution with norm; by default B for depths 18 and 34, else A",
         "", "He et al. 2015, arXiv 1512.03385"});
    o.choice("norm", norm, {"batch", "none"}, {"norm behind each convolution"});
  }

  void conv(Builder& net, int64_t out, int64_t kernel, int64_t stride) const {
    net.conv(out,
             {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = norm == "none"});
    if (norm == "batch") net.batch_norm();
  }

  void block(Builder& net, int64_t out, int64_t stride, bool option_b) const {
    const int before = net.here();
    const int64_t channels = net.shape()[0];
    conv(net, out, 3, stride);
    net.activation(activation);
    conv(net, out, 3, 1);
    const int residual = net.here();
    int shortcut = before;
    if (stride != 1 || out != channels) {
      net.from(before);
      if (option_b) {
        conv(net, out, 1, stride);
      } else {
        net.then(shortcut_a(stride, out));
      }
      shortcut = net.here();
    }
    net.join(add(2), {residual, shortcut}).activation(activation);
  }

  Graph make(const InputInfo& info) const override {
    const Stages stages = stages_of(*text::to_integer(depth));
    const bool option_b = shortcut == "default" ? stages.imagenet : shortcut == "B";
    int64_t channels = width ? width : stages.imagenet ? 64 : 16;
    Builder net(info.input_shape, info.limits);
    if (stages.imagenet && info.input_shape.size() == 3 && info.input_shape[1] >= 64) {
      conv(net, channels, 7, 2);
      net.activation(activation).max_pool(3, 2, 1);
    } else {
      conv(net, channels, 3, 1);
      net.activation(activation);
    }
    int number = 0;
    for (size_t stage = 0; stage < stages.blocks.size(); ++stage) {
      for (int64_t i = 0; i < stages.blocks[stage]; ++i) {
        net.scope(text::cat("block", ++number, "."));
        block(net, channels, stage > 0 && i == 0 ? 2 : 1, option_b);
      }
      channels *= 2;
    }
    return net.scope("").global_average_pool().linear(info.outputs(), true, "fc").finish();
  }
};

const RegisterArchitecture registered_resnet{
    {.name = "resnet",
     .summary = "residual network with two 3x3 convolutions per block",
     .grammar = "resnet-depth[:activation][:option=value,...]",
     .example = "resnet-20",
     .source = "He, Zhang, Ren, Sun 2015, arXiv 1512.03385",
     .input_shape = {3, 32, 32},
     .classes = 10,
     .positional = {"depth", "activation"},
     .make = [] { return std::make_unique<ResNet>(); },
     .order = 30}};

}  // namespace

}  // namespace altprop
