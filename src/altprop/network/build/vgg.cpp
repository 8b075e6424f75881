// Stacks of convolutions and poolings in the manner of VGG (Simonyan & Zisserman 2014, arXiv
// 1409.1556), as used by difference reconstruction learning (conv-ELU-pool), deep convolutional
// equilibrium propagation (last convolution without padding) and error-based predictive coding.
#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"

namespace altprop {

namespace {

const std::vector<std::string> kWords = {"M", "A", "v"};

struct Vgg : Architecture {
  std::string layers, activation = "relu", norm = "none", head = "flatten", fc;
  int64_t kernel = 3;
  bool bias = true;
  double dropout = 0;

  void declare(Options& o) override {
    o.checked_text(
        "layers", layers, "channels and poolings joined by '-'",
        [](const std::string& s) {
          for (const Size& size : parse_sizes(s, kWords))
            if (size.value ? size.word == "M" || size.word == "A" : size.word == "v")
              throw UsageError("channels, M, A and channels followed by v, joined by '-'");
        },
        {"channels of a convolution that keeps the image's size (with v: without padding), M: max "
         "pooling 2x2, A: average pooling 2x2"});
    o.checked_text("activation", activation, "", check_activation, {"function of all layers"});
    o.choice("norm", norm, {"none", "batch"}, {"norm in front of each convolution's activation"});
    o.integer("kernel", kernel, {.min = 1, .max = 101}, {"size of the kernels"});
    o.flag("bias", bias, {"learnt biases"});
    o.choice("head", head, {"flatten", "gap"},
             {"what enters the linear layers: all values, or each channel's mean"});
    o.checked_text("fc", fc, "sizes joined by '-'",
                   [](const std::string& s) { parse_sizes(s, {}); },
                   {"sizes of hidden linear layers"});
    o.number("dropout", dropout, {.min = 0, .max = 0.999},
             {"probability that an input of a linear layer is dropped while training"});
  }

  Graph make(const InputInfo& info) const override {
    if (layers.empty())
      throw UsageError("network 'vgg': the layers are missing, write for example vgg:32-M-64-M");
    Builder net(info.input_shape, info.limits);
    for (const Size& size : parse_sizes(layers, kWords)) {
      if (size.value) {
        net.conv(size.value,
                 {.kernel = kernel, .padding = size.word == "v" ? 0 : kernel / 2, .bias = bias});
        if (norm == "batch") net.batch_norm();
        net.activation(activation);
      } else {
        size.word == "M" ? net.max_pool(2) : net.average_pool(2);
      }
    }
    if (head == "gap") net.global_average_pool();
    if (!fc.empty()) {
      for (const Size& size : parse_sizes(fc, {})) {
        if (dropout > 0) net.dropout(dropout);
        net.linear(size.value, bias).activation(activation);
      }
    }
    if (dropout > 0) net.dropout(dropout);
    return net.linear(info.outputs(), bias).finish();
  }
};

const RegisterArchitecture registered_vgg{
    {.name = "vgg",
     .summary = "convolutions and 2x2 poolings in a row, then linear layers",
     .grammar = "vgg:channels-M-...[:activation][:option=value,...]",
     .example = "vgg:128-M-128-M-256-M-256-M-512-M:elu",
     .source = "Simonyan, Zisserman 2014, arXiv 1409.1556",
     .input_shape = {3, 32, 32},
     .classes = 10,
     .positional = {"layers", "activation"},
     .make = [] { return std::make_unique<Vgg>(); },
     .order = 20}};

}  // namespace

}  // namespace altprop
