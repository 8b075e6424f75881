#include "altprop/weight_flow/perceptrons.h"

#include <cmath>

#include "altprop/base/text.h"
#include "altprop/weight_flow/weight_flow.h"

namespace altprop::weight_flow {

namespace {

ParamPtr drawn(const std::string& name, IntArrayRef shape, double deviation) {
  auto out = std::make_shared<Param>(name, at::zeros(shape));
  if (deviation > 0) out->init = "normal:" + text::from_number(deviation);
  return out;
}

}  // namespace

void Perceptrons::build(int64_t d, int64_t outputs) {
  const int64_t inputs = (sees_weights() ? d * d : 0) + (sees_time() ? 1 : 0);
  const int64_t hidden = count_ * width_;
  const auto root = [](int64_t n) { return 1 / std::sqrt(static_cast<double>(n)); };
  in_ = drawn("in.weight", {hidden, inputs}, root(inputs));
  in_bias_ = drawn("in.bias", {hidden}, 0);
  out_ = drawn("out.weight", {outputs, hidden}, 0.5 * root(width_));
  out_bias_ = drawn("out.bias", {outputs, count_}, 0);
  gates_ = drawn("gates", {count_}, root(count_));
  in_bias_->decay = out_bias_->decay = false;
}

Tensor Perceptrons::gate_of_each() const { return gates_->value.repeat_interleave(width_); }

Tensor Perceptrons::run(double t, const Tensor& w, Kept& kept) const {
  const Tensor time = sees_time() ? at::full({1}, t, in_->value.options()) : Tensor();
  const Tensor entries = sees_weights() ? w.reshape(-1) : Tensor();
  kept.x = !sees_weights() ? time : sees_time() ? at::cat({entries, time}) : entries;
  kept.hidden = at::addmv(in_bias_->value, in_->value, kept.x).tanh_();
  return at::mv(out_bias_->value, gates_->value)
      .addmv_(out_->value, gate_of_each().mul_(kept.hidden));
}

void Perceptrons::Pull::through(const Kept& kept, const Tensor& cotangent, Tensor& w_gradient) {
  const Tensor behind = at::mv(of_.out_->value.t(), cotangent);  // of gate times hidden
  const Tensor before = at::tanh_backward(of_.gate_of_each().mul_(behind), kept.hidden);
  x_.push_back(kept.x);
  hidden_.push_back(kept.hidden);
  before_.push_back(before);
  behind_.push_back(behind);
  cotangents_.push_back(cotangent);
  if (!of_.sees_weights()) return;
  const Tensor x = at::mv(of_.in_->value.t(), before);
  w_gradient.add_(x.narrow(0, 0, w_gradient.numel()).view(w_gradient.sizes()));
}

std::vector<Tensor> Perceptrons::Pull::gradients() const {
  if (x_.empty()) return zero_gradients(of_.params());
  const Tensor x = at::stack(x_), hidden = at::stack(hidden_), before = at::stack(before_),
               cotangents = at::stack(cotangents_);  // [evaluations, ...]
  const Tensor sum = cotangents.sum(0);
  const Tensor gates = (at::stack(behind_) * hidden)
                           .sum(0)
                           .view({of_.count_, of_.width_})
                           .sum(1)
                           .addmv_(of_.out_bias_->value.t(), sum);
  return {at::mm(before.t(), x), before.sum(0), at::mm(cotangents.t(), hidden * of_.gate_of_each()),
          at::outer(sum, of_.gates_->value), gates};
}

Tensor Perceptrons::push(const Kept& kept, const Tensor& dw, const ParamTangents& of) const {
  Tensor before = at::zeros_like(kept.hidden);
  if (sees_weights()) before.addmv_(in_->value.narrow(1, 0, dw.numel()), dw.reshape(-1));
  if (const Tensor d = of(*in_); d.defined()) before.addmv_(d, kept.x);
  if (const Tensor d = of(*in_bias_); d.defined()) before.add_(d);
  const Tensor gates = gate_of_each();
  Tensor gated = gates * at::tanh_backward(before, kept.hidden);
  const Tensor dgates = of(*gates_);
  if (dgates.defined()) gated.add_(dgates.repeat_interleave(width_).mul_(kept.hidden));
  Tensor out = at::mv(out_->value, gated);
  if (dgates.defined()) out.addmv_(out_bias_->value, dgates);
  if (const Tensor d = of(*out_); d.defined()) out.addmv_(d, gates * kept.hidden);
  if (const Tensor d = of(*out_bias_); d.defined()) out.addmv_(d, gates_->value);
  return out;
}

int64_t Perceptrons::multiply_adds() const { return in_->value.numel() + out_->value.numel(); }

}  // namespace altprop::weight_flow
