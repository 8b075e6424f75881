#include "altprop/network/ops/attention.h"

#include <cmath>
#include <limits>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

namespace {

double scale_of(const Tensor& heads) {
  return 1 / std::sqrt(static_cast<double>(heads.size(-1)));
}

/// The derivative of softmax, which is symmetric, times the rows of `t`.
Tensor across_softmax(const Tensor& weights, const Tensor& t) {
  return weights * (t - (weights * t).sum(-1, true));
}

}  // namespace

Attention::Attention(AttentionSettings settings) : s_(settings) {
  if (s_.heads < 1) throw UsageError(text::cat(type(), ": at least 1 head, not ", s_.heads));
}

std::string Attention::settings() const {
  return text::cat("heads=", s_.heads, s_.causal ? ",causal=true" : "");
}

Spec Attention::infer(std::span<const Spec> inputs) const {
  for (const Spec& spec : inputs) expect_rank(type(), spec, 2, "steps, values");
  const int64_t third = s_.packed ? inputs[0].shape[1] / 3 : 0;
  if (s_.packed && third * 3 != inputs[0].shape[1])
    throw Refusal(type(), text::cat("its input has queries, keys and values one behind the other, "
                                    "but ", inputs[0].shape[1], " values are no three of a width"));
  const std::vector<int64_t> q = s_.packed ? std::vector{inputs[0].shape[0], third} : inputs[0].shape,
                             k = s_.packed ? q : inputs[1].shape, v = s_.packed ? q : inputs[2].shape;
  if (q[1] != k[1] || k[0] != v[0])
    throw Refusal(type(), text::cat("queries of shape ", shape_text(q), ", keys of ", shape_text(k),
                                    " and values of ", shape_text(v), " do not fit"),
                  "queries are as wide as keys, and there are as many keys as values");
  if (q[1] % s_.heads || v[1] % s_.heads)
    throw Refusal(type(), text::cat("widths of ", q[1], " and ", v[1], " cannot be divided into ",
                                    s_.heads, " heads"),
                  "choose heads that divide the width");
  if (s_.causal && q[0] != k[0])
    throw Refusal(type(), text::cat("with causal=true there are as many keys as queries, but ", q[0],
                                    " queries and ", k[0], " keys came"));
  return {{q[0], v[1]}};
}

Attention::Three Attention::split(std::span<const Tensor> inputs) const {
  Three out;
  for (size_t i = 0; i < 3; ++i) {
    Tensor t = s_.packed ? inputs[0] : inputs[i];
    if (!t.defined()) continue;
    if (s_.packed) {
      const int64_t width = t.size(2) / 3;
      t = t.narrow(2, static_cast<int64_t>(i) * width, width);
    }
    out[i] = t.reshape({t.size(0), t.size(1), s_.heads, -1}).transpose(1, 2);
  }
  return out;
}

Attention::Three Attention::saved_parts(const Saved& saved, const Tensor& like) const {
  std::vector<Tensor> inputs;
  for (int i = 0; i < arity(); ++i)
    inputs.push_back(match_rows(saved.t[static_cast<size_t>(i)], like));
  return split(inputs);
}

Tensor Attention::joined(const Tensor& heads) const {
  return heads.transpose(1, 2).reshape({heads.size(0), heads.size(2), -1});
}

Tensor Attention::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const auto [q, k, v] = split(inputs);
  Tensor scores = at::matmul(q * scale_of(q), k.transpose(-1, -2));
  if (s_.causal)
    scores.masked_fill_(at::ones({q.size(2), k.size(2)}, scores.options().dtype(at::kBool)).triu_(1),
                        -std::numeric_limits<double>::infinity());
  const Tensor weights = at::softmax(scores, -1);
  saved.t.assign(inputs.begin(), inputs.end());
  saved.t.push_back(weights);
  return joined(at::matmul(weights, v));
}

Attention::Three Attention::pull(const Saved& saved, const Tensor& cot,
                                 std::array<bool, 3> wanted) const {
  const auto [q, k, v] = saved_parts(saved, cot);
  const Tensor weights = match_rows(saved.t.back(), cot),
               to_heads = cot.reshape({cot.size(0), cot.size(1), s_.heads, -1}).transpose(1, 2);
  Three out;
  if (wanted[2]) out[2] = joined(at::matmul(weights.transpose(-1, -2), to_heads));
  if (!wanted[0] && !wanted[1]) return out;
  const Tensor to_scores =
      across_softmax(weights, at::matmul(to_heads, v.transpose(-1, -2))).mul_(scale_of(q));
  if (wanted[0]) out[0] = joined(at::matmul(to_scores, k));
  if (wanted[1]) out[1] = joined(at::matmul(to_scores.transpose(-1, -2), q));
  return out;
}

Credits Attention::credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor*,
                          Sweep&) const {
  if (s_.packed) return {wanted[0] ? vjp(saved, cot, 0, nullptr) : Tensor()};
  const auto [q, k, v] = pull(saved, cot, {bool(wanted[0]), bool(wanted[1]), bool(wanted[2])});
  return {q, k, v};
}

Tensor Attention::vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const {
  if (s_.packed) {
    const auto [q, k, v] = pull(saved, cot, {true, true, true});
    return at::cat({q, k, v}, 2);
  }
  return pull(saved, cot, {input == 0, input == 1, input == 2})[static_cast<size_t>(input)];
}

Tensor Attention::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  const auto [q, k, v] = saved_parts(saved, tangent);
  const Tensor weights = match_rows(saved.t.back(), tangent);
  std::vector<Tensor> moving(static_cast<size_t>(arity()));
  moving[static_cast<size_t>(input)] = tangent;
  const auto [dq, dk, dv] = split(moving);
  Tensor scores;  // the tangent of q k^T
  const auto add = [](Tensor& sum, const Tensor& term) { sum = sum.defined() ? sum.add_(term) : term; };
  if (dq.defined()) add(scores, at::matmul(dq, k.transpose(-1, -2)));
  if (dk.defined()) add(scores, at::matmul(q, dk.transpose(-1, -2)));
  Tensor out;
  if (scores.defined())
    add(out, at::matmul(across_softmax(weights, scores.mul_(scale_of(q))), v));
  if (dv.defined()) add(out, at::matmul(weights, dv));
  return joined(out);
}

int64_t Attention::multiply_adds(std::span<const Spec> inputs) const {
  const int64_t steps = inputs[0].shape[0], keys = s_.packed ? steps : inputs[1].shape[0],
                width = s_.packed ? inputs[0].shape[1] / 3 : inputs[0].shape[1],
                out = s_.packed ? width : inputs[2].shape[1];
  return steps * keys * (width + out);
}

OpPtr attention(AttentionSettings settings) { return std::make_shared<Attention>(settings); }

}  // namespace altprop
