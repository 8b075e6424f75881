// What stands between the flows of network texts:
//
//   chain: dequantise, flatten, zero-channels, logit, ode{flow{reshape 1x8x8, conv 4 k=3 p=1, softplus,
//   conv 1 k=3 p=1, flatten}}, squeeze 1x8x8, factor-out 32, ode{flow{linear 32}}
#include "altprop/network/build/sizes.h"
#include "altprop/network/build/words.h"
#include "altprop/ode/bijection.h"
#include "altprop/ode/time_gate.h"

namespace altprop::ode {

namespace {

struct ZeroChannelsWord : Word {
  int64_t count = 1;
  void declare(Options& o) override {
    o.integer("count", count, {.min = 1, .max = 1e6},
              {"zeros behind the first dimension; one behind a vector is where a flow counts the "
               "change of log density",
               "channels"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(zero_channels(count), {in[0]}, name);
  }
};

struct DequantiseWord : Word {
  int64_t levels = 256;
  void declare(Options& o) override {
    o.integer("levels", levels, {.min = 2, .max = 65536},
              {"whole numbers that a value may be; noise between them is added", "levels"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(dequantise(levels), {in[0]}, name);
  }
};

struct LogitWord : Word {
  double alpha = 1e-6;
  void declare(Options& o) override {
    o.number("alpha", alpha, {.min = 0, .max = 0.49, .min_excluded = true},
             {"values in [0, 1] are moved into [alpha, 1 - alpha] before"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(logit(alpha), {in[0]}, name);
  }
};

struct SqueezeWord : Word {
  std::string written;
  std::vector<int64_t> image;
  void declare(Options& o) override {
    o.checked_text("image", written, "extents joined by x",
                   [this](const std::string& value) { image = parse_shape(value); },
                   {"shape of the image whose values the state is"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(squeeze(image), {in[0]}, name);
  }
};

struct FactorOutWord : Word {
  int64_t keep = 1;
  void declare(Options& o) override {
    o.integer("keep", keep, {.min = 1, .max = kLargestWidth},
              {"values that go on; the others leave the flow as normal ones", "values"});
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(factor_out(keep), {in[0]}, name);
  }
};

const RegisterWord registered_zero_channels_word{
    {.name = "zero-channels",
     .aliases = {},
     .summary = "zeros behind the values: room for what an ODE or a flow needs beside them",
     .positional = {"count"},
     .make = [] { return std::make_unique<ZeroChannelsWord>(); }}};
const RegisterWord registered_dequantise_word{
    {.name = "dequantise",
     .aliases = {},
     .summary = "uniform noise between whole numbers, in front of a flow",
     .positional = {"levels"},
     .make = [] { return std::make_unique<DequantiseWord>(); }}};
const RegisterWord registered_logit_word{{.name = "logit",
                                          .aliases = {},
                                          .summary = "values in [0, 1] to all numbers, in a flow",
                                          .positional = {"alpha"},
                                          .make = [] { return std::make_unique<LogitWord>(); }}};
const RegisterWord registered_squeeze_word{
    {.name = "squeeze",
     .aliases = {},
     .summary = "an image of a flow's values to half its height and width, and four times the channels",
     .positional = {"image"},
     .required = 1,
     .make = [] { return std::make_unique<SqueezeWord>(); }}};
const RegisterWord registered_factor_out_word{
    {.name = "factor-out",
     .aliases = {},
     .summary = "the last values of a flow leave it as normal ones",
     .positional = {"keep"},
     .required = 1,
     .make = [] { return std::make_unique<FactorOutWord>(); }}};

}  // namespace

}  // namespace altprop::ode
