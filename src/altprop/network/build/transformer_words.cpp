// The words of transformers: attention, norms by the root mean square, and learnt values that all
// samples share.
#include "altprop/base/text.h"
#include "altprop/network/build/words.h"
#include "altprop/network/ops/attention.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/rms_norm.h"

namespace altprop {

namespace {

constexpr OptionRange kStartRange{.min = 0, .max = 100};

/// What a learnt value has entries for.
struct OverWord : Word {
  std::string over = "last";
  void declare_over(Options& o) {
    o.choice("over", over, {"last", "channels", "all"},
             {"one learnt number for each entry of a sample's last dimension, of its first, or for "
              "each of its numbers"});
  }
  Over chosen() const {
    return over == "last" ? Over::Last : over == "channels" ? Over::Channels : Over::All;
  }
};

struct GainWord : OverWord {
  void declare(Options& o) override { declare_over(o); }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(gain(chosen()), in, name);
  }
};

struct OffsetWord : OverWord {
  double deviation = 0;
  void declare(Options& o) override {
    declare_over(o);
    o.number("deviation", deviation, kStartRange,
             {"standard deviation of what it starts from; 0: zeros"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(offset(chosen(), deviation), in, name);
  }
};

struct PrependWord : Word {
  int64_t count = 1;
  double deviation = 0.02;
  void declare(Options& o) override {
    o.integer("count", count, {.min = 1, .max = 1e6}, {"how many entries"});
    o.number("deviation", deviation, kStartRange,
             {"standard deviation of what they start from; 0: zeros"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(prepend(count, deviation), in, name,
                   static_cast<double>(count) *
                       static_cast<double>(net.graph().node(in[0]).spec.numel()));
  }
};

struct RmsNormWord : Word {
  double eps = 1e-5;
  void declare(Options& o) override {
    o.number("eps", eps, {.min = 0, .min_excluded = true}, {"added to the mean square"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(rms_norm(eps), in, name);
  }
};

template <bool packed>
struct AttentionWord : Word {
  AttentionSettings s{.packed = packed};
  void declare(Options& o) override {
    o.integer("heads", s.heads, {.min = 1, .max = 4096}, {"the width is divided among them"});
    o.flag("causal", s.causal, {"a step sees itself and those before it"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    if (!packed && in.size() != 3)
      throw UsageError("its inputs are queries, keys and values");
    return net.add(attention(s), in, name);
  }
};

template <class W>
WordEntry transformer_word(std::string name, std::string summary,
                           std::vector<std::string> positional, bool several_inputs = false) {
  return {.name = std::move(name),
          .aliases = {},
          .summary = std::move(summary),
          .positional = std::move(positional),
          .several_inputs = several_inputs,
          .make = [] { return std::make_unique<W>(); },
          .order = 200};
}

const RegisterWord registered_gain{transformer_word<GainWord>(
    "gain", "product with learnt numbers that all samples share", {"over"})};
const RegisterWord registered_offset{transformer_word<OffsetWord>(
    "offset", "sum with learnt numbers that all samples share", {"over"})};
const RegisterWord registered_prepend{transformer_word<PrependWord>(
    "prepend", "learnt entries in front of those of each sample", {"count"})};
const RegisterWord registered_rms_norm{
    transformer_word<RmsNormWord>("rms-norm", "layer normalisation without the mean", {"eps"})};
const RegisterWord registered_attention{transformer_word<AttentionWord<false>>(
    "attention", "scaled dot-product attention of queries, keys and values", {"heads"}, true)};
const RegisterWord registered_self_attention{transformer_word<AttentionWord<true>>(
    "self-attention", "the same of one input, which has the three one behind the other",
    {"heads"})};

}  // namespace

}  // namespace altprop
