// Flows on images, in several scales: at each but the last, some flows, a squeeze of the image to
// half its height and width, as many flows again, and half of the channels leave the flow.
//
//   cnf-image:64x3:softplus:scales=3,blocks=2
//
// W. Grathwohl, R. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD", 2019, arXiv
// 1810.01367, and its code, after L. Dinh, J. Sohl-Dickstein, S. Bengio 2017, arXiv 1605.08803.
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/shape.h"
#include "altprop/ode/flow_network.h"
#include "altprop/ode/time_gate.h"

namespace altprop::ode {

namespace {

struct CnfImage : FlowNetwork {
  int64_t scales = 0, levels = 256;
  double alpha = 1e-6;

  CnfImage() {
    activation = "softplus";
    layer = "concat";
    trace = "rademacher";
    in_evaluation = "same";
    blocks = 2;
  }

  void declare(Options& o) override {
    declare_hidden(o, "channels");
    o.integer("scales", scales, {.min = 0, .max = 16},
              {"scales; 0: as many as there are until an image of less than four pixels", "scales",
               "Grathwohl et al. 2019, arXiv 1810.01367 (code)"});
    o.integer("levels", levels, {.min = 0, .max = 65536},
              {"whole numbers that a pixel may be, to which noise is added; 0: pixels are continuous",
               "levels"});
    o.number("alpha", alpha, {.min = 0, .max = 0.49, .min_excluded = true},
             {"pixels are moved into [alpha, 1 - alpha] before their logit is taken"});
    declare_flow(o);
  }

  std::shared_ptr<Graph> velocity(const std::vector<int64_t>& image, const SizeLimits& limits) const {
    Builder g = Builder::without_input(limits);
    const int z = g.input({image[0] * image[1] * image[2]}, "z"),
              t = g.graph().input(time_spec(), "t");
    g.from(z);
    g.then(reshape(image), "");
    const AddLayer add = timed(
        t, 1, [](Builder& net, int64_t out) { net.conv(out, {.kernel = 3, .padding = 1}); });
    for (const int64_t channels : hidden_sizes()) {
      add(g, channels);
      g.activation(activation);
    }
    add(g, image[0]);
    g.flatten();
    return std::make_shared<Graph>(g.finish());
  }

  /// How often height and width can be halved until one is less than four.
  static int64_t most_scales(const std::vector<int64_t>& image) {
    int64_t out = 0;
    for (int64_t h = image[1], w = image[2]; h >= 4 && w >= 4; h /= 2, w /= 2) ++out;
    return out;
  }

  Graph make(const InputInfo& info) const override {
    expect_usable("cnf-image", info);
    std::vector<int64_t> image = info.input_shape;
    if (image.size() != 3)
      throw UsageError("network 'cnf-image': it is for images of shape [channels, height, width], but "
                       "samples have shape " +
                       shape_text(image) + "; use cnf");
    const int64_t most = most_scales(image), n = scales == 0 ? std::max<int64_t>(1, most) : scales;
    for (int64_t k = 0, h = image[1], w = image[2]; k + 1 < n; ++k, h /= 2, w /= 2)
      if (h % 2 || w % 2 || h < 2 || w < 2)
        throw UsageError(text::cat("network 'cnf-image': ", n, " scales halve images of ", image[1],
                                   " x ", image[2], " ", n - 1,
                                   " times, which is not even at each; use fewer scales, or "
                                   "--image-size"));
    Builder net(image, info.limits);
    if (levels == 1)
      throw UsageError("network 'cnf-image': a pixel of one level says nothing; use levels=256 for "
                       "bytes, or 0");
    if (levels > 0) net.then(dequantise(levels), "noise");
    net.flatten();
    net.then(zero_channels(1), "log_density");
    net.then(logit(alpha), "logit");
    int64_t number = 0;
    const auto flows = [&] {
      for (int64_t k = 0; k < blocks; ++k)
        add_flow(net, velocity(image, info.limits), text::cat("ode", ++number));
    };
    for (int64_t scale = 1; scale <= n; ++scale) {
      flows();
      if (scale == n) break;
      net.then(squeeze(image), text::cat("squeeze", scale));
      image = {image[0] * 4, image[1] / 2, image[2] / 2};
      flows();
      image[0] /= 2;
      net.then(factor_out(image[0] * image[1] * image[2]), text::cat("out", scale));
    }
    return net.finish();
  }
};

const RegisterArchitecture registered_cnf_image{
    {.name = "cnf-image",
     .summary = "continuous normalising flow on images, in several scales",
     .grammar = "cnf-image:hidden[:activation][:option=value,...]",
     .example = "cnf-image:8x2:softplus:scales=2,blocks=1,solver=rk4,steps=2",
     .source = "Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud 2019, arXiv 1810.01367",
     .input_shape = {1, 8, 8},
     .positional = {"hidden", "activation"},
     .density = true,
     .make = [] { return std::make_unique<CnfImage>(); },
     .order = 61}};

}  // namespace

}  // namespace altprop::ode
