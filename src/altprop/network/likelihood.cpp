#include "altprop/network/likelihood.h"

#include <cmath>
#include <numbers>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

struct Likelihood : Loss {
  std::string name() const override { return "likelihood"; }
  bool of_flows() const override { return true; }
  std::string help() const override {
    return "negative log likelihood of a sample under a normalising flow, in nats; no targets";
  }
  Tensor value(const Tensor& output, const Tensor&) const override {
    const int64_t d = values_in(output);
    return output.narrow(1, 0, d)
        .square()
        .sum(1)
        .add_(double(d) * std::log(2 * std::numbers::pi))
        .mul_(0.5)
        .add_(output.select(1, d));
  }
  Tensor gradient(const Tensor& output, const Tensor&) const override {
    Tensor out = output.clone();
    out.select(1, values_in(output)).fill_(1);
    return out;
  }
  Tensor curvature(const Tensor& output, const Tensor&, const Tensor& direction) const override {
    Tensor out = direction.clone();
    out.select(1, values_in(output)).zero_();
    return out;
  }
  Tensor right(const Tensor&, const Tensor&) const override { return {}; }
  /// The log density of the sample, [B, 1].
  Tensor link(const Tensor& output) const override { return value(output, {}).neg_().unsqueeze(1); }
  void admit(const std::vector<int64_t>& output, const Tensor& targets) const override {
    if (output.size() != 1 || output[0] < 2)
      throw Refusal("likelihood",
                    "it takes the values of a flow and the change of their log density, but the "
                    "output has shape " +
                        shape_text(output),
                    "use a cnf: network");
    if (targets.is_floating_point() && targets.numel() > 0)
      throw Refusal("likelihood",
                    "it looks at no target, but the data have values as targets, which would be "
                    "left unseen",
                    "read the data with csv.task or npy.task unlabelled");
  }

 private:
  static int64_t values_in(const Tensor& output) {
    if (output.dim() != 2 || output.size(1) < 2)
      throw UsageError(
          "the loss likelihood takes outputs [B, d + 1] of a flow, but this one has shape " +
          shape_text(output.sizes()));
    return output.size(1) - 1;
  }
};

}  // namespace

std::unique_ptr<Loss> make_likelihood() { return std::make_unique<Likelihood>(); }

}  // namespace altprop
