// LeNet in the two forms of the biotorch benchmark of feedback rules (Sanfiz & Akrout 2021, arXiv
// 2108.13446), the first of which is LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998) with max
// pooling.
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"

namespace altprop {

namespace {

struct LeNet : Architecture {
  std::string activation = "relu", pool = "max";
  bool bias = true;
  void declare(Options& o) override {
    o.checked_text("activation", activation, "", check_activation, {"function of all layers"});
    o.choice("pool", pool, {"max", "average"}, {"kind of pooling"});
    o.flag("bias", bias, {"learnt biases"});
  }

 protected:
  void conv(Builder& net, int64_t out, int64_t kernel, int64_t padding = 0) const {
    net.conv(out, {.kernel = kernel, .padding = padding, .bias = bias}).activation(activation);
  }
  void halve(Builder& net) const { pool == "max" ? net.max_pool(2) : net.average_pool(2); }
};

struct LeNetMnist : LeNet {
  Graph make(const InputInfo& info) const override {
    Builder net(info.input_shape, info.limits);
    // The network was made for MNIST's 28 x 28 digits in a frame of 32 x 32.
    const bool frame = info.input_shape.size() == 3 && info.input_shape[1] == 28;
    conv(net, 6, 5, frame ? 2 : 0);
    halve(net);
    conv(net, 16, 5);
    halve(net);
    conv(net, 120, 5);
    net.linear(84, bias).activation(activation).linear(info.outputs(), bias);
    return net.finish();
  }
};

struct LeNetCifar : LeNet {
  Graph make(const InputInfo& info) const override {
    Builder net(info.input_shape, info.limits);
    conv(net, 32, 3);
    halve(net);
    conv(net, 64, 3);
    halve(net);
    conv(net, 128, 3);
    net.global_average_pool();
    net.linear(256, bias).activation(activation).linear(info.outputs(), bias);
    return net.finish();
  }
};

const RegisterArchitecture mnist{
    {.name = "lenet-mnist",
     .aliases = {"lenet5", "lenet-5", "lenet"},
     .summary =
         "conv5 6, pool, conv5 16, pool, conv5 120, fc 84, fc; 28x28 images are padded to 32x32",
     .grammar = "lenet-mnist[:activation][:option=value,...]",
     .example = "lenet-mnist",
     .source = "LeCun, Bottou, Bengio, Haffner 1998; Sanfiz, Akrout 2021, arXiv 2108.13446",
     .input_shape = {1, 28, 28},
     .classes = 10,
     .positional = {"activation"},
     .make = [] { return std::make_unique<LeNetMnist>(); },
     .order = 10}};

const RegisterArchitecture cifar{
    {.name = "lenet-cifar",
     .summary = "conv3 32, pool, conv3 64, pool, conv3 128, global average pool, fc 256, fc",
     .grammar = "lenet-cifar[:activation][:option=value,...]",
     .example = "lenet-cifar",
     .source = "Sanfiz, Akrout 2021, arXiv 2108.13446",
     .input_shape = {3, 32, 32},
     .classes = 10,
     .positional = {"activation"},
     .make = [] { return std::make_unique<LeNetCifar>(); },
     .order = 11}};

}  // namespace

}  // namespace altprop
