#include "altprop/theory/reduced_form.h"

#include <cmath>

namespace altprop::theory {

ReducedForm::ReducedForm(int64_t repetitions, const Draws& draws) {
  std::vector<Tensor> m, k, y;
  for (int64_t r = 0; r < repetitions; ++r) {
    const Draw one = draws(r);
    n_ = one.x.size(0);
    p_ = one.w.size(1);
    const Tensor rows = at::cat({one.x.mm(one.w), one.b.unsqueeze(0), one.beta.unsqueeze(0)});
    m.push_back(rows.mm(rows.t()));
    k.push_back(at::constant_pad_nd(one.x.mm(one.x.t()), {0, 2, 0, 2}));
    y.push_back(one.y);
  }
  m.insert(m.end(), k.begin(), k.end());
  matrices_ = at::stack(m);
  y_ = at::stack(y);
  state_ = at::zeros({2 * repetitions, n_ + 2}, y_.options());
  state_.narrow(0, 0, repetitions).select(1, n_ + 1).fill_(1);
  look();
}

void ReducedForm::look() {
  const int64_t r = y_.size(0);
  const double root = std::sqrt(static_cast<double>(p_));
  products_ = matrices_.bmm(state_.unsqueeze(2)).squeeze(2);
  const Tensor mc = products_.narrow(0, 0, r), ks = products_.narrow(0, r, r).narrow(1, 0, n_);
  e_ = at::addcmul(mc.narrow(1, 0, n_), ks, mc.narrow(1, n_, 1), -1 / root).div_(root).sub_(y_);
}

void ReducedForm::step(double eta, double lambda) {
  const int64_t r = y_.size(0);
  Tensor c = state_.narrow(0, 0, r), s = state_.narrow(0, r, r).narrow(1, 0, n_);
  const Tensor ks = products_.narrow(0, r, r).narrow(1, 0, n_);
  c.mul_(1 - eta * lambda);
  c.narrow(1, 0, n_).sub_(e_, eta / std::sqrt(static_cast<double>(p_)));
  c.select(1, n_).add_((ks * e_).sum(1), eta / static_cast<double>(p_));
  s.add_(e_, eta);
  look();
}

Tensor ReducedForm::alignment() const {
  const int64_t r = y_.size(0);
  const Tensor mc = products_.narrow(0, 0, r);
  const Tensor beta = (state_.narrow(0, 0, r) * mc).sum(1).sqrt();
  const Tensor b = matrices_.narrow(0, 0, r).select(1, n_).select(1, n_).sqrt();
  return mc.select(1, n_) / (beta * b);
}

Tensor ReducedForm::gram() const {
  // (A - K s b^T / sqrt p)(A - K s b^T / sqrt p)^T / p
  const int64_t r = y_.size(0);
  const Tensor m = matrices_.narrow(0, 0, r);
  const Tensor ks = products_.narrow(0, r, r).narrow(1, 0, n_) / std::sqrt(static_cast<double>(p_));
  const Tensor cross = m.select(1, n_).narrow(1, 0, n_).unsqueeze(2) * ks.unsqueeze(1);
  const Tensor bb = m.select(1, n_).select(1, n_).view({r, 1, 1});
  return (m.narrow(1, 0, n_).narrow(2, 0, n_) - cross - cross.transpose(1, 2) +
          bb * ks.unsqueeze(2) * ks.unsqueeze(1)) /
         p_;
}

void ReducedForm::keep(const Tensor& index) {
  const Tensor both = at::cat({index, index + y_.size(0)});
  matrices_ = matrices_.index_select(0, both);
  state_ = state_.index_select(0, both);
  y_ = y_.index_select(0, index);
  look();
}

}  // namespace altprop::theory
