// A learnt vector for each token.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// input int64 [B] or [B, ...] of token numbers, -1 for none (a row of zeros); weight
/// [vocabulary, width]; output [B, ..., width], with `bias` [width] added if there is one.
/// Saved.t = {input}. Token numbers have no derivative: vjp and jvp are refused, and weight() is
/// null because no credit crosses the table.
class Embedding : public Op {
 public:
  /// @param padding token whose vector stays as it is: it learns nothing; -1: none
  Embedding(int64_t vocabulary, int64_t width, int64_t padding = -1);
  /// Shares the table (tied weights), e.g. with a `linear` output layer.
  explicit Embedding(ParamPtr table, ParamPtr bias = nullptr, int64_t padding = -1);
  /// The product of one-hot rows with a learnt matrix: the table takes the network's initial
  /// distribution, as a linear layer does.
  static std::shared_ptr<Embedding> one_hot(int64_t vocabulary, int64_t width, bool bias);

  std::string type() const override { return one_hot_ ? "one-hot" : "embedding"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::integers(); }
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  /// @throws UsageError if the input holds no integers or, on the CPU, a number out of range
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  Saved saved_for(const Tensor& input) const override {
    return {.t = {input}, .shape = input.sizes().vec()};
  }
  std::vector<ParamPtr> params() const override;

 private:
  /// The tokens whose vectors learn; the padding is none.
  Tensor learning(const Tensor& tokens) const;

  int64_t vocabulary_, width_, padding_;
  bool one_hot_ = false, with_bias_ = false;
  ParamPtr table_, bias_;
};

OpPtr embedding(int64_t vocabulary, int64_t width, int64_t padding = -1);

}  // namespace altprop
