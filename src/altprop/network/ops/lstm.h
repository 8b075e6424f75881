// The three values of one step of a long short-term memory (Hochreiter & Schmidhuber 1997; forget
// gates: Gers, Schmidhuber, Cummins 2000), each an operation of its own and each a state that
// relaxation rules hold. None has parameters: the products with input and recurrent weights are
// `linear` and `embedding` operations in front of the gates.
//
//   gates = (i, f, g, o) = (sigmoid, sigmoid, tanh, sigmoid) of the sum of the inputs
//   cell  = f * cell before + i * g
//   h     = o * tanh(cell)
//
// The four gates are columns of one tensor, so that all products with their weights are one. No
// gate depends on another gate of its step, so that credits and relaxations are those of four
// separate values.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// 1 or 2 inputs [B, 4H], their sum through the gates' functions: [B, 4H]. Saved.t = {output}.
class LstmGates : public Op {
 public:
  explicit LstmGates(int inputs) : inputs_(inputs) {}
  std::string type() const override { return "lstm-gates"; }
  int arity() const override { return inputs_; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return pull(saved, cot);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return pull(saved, tangent);
  }
  bool keeps_output() const override { return true; }
  Traits traits() const override { return {.holds_state = true}; }

 private:
  Tensor pull(const Saved& saved, const Tensor& cot) const;
  int inputs_;
};

/// Inputs gates [B, 4H] and the cell before [B, H] (arity 2; arity 1 takes it as 0): [B, H].
/// Saved.t = {gates, cell before}.
class LstmCell : public Op {
 public:
  explicit LstmCell(int inputs) : inputs_(inputs) {}
  std::string type() const override { return "lstm-cell"; }
  int arity() const override { return inputs_; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.holds_state = true}; }

 private:
  int inputs_;
};

/// Inputs gates [B, 4H] and cell [B, H]: [B, H]. Saved.t = {gates, tanh(cell)}.
class LstmOutput : public Op {
 public:
  std::string type() const override { return "lstm-output"; }
  int arity() const override { return 2; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.holds_state = true}; }
};

OpPtr lstm_gates(int inputs);
OpPtr lstm_cell(int inputs);
OpPtr lstm_output();

}  // namespace altprop
