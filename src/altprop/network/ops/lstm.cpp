#include "altprop/network/ops/lstm.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/lstm.h"
#include "altprop/tensor/tanh.h"

namespace altprop {

namespace {

/// One of the four gates as columns of [B, 4H].
enum Gate { InputGate, ForgetGate, CandidateGate, OutputGate };

Tensor gate(const Tensor& gates, Gate which) {
  const int64_t width = gates.size(1) / 4;
  return gates.narrow(1, which * width, width);
}

/// Width of one gate. @throws Refusal
int64_t width_of(const std::string& where, const Spec& gates) {
  expect_real(where, gates);
  if (gates.shape.size() != 1 || gates.shape[0] % 4 != 0)
    throw Refusal(where, text::cat("gates come as one vector of four equal parts, not as ",
                                   shape_text(gates.shape)));
  return gates.shape[0] / 4;
}

void expect_cell(const std::string& where, const Spec& cell, int64_t width) {
  expect_real(where, cell);
  if (cell.shape != std::vector<int64_t>{width})
    throw Refusal(where, text::cat("a cell of shape ", shape_text(cell.shape),
                                   " does not fit gates of width ", width));
}

}  // namespace

// ---- gates ----

Spec LstmGates::infer(std::span<const Spec> inputs) const {
  width_of(type(), inputs[0]);
  for (const Spec& spec : inputs)
    if (spec != inputs[0])
      throw Refusal(type(), text::cat("inputs of shapes ", shape_text(inputs[0].shape), " and ",
                                      shape_text(spec.shape), " do not fit"));
  return inputs[0];
}

Tensor LstmGates::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  Tensor out = inputs_ == 1 ? inputs[0].clone() : inputs[0] + inputs[1];
  const int64_t width = out.size(1) / 4;
  out.narrow(1, 0, 2 * width).sigmoid_();
  gate(out, CandidateGate).tanh_();
  gate(out, OutputGate).sigmoid_();
  saved.t.assign(1, out);
  return out;
}

Tensor LstmGates::pull(const Saved& saved, const Tensor& cot) const {
  const Tensor y = match_rows(saved.t[0], cot);
  if (lstm_kernels_fit({&cot, &y})) return lstm_pull_gates(cot, y);
  Tensor out = at::sigmoid_backward(cot, y);
  Tensor candidate = gate(out, CandidateGate);
  at::tanh_backward_out(candidate, gate(cot, CandidateGate), gate(y, CandidateGate));
  return out;
}

// Both inputs have the same cotangent.
Credits LstmGates::credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor*,
                          Sweep&) const {
  Credits out(wanted.size());
  Tensor pulled;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i]) continue;
    if (!pulled.defined()) pulled = pull(saved, cot);
    out[i] = pulled;
  }
  return out;
}

// ---- cell ----

Spec LstmCell::infer(std::span<const Spec> inputs) const {
  const int64_t width = width_of(type(), inputs[0]);
  if (inputs_ == 2) expect_cell(type(), inputs[1], width);
  return {{width}, Kind::Real};
}

Tensor LstmCell::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& y = inputs[0];
  saved.t.assign(inputs.begin(), inputs.end());
  const Tensor before = inputs_ == 1 ? Tensor() : inputs[1];
  if (lstm_kernels_fit({&y, &before})) return lstm_next_cell(y, before);
  Tensor out = gate(y, InputGate) * gate(y, CandidateGate);
  return inputs_ == 1 ? out : out.addcmul_(gate(y, ForgetGate), before);
}

Tensor LstmCell::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  const Tensor y = match_rows(saved.t[0], cot);
  if (input == 1) return cot * gate(y, ForgetGate);
  const Tensor before = inputs_ == 1 ? Tensor() : match_rows(saved.t[1], cot);
  if (lstm_kernels_fit({&cot, &y, &before})) return lstm_pull_cell(cot, y, before);
  Tensor out = at::empty_like(y);
  Tensor in = gate(out, InputGate), forget = gate(out, ForgetGate),
         candidate = gate(out, CandidateGate);
  at::mul_out(in, cot, gate(y, CandidateGate));
  at::mul_out(candidate, cot, gate(y, InputGate));
  if (inputs_ == 1) {
    forget.zero_();
  } else {
    at::mul_out(forget, cot, before);
  }
  gate(out, OutputGate).zero_();
  return out;
}

Tensor LstmCell::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const Tensor y = match_rows(saved.t[0], tangent);
  if (input == 1) return tangent * gate(y, ForgetGate);
  Tensor out = gate(tangent, InputGate) * gate(y, CandidateGate);
  out.addcmul_(gate(tangent, CandidateGate), gate(y, InputGate));
  return inputs_ == 1 ? out
                      : out.addcmul_(gate(tangent, ForgetGate), match_rows(saved.t[1], tangent));
}

// ---- output ----

Spec LstmOutput::infer(std::span<const Spec> inputs) const {
  const int64_t width = width_of(type(), inputs[0]);
  expect_cell(type(), inputs[1], width);
  return {{width}, Kind::Real};
}

Tensor LstmOutput::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  Tensor squashed = inputs[1].clone();
  apply_tanh_(squashed);
  saved.t = {inputs[0], squashed};
  return gate(inputs[0], OutputGate) * saved.t[1];
}

Tensor LstmOutput::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  const Tensor y = match_rows(saved.t[0], cot), squashed = match_rows(saved.t[1], cot);
  const bool fit = lstm_kernels_fit({&cot, &y, &squashed});
  if (input == 1)
    return fit ? lstm_pull_output_to_cell(cot, y, squashed)
               : at::tanh_backward(cot * gate(y, OutputGate), squashed);
  if (fit) return lstm_pull_output(cot, y, squashed);
  Tensor out = at::zeros_like(y);
  Tensor last = gate(out, OutputGate);
  at::mul_out(last, cot, squashed);
  return out;
}

Tensor LstmOutput::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const Tensor y = match_rows(saved.t[0], tangent), squashed = match_rows(saved.t[1], tangent);
  return input == 1 ? at::tanh_backward(tangent * gate(y, OutputGate), squashed)
                    : gate(tangent, OutputGate) * squashed;
}

OpPtr lstm_gates(int inputs) { return std::make_shared<LstmGates>(inputs); }
OpPtr lstm_cell(int inputs) { return std::make_shared<LstmCell>(inputs); }
OpPtr lstm_output() { return std::make_shared<LstmOutput>(); }

}  // namespace altprop
