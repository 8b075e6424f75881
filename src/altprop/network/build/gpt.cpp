// Transformers that predict the next token of a sequence.
//
//   x = table[token] + position
//   x = x + out(attention(qkv(norm(x)))),  x = x + down(f(up(norm(x))))      for each block
//   scores = output(norm(x))
//
// Norms in front of what they feed and initial values as GPT-2 has them (Radford et al. 2019): all
// matrices N(0, 0.02^2), those that end a branch N(0, 0.02^2 / (2 blocks)).
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/attention.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/rms_norm.h"

namespace altprop {

namespace {

constexpr double kInitialDeviation = 0.02;

struct Gpt : Architecture {
  std::string sizes, activation = "gelu", norm = "layer";
  int64_t heads = 4, widening = 4, length = 0;
  double dropout = 0;
  bool bias = true, tied = false;

  void declare(Options& o) override {
    o.checked_text("sizes", sizes, "tokens-width x blocks-tokens",
                   [](const std::string& s) { parse_layer_sizes(s, 3); },
                   {"number of different tokens, width of each block, number of different tokens: "
                    "*-128x4-* has four blocks"});
    o.integer("heads", heads, {.min = 1, .max = 4096},
              {"heads of attention, which divide the width"});
    o.integer("widening", widening, {.min = 1, .max = 64},
              {"hidden units of a block's two layers, in widths"});
    o.checked_text("activation", activation, "", check_activation, {"function of these units"});
    o.choice("norm", norm, {"layer", "rms"}, {"norm in front of each branch"});
    o.number("dropout", dropout, {.min = 0, .max = 0.999},
             {"probability that a value is dropped while training, behind the sum with the "
              "positions and at the end of each branch"});
    o.integer("length", length, {.min = 0, .max = 100000},
              {"steps of a sequence; 0: as the data have", "steps"});
    o.flag("bias", bias, {"learnt biases"});
    o.flag("tied", tied, {"the table of tokens is the output layer's matrix, too"});
  }

  Graph make(const InputInfo& info) const override {
    if (sizes.empty())
      fail("the sizes are missing, write for example gpt:*-128x4-*:heads=4");
    const std::vector<Size> list = parse_layer_sizes(sizes, 3);
    const int64_t width = list[1].value, blocks = static_cast<int64_t>(list.size()) - 2;
    for (int64_t i = 1; i <= blocks; ++i)
      if (list[static_cast<size_t>(i)].value != width)
        fail("all blocks have one width, as in *-128x4-*");
    if (width % heads) fail(text::cat(heads, " heads do not divide a width of ", width));
    const int64_t steps = steps_of(info), tokens = tokens_of(list.front().value, info),
                  outputs = outputs_of("gpt", list.back().value, info);
    if (tied && tokens != outputs)
      fail(text::cat("tied=true wants as many outputs as tokens, but they are ", outputs, " and ",
                     tokens));
    Builder net = Builder::without_input(info.limits);
    net.from(net.input({steps}, "", Dtype::Int64));
    const OpPtr table = embedding(tokens, width);
    net.from(net.add(table, {net.here()}, "tokens",
                     static_cast<double>(tokens) * static_cast<double>(width)));
    table->params()[0]->init = normal(kInitialDeviation);
    net.then(offset(Over::All, kInitialDeviation), "positions");
    drop(net);
    const double last = kInitialDeviation / std::sqrt(2.0 * static_cast<double>(blocks));
    for (int64_t i = 1; i <= blocks; ++i) {
      const std::string block = text::cat("block", i, ".");
      net.scope(block);
      branch(net, [&] {
        product(net, 3 * width, block + "qkv", kInitialDeviation, bias);
        net.then(attention({.heads = heads, .causal = true, .packed = true}));
        product(net, width, block + "out", last, bias);
      });
      branch(net, [&] {
        product(net, widening * width, block + "up", kInitialDeviation, bias);
        net.activation(activation);
        product(net, width, block + "down", last, bias);
      });
    }
    net.scope("");
    net.then(normalised(), "norm");
    if (tied)
      net.then(std::make_shared<Linear>(table->params()[0], nullptr), "output");
    else
      product(net, outputs, "output", kInitialDeviation, false);
    return net.finish();
  }

 private:
  [[noreturn]] static void fail(const std::string& why) {
    throw UsageError("network 'gpt': " + why);
  }
  static std::string normal(double deviation) {
    return "normal:" + text::from_number(deviation);
  }

  int64_t steps_of(const InputInfo& info) const {
    const std::vector<int64_t>& shape = info.input_shape;
    if (shape.empty()) {
      if (!length) fail("the steps of a sequence are not known here; write length=64");
      return length;
    }
    if (!info.vocabulary || shape.size() != 1)
      fail("it reads tokens, but the data are real numbers; take data of text");
    if (length && length != shape[0])
      fail(text::cat("length=", length, ", but the data have sequences of ", shape[0],
                     " steps; leave it out, or set the data's length"));
    if (!info.per_step)
      fail("it predicts a token at each step, but the data have one target for a whole sequence");
    return shape[0];
  }

  int64_t tokens_of(int64_t stated, const InputInfo& info) const {
    if (info.vocabulary && stated && stated != info.vocabulary)
      fail(text::cat("it takes ", stated, " different tokens, but the data have ", info.vocabulary,
                     "; write gpt:*-... to follow the data"));
    if (!info.vocabulary && !stated)
      fail("'*' stands for the tokens of the data, which are not known here; write their number");
    return info.vocabulary ? info.vocabulary : stated;
  }

  OpPtr normalised() const { return norm == "rms" ? rms_norm() : layer_norm(); }
  void drop(Builder& net) const {
    if (dropout > 0) net.dropout(dropout);
  }
  void product(Builder& net, int64_t out, const std::string& name, double deviation,
               bool with_bias) const {
    const OpPtr op = altprop::linear(out, with_bias);
    net.from(net.add(op, {net.here()}, name, linear_weights(out, net.shape())));
    op->params()[0]->init = normal(deviation);
  }
  /// norm, what `layers` adds, and the sum with what came in.
  template <class Layers>
  void branch(Builder& net, Layers layers) const {
    const int before = net.here();
    net.then(normalised());
    layers();
    drop(net);
    net.join(add(2), {net.here(), before});
  }
};

const RegisterArchitecture gpt{
    {.name = "gpt",
     .summary = "transformer that predicts the next token at each step",
     .grammar = "gpt:tokens-widthxblocks-tokens[:option=value,...]",
     .example = "gpt:65-128x4-65:heads=4,length=64",
     .source = "Vaswani et al. 2017, arXiv 1706.03762; norms and initial values as in Radford et "
               "al. 2019",
     .positional = {"sizes"},
     .make = [] { return std::make_unique<Gpt>(); },
     .order = 62}};

}  // namespace

}  // namespace altprop
