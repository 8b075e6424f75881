#include "altprop/theory/network_form.h"

#include <cmath>

namespace altprop::theory {

HiddenForm::HiddenForm(Psi psi, bool exact, int64_t repetitions, const Draws& draws)
    : psi_(psi), exact_(exact) {
  std::vector<Tensor> k, z, beta, b, y;
  for (int64_t r = 0; r < repetitions; ++r) {
    const Draw one = draws(r);
    k.push_back(one.x.mm(one.x.t()));
    z.push_back(one.x.mm(one.w));
    beta.push_back(one.beta);
    b.push_back(one.b);
    y.push_back(one.y);
  }
  k_ = at::stack(k);
  z_ = at::stack(z);
  beta_ = at::stack(beta);
  b_ = at::stack(b);
  y_ = at::stack(y);
  look();
}

void HiddenForm::look() {
  psi_z_ = value(psi_, z_);
  e_ = psi_z_.bmm(beta_.unsqueeze(2))
           .squeeze(2)
           .div_(std::sqrt(static_cast<double>(beta_.size(1))))
           .sub_(y_);
}

void HiddenForm::step(double eta, double lambda) {
  const double rate = eta / std::sqrt(static_cast<double>(beta_.size(1)));
  const Tensor back = (exact_ ? beta_ : b_).unsqueeze(1);
  const Tensor e = e_.unsqueeze(2);
  const Tensor credit = psi_ == Psi::Linear ? e.bmm(back)
                        : psi_ == Psi::Relu ? at::threshold_backward(e.bmm(back), z_, 0)
                                            : slope(psi_, z_).mul_(e).mul_(back);
  // psi(Z) before Z moves: for linear psi it is Z itself.
  const Tensor gradient = psi_z_.transpose(1, 2).bmm(e).squeeze(2);
  beta_.mul_(1 - eta * lambda).sub_(gradient, rate);
  move(credit, rate);
  look();
}

void HiddenForm::move(const Tensor& credit, double rate) { z_.baddbmm_(k_, credit, 1, -rate); }

Tensor HiddenForm::alignment() const {
  return (b_ * beta_).sum(1) / (b_.norm(2, 1) * beta_.norm(2, 1));
}

Tensor HiddenForm::gram() const { return psi_z_.bmm(psi_z_.transpose(1, 2)) / beta_.size(1); }

void HiddenForm::keep(const Tensor& index) {
  for (Tensor* t : {&k_, &z_, &beta_, &b_, &y_}) *t = t->index_select(0, index);
  look();
}

FullForm::FullForm(Psi psi, bool exact, int64_t repetitions, const Draws& draws)
    : HiddenForm(psi, exact, repetitions, draws) {
  std::vector<Tensor> x, w;
  for (int64_t r = 0; r < repetitions; ++r) {
    const Draw one = draws(r);
    x.push_back(one.x);
    w.push_back(one.w);
  }
  x_ = at::stack(x);
  w_ = at::stack(w);
}

void FullForm::move(const Tensor& credit, double rate) {
  w_.baddbmm_(x_.transpose(1, 2), credit, 1, -rate);
  at::bmm_out(z_, x_, w_);
}

void FullForm::keep(const Tensor& index) {
  x_ = x_.index_select(0, index);
  w_ = w_.index_select(0, index);
  HiddenForm::keep(index);
}

}  // namespace altprop::theory
