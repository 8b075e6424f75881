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

  void pull(double, const Tensor& w, const std::any& kept, const Tensor& covector,
            std::vector<Tensor>& gradients, Tensor& w_gradient) const override {
    const auto& k = std::any_cast<const IsoKept&>(kept);
    const Tensor by_n = at::mm(covector, k.n), by_h = at::mm(k.h, covector);
    const Tensor h_gradient = by_n + by_n.t();
    gradients[0].addmm_(at::mm(w, h_gradient), w.t());
    gradients[1].add_(by_h).add_(by_h.t());
    w_gradient.addmm_(k.qw, h_gradient, 1, 2);
  }

  Tensor push(double, const Tensor& w, const std::any& kept, const Tensor& dw,
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

}  // namespace

std::unique_ptr<Generator> iso_generator() { return std::make_unique<IsoGenerator>(); }

}  // namespace altprop::weight_flow
