// Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1). It has no
// parameters: the maps in front of it and behind it are linear layers, sites like any others.
#pragma once

#include <array>

#include "altprop/network/op.h"

namespace altprop {

struct AttentionSettings {
  int64_t heads = 1;    ///< the width of queries, keys and values is divided among them
  bool causal = false;  ///< a step sees itself and those before it
  bool packed = false;  ///< one input that has queries, keys and values one behind the other
};

/// Of queries [B, T, D], keys [B, S, D] and values [B, S, E], or of one [B, T, 3 D] if they are
/// packed: for each head, softmax(q k^T / sqrt(D / heads)) v, [B, T, E]. Saved.t = {inputs, weights
/// [B, heads, T, S]}.
class Attention : public Op {
 public:
  explicit Attention(AttentionSettings settings);
  std::string type() const override { return s_.packed ? "self_attention" : "attention"; }
  std::string settings() const override;
  int arity() const override { return s_.packed ? 1 : 3; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  int64_t multiply_adds(std::span<const Spec> inputs) const override;

 private:
  using Three = std::array<Tensor, 3>;  ///< queries, keys, values
  /// By head, [B, heads, steps, width of a head], of the inputs or of their tangents.
  Three split(std::span<const Tensor> inputs) const;
  Three saved_parts(const Saved& saved, const Tensor& like) const;
  Tensor joined(const Tensor& heads) const;
  /// Credits of queries, keys and values that are wanted, as [B, steps, width].
  Three pull(const Saved& saved, const Tensor& cot, std::array<bool, 3> wanted) const;

  AttentionSettings s_;
};

OpPtr attention(AttentionSettings settings);

}  // namespace altprop
