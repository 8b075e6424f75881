#include "altprop/weight_flow/generator.h"
#include "altprop/weight_flow/perceptrons.h"

namespace altprop::weight_flow {

namespace {

class GatedGenerator : public Generator {
 public:
  explicit GatedGenerator(const Settings& settings) : perceptrons_(settings) {}
  void build(int64_t d) override {
    d_ = d;
    perceptrons_.build(d, d * (d - 1) / 2);
    const Tensor pairs = at::triu_indices(d, d, 1, at::kLong);
    above_ = pairs[0] * d + pairs[1];
  }
  std::vector<ParamPtr> params() const override { return perceptrons_.params(); }

  Tensor omega(double t, const Tensor& w, std::any& kept) const override {
    Perceptrons::Kept k;
    const Tensor out = skew(perceptrons_.run(t, w, k));
    kept = std::move(k);
    return out;
  }

  // Entry ij above the diagonal is u, and ji is -u.
  std::unique_ptr<Pull> pull() const override {
    struct Through : Pull {
      const GatedGenerator& of;
      Perceptrons::Pull perceptrons;
      explicit Through(const GatedGenerator& of) : of(of), perceptrons(of.perceptrons_) {}
      void through(const Tensor&, const std::any& kept, const Tensor& covector,
                   Tensor& w_gradient) override {
        perceptrons.through(std::any_cast<const Perceptrons::Kept&>(kept),
                            covector.reshape(-1).index_select(0, of.above_on(covector)).mul_(2),
                            w_gradient);
      }
      std::vector<Tensor> gradients() const override { return perceptrons.gradients(); }
    };
    return std::make_unique<Through>(*this);
  }

  Tensor push(const Tensor&, const std::any& kept, const Tensor& dw,
              const ParamTangents& of) const override {
    return skew(perceptrons_.push(std::any_cast<const Perceptrons::Kept&>(kept), dw, of));
  }

  int64_t multiply_adds() const override { return perceptrons_.multiply_adds(); }

 private:
  Tensor above_on(const Tensor& model) const { return above_.to(model.device()); }
  Tensor skew(const Tensor& entries) const {
    const Tensor upper = at::zeros({d_ * d_}, entries.options())
                             .index_copy_(0, above_on(entries), entries)
                             .view({d_, d_});
    return upper - upper.t();
  }

  Perceptrons perceptrons_;
  int64_t d_ = 0;
  Tensor above_;  ///< places of the entries above the diagonal in the flattened matrix, row by row
};

}  // namespace

std::unique_ptr<Generator> gated_generator(const Settings& settings) {
  return std::make_unique<GatedGenerator>(settings);
}

}  // namespace altprop::weight_flow
