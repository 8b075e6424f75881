#include "altprop/base/text.h"
#include "altprop/weight_flow/generator.h"
#include "altprop/weight_flow/skew.h"

namespace altprop::weight_flow {

namespace {

Tensor symmetric(const Tensor& m) { return (m + m.t()).mul_(0.5); }

/// Of a step: N as it is symmetric, Q W and H = W^T Q W.
struct IsoKept {
  Tensor q, n, qw, h;
};

class IsoGenerator : public Generator {
 public:
  void build(int64_t d) override {
    const std::string scheme = "normal:" + text::from_number(1 / std::sqrt(static_cast<double>(d)));
    for (auto [param, name] : {std::pair(&q_, "Q"), std::pair(&n_, "N")}) {
      *param = std::make_shared<Param>(name, at::zeros({d, d}));
      (*param)->init = scheme;
    }
  }
  std::vector<ParamPtr> params() const override { return {q_, n_}; }

  Tensor omega(double, const Tensor& w, std::any& kept) const override {
    IsoKept k{symmetric(q_->value), symmetric(n_->value), {}, {}};
    k.qw = at::mm(k.q, w);
    k.h = at::mm(w.t(), k.qw);
    const Tensor hn = at::mm(k.h, k.n);
    kept = std::move(k);
    return hn - hn.t();
  }

  std::unique_ptr<Pull> pull() const override;

  Tensor push(const Tensor& w, const std::any& kept, const Tensor& dw,
              const ParamTangents& of) const override {
    const auto& k = std::any_cast<const IsoKept&>(kept);
    const Tensor half = at::mm(dw.t(), k.qw);
    Tensor dh = half + half.t();
    if (const Tensor dq = of(*q_); dq.defined()) dh.add_(at::mm(w.t(), at::mm(symmetric(dq), w)));
    Tensor out = at::mm(dh, k.n);
    if (const Tensor dn = of(*n_); dn.defined()) out.addmm_(k.h, symmetric(dn));
    return out - out.t();
  }

  int64_t multiply_adds() const override {
    const int64_t d = q_->value.size(0);
    return 3 * d * d * d;
  }

 private:
  ParamPtr q_, n_;
};

/// H gets G_H = by_n + by_n^T, Q the sum of W G_H W^T.
class IsoPull : public Generator::Pull {
 public:
  explicit IsoPull(const Tensor& like) : n_(at::zeros_like(like)) {}

  void through(const Tensor& w, const std::any& kept, const Tensor& covector,
               Tensor& w_gradient) override {
    const auto& k = std::any_cast<const IsoKept&>(kept);
    const Tensor by_n = at::mm(covector, k.n);
    const Tensor h_gradient = by_n + by_n.t();
    w_gradient.addmm_(k.qw, h_gradient, 1, 2);
    n_.addmm_(k.h, covector);
    w_.push_back(w);
    w_h_.push_back(at::mm(w, h_gradient));
  }

  std::vector<Tensor> gradients() const override {
    // One product of [d, d evaluations] matrices.
    const Tensor q = w_.empty() ? at::zeros_like(n_) : at::mm(at::cat(w_h_, 1), at::cat(w_, 1).t());
    return {q, n_ + n_.t()};
  }

 private:
  Tensor n_;
  std::vector<Tensor> w_, w_h_;
};

std::unique_ptr<Generator::Pull> IsoGenerator::pull() const {
  return std::make_unique<IsoPull>(q_->value);
}

}  // namespace

std::unique_ptr<Generator> iso_generator() { return std::make_unique<IsoGenerator>(); }

}  // namespace altprop::weight_flow
