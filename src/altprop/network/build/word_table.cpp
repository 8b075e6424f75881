// The operations that network texts can name.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/build/words.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/circular_pad.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/group_norm.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/move.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/shape.h"
#include "altprop/network/ops/softmax_pool.h"

namespace altprop {

namespace {

constexpr OptionRange kWidth{.min = 1, .max = 1e7};
constexpr OptionRange kExtent{.min = 1, .max = 1024};
constexpr OptionRange kPadding{.min = 0, .max = 1024};

struct LinearWord : Word {
  int64_t out = 1;
  bool bias = true;
  void declare(Options& o) override {
    o.integer("out", out, kWidth, {"number of outputs"});
    o.flag("bias", bias, {"add a learnt bias"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(linear(out, bias), in, name,
                   linear_weights(out, net.graph().node(in[0]).spec.shape));
  }
};

enum class ConvKind { Sequence, Image, Transposed };

template <ConvKind kind>
struct ConvWord : Word {
  ConvSettings s{.out = 1};
  void declare(Options& o) override {
    o.integer("out", s.out, kWidth, {"number of output channels"});
    o.integer("kernel", s.kernel, kExtent, {"height of the kernel, and its width"});
    if (kind != ConvKind::Sequence)
      o.integer("kernel_w", s.kernel_w, kPadding, {"width of the kernel; 0: as high as wide"});
    o.integer("stride", s.stride, kExtent, {"step between positions"});
    o.integer("padding", s.padding, kPadding, {"zeros around the input"});
    o.integer("dilation", s.dilation, kExtent, {"spacing of the taps"});
    o.integer("groups", s.groups, kWidth, {"independent groups of channels"});
    o.flag("bias", s.bias, {"add a learnt bias per channel"});
    if (kind == ConvKind::Transposed)
      o.integer("output_padding", s.output_padding, kPadding, {"extra rows and columns"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    ConvSettings counted = s;
    if (kind == ConvKind::Sequence) counted.kernel_w = 1;
    const OpPtr op = kind == ConvKind::Sequence ? conv1d(s)
                     : kind == ConvKind::Image  ? conv2d(s)
                                                : conv_transpose2d(s);
    return net.add(op, in, name, conv_weights(counted, net.graph().node(in[0]).spec.shape));
  }
};

struct DiagonalWord : Word {
  bool bias = true;
  void declare(Options& o) override { o.flag("bias", bias, {"add a learnt bias"}); }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(diagonal(bias), in, name,
                   2.0 * static_cast<double>(net.graph().node(in[0]).spec.numel()));
  }
};

template <OpPtr (*factory)(int64_t, int64_t, int64_t)>
struct PoolWord : Word {
  int64_t kernel = 2, stride = 0, padding = 0;
  void declare(Options& o) override {
    o.integer("kernel", kernel, kExtent, {"height and width of the window"});
    o.integer("stride", stride, kPadding, {"step between windows; 0: the kernel"});
    o.integer("padding", padding, kPadding, {"border around the input"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(factory(kernel, stride, padding), in, name);
  }
};

struct SoftmaxPoolWord : Word {
  int64_t kernel = 2;
  double temperature = 1;
  void declare(Options& o) override {
    o.integer("kernel", kernel, kExtent, {"height and width of the window"});
    o.number("temperature", temperature, {.min = 0, .min_excluded = true},
             {"0 is max pooling in the limit, infinity average pooling", "1", "arXiv 2209.00530"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(softmax_pool2d(kernel, temperature), in, name);
  }
};

struct GapWord : Word {
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(global_average_pool(), in, name);
  }
};

struct FlattenWord : Word {
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(flatten(), in, name);
  }
};

struct ReshapeWord : Word {
  std::vector<int64_t> shape;
  std::string written;
  void declare(Options& o) override {
    o.checked_text("shape", written, "extents joined by x",
                   [this](const std::string& value) { shape = parse_shape(value); },
                   {"shape of a sample"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(reshape(shape), in, name);
  }
};

struct PermuteWord : Word {
  std::vector<int64_t> order;
  std::string written;
  void declare(Options& o) override {
    o.checked_text("order", written, "dimensions joined by x",
                   [this](const std::string& value) { order = parse_shape(value); },
                   {"old numbers of a sample's dimensions in their new order, the first being 1"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(permute(order), in, name);
  }
};

struct SliceWord : Word {
  int64_t dim = 1, from = 0, count = 1, step = 1;
  void declare(Options& o) override {
    o.integer("dim", dim, {.min = 1, .max = 8}, {"dimension, the first of a sample being 1"});
    o.integer("from", from, {.min = 0, .max = 1e9}, {"the first entry that stays, from 0"});
    o.integer("count", count, {.min = 1, .max = 1e9}, {"how many entries stay"});
    o.integer("step", step, {.min = 1, .max = 1e9}, {"from one of them to the next"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(slice(dim, from, count, step), in, name);
  }
};

struct UpsampleWord : Word {
  int64_t scale = 2;
  std::string mode = "nearest";
  void declare(Options& o) override {
    o.integer("scale", scale, {.min = 1, .max = 64}, {"factor of height and width"});
    o.choice("mode", mode, {"nearest", "bilinear"}, {"how values are filled in"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(upsample2d(scale, mode), in, name);
  }
};

struct ShortcutWord : Word {
  int64_t stride = 2, out = 1;
  void declare(Options& o) override {
    o.integer("out", out, kWidth, {"channels of the output; the missing ones are zero"});
    o.integer("stride", stride, kExtent, {"which rows and columns are kept"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(shortcut_a(stride, out), in, name);
  }
};

template <bool sum>
struct JoinWord : Word {
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    if (in.size() < 2) throw UsageError("it joins at least two inputs");
    const int n = static_cast<int>(in.size());
    return net.add(sum ? altprop::add(n) : concat(n), in, name);
  }
};

struct MultiplyWord : Word {
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(multiply(), in, name);
  }
};

struct EmbeddingWord : Word {
  int64_t vocabulary = 1, width = 1, padding = -1;
  void declare(Options& o) override {
    o.integer("vocabulary", vocabulary, kWidth, {"number of symbols"});
    o.integer("width", width, kWidth, {"values per symbol"});
    o.integer("padding", padding, {.min = -1, .max = 1e7},
              {"symbol whose vector stays as it is drawn; -1: none"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(embedding(vocabulary, width, padding), in, name,
                   static_cast<double>(vocabulary) * static_cast<double>(width));
  }
};

struct BatchNormWord : Word {
  double eps = 1e-5, momentum = 0.1;
  void declare(Options& o) override {
    o.number("eps", eps, {.min = 0, .min_excluded = true}, {"added to the variance"});
    o.number("momentum", momentum, {.min = 0, .max = 1}, {"weight of the newest batch"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(batch_norm(eps, momentum), in, name);
  }
};

struct LayerNormWord : Word {
  double eps = 1e-5;
  bool all = false;
  void declare(Options& o) override {
    o.number("eps", eps, {.min = 0, .min_excluded = true}, {"added to the variance"});
    o.flag("all", all, {"over all values of a sample instead of the last dimension"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(layer_norm(eps, all), in, name);
  }
};

struct GroupNormWord : Word {
  int64_t groups = 8;
  double eps = 1e-5;
  void declare(Options& o) override {
    o.integer("groups", groups, kWidth, {"groups of channels, which they divide"});
    o.number("eps", eps, {.min = 0, .min_excluded = true}, {"added to the variance"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(group_norm(groups, eps), in, name);
  }
};

struct CircularPadWord : Word {
  int64_t padding = 1;
  void declare(Options& o) override {
    o.integer("padding", padding, kExtent, {"values of the other side added to each side"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(circular_pad(padding), in, name);
  }
};

struct DropoutWord : Word {
  double p = 0.5;
  void declare(Options& o) override {
    o.number("p", p, {.min = 0, .max = 0.999}, {"probability that a value is dropped"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(dropout(p), in, name);
  }
};

struct ScaleWord : Word {
  double factor = 1;
  void declare(Options& o) override {
    o.number("factor", factor, {}, {"what values are multiplied by"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(scale(factor), in, name);
  }
};

struct ActivationWord : Word {
  std::string function, parameter;
  explicit ActivationWord(std::string function) : function(std::move(function)) {}
  void declare(Options& o) override {
    o.text("parameter", parameter, {"parameter of the function, where it has one"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(activation(parameter.empty() ? function : function + "(" + parameter + ")"), in,
                   name);
  }
};

template <class W>
WordEntry word(std::string name, std::vector<std::string> aliases, std::string summary,
               std::vector<std::string> positional = {}, size_t required = 0,
               bool several_inputs = false) {
  return {std::move(name),
          std::move(aliases),
          std::move(summary),
          std::move(positional),
          required,
          several_inputs,
          [] { return std::make_unique<W>(); }};
}

std::vector<WordEntry> make_table() {
  std::vector<WordEntry> all = {
      word<LinearWord>("linear", {"fc"}, "affine map of the last dimension", {"out"}, 1),
      word<ConvWord<ConvKind::Image>>("conv", {"conv2d"}, "convolution of images",
                                      {"out", "kernel"}, 1),
      word<ConvWord<ConvKind::Sequence>>("conv1d", {}, "convolution of sequences",
                                         {"out", "kernel"}, 1),
      word<ConvWord<ConvKind::Transposed>>("conv-transpose", {"conv-transpose2d", "deconv"},
                                           "transposed convolution of images", {"out", "kernel"},
                                           1),
      word<DiagonalWord>("diagonal", {}, "one weight per value"),
      word<EmbeddingWord>("embedding", {}, "a learnt vector per symbol", {"vocabulary", "width"},
                          2),
      word<PoolWord<max_pool2d>>("maxpool", {"max-pool", "max-pool2d"}, "largest value of a window",
                                 {"kernel", "stride", "padding"}),
      word<PoolWord<average_pool2d>>("avgpool", {"average-pool", "average-pool2d"},
                                     "mean of a window", {"kernel", "stride", "padding"}),
      word<SoftmaxPoolWord>("softmaxpool", {"softmax-pool"}, "softmax-weighted mean of a window",
                            {"kernel", "temperature"}),
      word<PoolWord<max_pool1d>>("maxpool1d", {"max-pool1d"}, "largest value of a stretch",
                                 {"kernel", "stride", "padding"}),
      word<PoolWord<average_pool1d>>("avgpool1d", {"average-pool1d"}, "mean of a stretch",
                                     {"kernel", "stride", "padding"}),
      word<GapWord>("gap", {"global-average-pool"}, "mean of each channel over all positions"),
      word<FlattenWord>("flatten", {}, "one row per sample"),
      word<ReshapeWord>("reshape", {}, "another shape of as many values", {"shape"}, 1),
      word<PermuteWord>("permute", {}, "dimensions of a sample in another order", {"order"}, 1),
      word<SliceWord>("slice", {}, "some entries of a dimension", {"dim", "from", "count", "step"}, 3),
      word<UpsampleWord>("upsample", {"upsample2d"}, "larger images", {"scale", "mode"}),
      word<ShortcutWord>(
          "shortcut-a", {},
          "parameter-free shortcut: every stride-th position, zeros for new channels",
          {"out", "stride"}, 1),
      word<JoinWord<true>>("add", {"sum"}, "sum of the inputs", {}, 0, true),
      word<MultiplyWord>("multiply", {}, "product of two inputs", {}, 0, true),
      word<JoinWord<false>>("concat", {}, "inputs side by side along the channels", {}, 0, true),
      word<BatchNormWord>("batch-norm", {"bn"}, "batch normalisation", {"eps", "momentum"}),
      word<LayerNormWord>("layer-norm", {"ln"}, "layer normalisation", {"eps"}),
      word<GroupNormWord>("group-norm", {"gn"}, "layer normalisation of groups of channels",
                          {"groups", "eps"}),
      word<CircularPadWord>("circular-pad", {}, "periodic borders, for a convolution behind them",
                            {"padding"}),
      word<ScaleWord>("scale", {}, "multiplication by a constant", {"factor"}),
      word<DropoutWord>("dropout", {}, "values dropped at random while training", {"p"}),
  };
  for (const std::string& name : Activation::names())
    all.push_back({name, {}, "activation function", {"parameter"}, 0, false, [name] {
                     return std::make_unique<ActivationWord>(name);
                   }});
  return all;
}

}  // namespace

template <>
Registry<WordEntry>& registry_of() {
  static Registry<WordEntry> all = [] {
    Registry<WordEntry> words("operation");
    int order = 0;
    std::vector<WordEntry> table = make_table();
    for (WordEntry& entry : table) {
      entry.order = order++;
      words.add(std::move(entry));
    }
    return words;
  }();
  return all;
}

const std::vector<WordEntry>& word_entries() { return registry_of<WordEntry>().all(); }

}  // namespace altprop
