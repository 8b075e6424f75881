// Recurrent networks, unrolled over the steps of a sequence: one operation per product and step,
// all with the same weights, so that every rule sees the graph that backpropagation through time
// sees. The state before the first step is 0.
//
//   rnn    h_t = f(W_x x_t + b + W_h h_{t-1})                                       Elman 1990
//   lstm   gates_t from W_x x_t + b + W_h h_{t-1}, cell_t, h_t (network/ops/lstm.h)
//
// In Cut::Blocks the states are h_t, or gates_t, cell_t and h_t, as in the computation graphs of
// Millidge, Tschantz, Buckley 2020, arXiv 2006.04182.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/lstm.h"
#include "altprop/network/ops/sequence.h"

namespace altprop {

namespace {

/// What enters the network: T tokens out of `width`, or T vectors of `width` numbers.
struct Sequence {
  int64_t length = 0, width = 0;
  bool tokens = false;
};

struct Recurrent : Architecture {
  std::string sizes, activation = "tanh", output = "auto";
  int64_t length = 0, embedding = 0;
  bool bias = true;

  explicit Recurrent(std::string name) : name_(std::move(name)) {}

  void declare(Options& o) override {
    o.checked_text(
        "sizes", sizes, "in-hidden-...-out", [](const std::string& s) { parse_layer_sizes(s, 3); },
        {"number of different tokens or of values per step, of units in each hidden layer, of "
         "outputs"});
    if (name_ == "rnn")
      o.checked_text("activation", activation, "", check_activation,
                     {"function of the hidden units"});
    o.integer("length", length, {.min = 0, .max = 100000},
              {"steps of a sequence; 0: as the data have", "steps"});
    o.choice("output", output, {"auto", "each", "last"},
             {"outputs at each step or only at a sequence's last; auto: what the targets ask for"});
    o.integer("embedding", embedding, {.min = 0, .max = 1e6},
              {"width of a learnt vector for each token in front of the first layer; 0: tokens "
               "enter one-hot"});
    o.flag("bias", bias, {"learnt biases"});
  }

  Graph make(const InputInfo& info) const override {
    if (sizes.empty())
      throw UsageError("network '" + name_ + "': the sizes are missing, write for example " +
                       name_ + ":65-128-65:length=50");
    const std::vector<Size> list = parse_layer_sizes(sizes, 3);
    const int64_t outputs = outputs_of(name_, list.back().value, info);
    const Sequence in = sequence(list.front().value, info);
    const bool each =
        output == "each" || (output == "auto" && (info.per_step || info.input_shape.empty()));
    if (!info.input_shape.empty() && info.classes > 0 && info.per_step != each)
      fail(info.per_step ? "the data have a target for each step; write output=each"
                         : "the data have one target for a whole sequence; write output=last");
    Builder net = Builder::without_input(info.limits);
    int x = net.input(
        info.input_shape.empty() ? std::vector<int64_t>{in.length, in.width} : info.input_shape, "",
        in.tokens ? Dtype::Int64 : Dtype::Float);
    const int data = x;
    if (!in.tokens && net.shape() != std::vector<int64_t>{in.length, in.width})
      x = net.add(reshape({in.length, in.width}), {x}, "steps");
    std::vector<int> top = unroll(net, x, list, in);
    if (each) {
      net.from(net.add(stack(static_cast<int>(in.length)), top, "stack"));
    } else if (in.tokens) {
      top.insert(top.begin(), data);
      net.from(net.add(last_step(static_cast<int>(in.length)), top, "last"));
    } else {
      net.from(top.back());
    }
    return net.linear(outputs, bias, "output").finish();
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw UsageError("network '" + name_ + "': " + why);
  }

  Sequence sequence(int64_t stated, const InputInfo& info) const {
    const std::vector<int64_t>& shape = info.input_shape;
    Sequence in{length, stated, info.vocabulary > 0};
    if (shape.empty()) {
      if (!length) fail("the steps of a sequence are not known here; write length=50");
      if (!stated) fail("'*' stands for the width of the data, which is not known here; write it");
    } else if (in.tokens) {
      if (length && length != shape[0])
        fail(text::cat("length=", length, ", but the data have sequences of ", shape[0],
                       " steps; leave it out, or set the data's length"));
      if (stated && stated != info.vocabulary)
        fail(text::cat("it takes ", stated, " different tokens, but the data have ",
                       info.vocabulary, "; write ", name_, ":*-... to follow the data"));
      in.length = shape[0];
      in.width = info.vocabulary;
    } else {
      const int64_t values = Spec{shape}.numel();
      // Rows of vectors, or rows of a grey image.
      if (!length)
        in.length = shape.size() == 2                    ? shape[0]
                    : shape.size() == 3 && shape[0] == 1 ? shape[1]
                                                         : 0;
      if (!in.length)
        fail(text::cat("samples of shape ", shape_text(shape),
                       " say nothing about steps; write length=28 to cut them into 28"));
      in.width = values / in.length;
      if (values % in.length || (stated && stated != in.width))
        fail(text::cat("samples of ", values, " values are no ", in.length, " steps of ",
                       stated ? text::cat(stated, " values") : std::string("equal size"),
                       "; change the length or the first size"));
    }
    if (embedding && !in.tokens) fail("embedding is for tokens, but the data are real numbers");
    return in;
  }

  /// The values of the last hidden layer at every step.
  std::vector<int> unroll(Builder& net, int x, const std::vector<Size>& list,
                          const Sequence& in) const {
    struct Layer {
      std::string name;
      int64_t width, in;
      OpPtr input, recurrent;
      int h = -1, cell = -1;
    };
    const int64_t gates = name_ == "lstm" ? 4 : 1;
    std::vector<Layer> layers;
    int64_t before = in.tokens && embedding ? embedding : in.width;
    for (size_t l = 1; l + 1 < list.size(); ++l) {
      Layer layer{text::cat(name_, l), list[l].value, before};
      const bool one_hot = l == 1 && in.tokens && !embedding;
      layer.input = one_hot ? OpPtr(Embedding::one_hot(in.width, gates * layer.width, bias))
                            : linear(gates * layer.width, bias);
      layer.recurrent = linear(gates * layer.width, false);
      before = layer.width;
      layers.push_back(std::move(layer));
    }
    const OpPtr table = embedding ? altprop::embedding(in.width, embedding) : nullptr;
    // A parameter is named after its layer and not after the step that it was first used in.
    const auto add = [&](const OpPtr& op, int from, const std::string& at, const std::string& part,
                         int64_t rows, int64_t columns) {
      const bool fresh = op->params().empty();
      const double weights = static_cast<double>(rows) * static_cast<double>(columns);
      const int node = net.add(op, {from}, at, fresh ? weights : 0);
      if (fresh)
        for (const ParamPtr& p : op->params()) p->name = part + p->name.substr(p->name.rfind('.'));
      return node;
    };
    std::vector<int> out;
    for (int64_t t = 0; t < in.length; ++t) {
      const std::string step = text::cat("t", t + 1, ".");
      int here = net.add(take_step(t), {x}, step + "x");
      if (table) here = add(table, here, step + "embedding", "embedding", in.width, embedding);
      for (Layer& layer : layers) {
        const std::string at = layers.size() == 1 ? step : step + layer.name + ".";
        const int from_input =
            add(layer.input, here, at + "in", layer.name + ".input", layer.in, gates * layer.width);
        std::vector<int> drive = {from_input};
        if (t > 0)
          drive.push_back(add(layer.recurrent, layer.h, at + "rec", layer.name + ".recurrent",
                              layer.width, gates * layer.width));
        if (name_ == "lstm") {
          const int g = net.add(lstm_gates(static_cast<int>(drive.size())), drive, at + "gates");
          layer.cell =
              net.add(lstm_cell(t > 0 ? 2 : 1),
                      t > 0 ? std::vector<int>{g, layer.cell} : std::vector<int>{g}, at + "cell");
          layer.h = net.add(lstm_output(), {g, layer.cell}, at + "h");
        } else {
          const int sum = t > 0 ? net.add(altprop::add(2), drive, at + "sum") : from_input;
          layer.h = net.add(altprop::activation(activation), {sum}, at + "h");
        }
        here = layer.h;
      }
      out.push_back(here);
    }
    return out;
  }

  std::string name_;
};

const RegisterArchitecture rnn{
    {.name = "rnn",
     .summary = "recurrent layers, unrolled over the steps of a sequence",
     .grammar = "rnn:in-hidden-...-out[:activation][:option=value,...]",
     .example = "rnn:65-128-65:tanh:length=50",
     .source = "Elman 1990; as a graph of states: Millidge et al. 2020, arXiv 2006.04182",
     .positional = {"sizes", "activation"},
     .make = [] { return std::make_unique<Recurrent>("rnn"); },
     .order = 60}};

const RegisterArchitecture lstm{
    {.name = "lstm",
     .summary = "long short-term memory, unrolled over the steps of a sequence",
     .grammar = "lstm:in-hidden-...-out[:option=value,...]",
     .example = "lstm:65-128-65:length=50",
     .source = "Hochreiter & Schmidhuber 1997; as a graph of states: Millidge et al. 2020, arXiv "
               "2006.04182",
     .positional = {"sizes"},
     .make = [] { return std::make_unique<Recurrent>("lstm"); },
     .order = 61}};

}  // namespace

}  // namespace altprop
