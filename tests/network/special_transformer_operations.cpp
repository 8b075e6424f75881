// Attention, and learnt values that all samples share: a part of network/special_operations.h.
#include "altprop/network/ops/attention.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/rms_norm.h"
#include "network/special_operations.h"

namespace altprop::test {

namespace {

Tensor by_heads(const Tensor& t, int64_t heads) {
  return t.unflatten(2, {heads, -1}).transpose(1, 2);
}

Tensor attention_of(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  const Tensor queries = by_heads(q, heads);
  const Tensor scores = at::matmul(queries, by_heads(k, heads).transpose(-1, -2)) /
                        std::sqrt(static_cast<double>(queries.size(-1)));
  return at::matmul(at::softmax(scores, -1), by_heads(v, heads)).transpose(1, 2).flatten(2);
}

}  // namespace

std::vector<Special> transformer_operations() {
  std::vector<Special> out;
  out.push_back({"gain", {"gain"}, [] { return gain(); }, {{3, 5}}, [](Values v) {
                   return v[0] * v[1];
                 }});
  out.push_back({"gain_of_channels", {}, [] { return gain(Over::Channels); }, {{2, 3, 4}},
                 [](Values v) { return v[0] * v[1]; }});
  out.push_back({"offset", {"offset"}, [] { return offset(); }, {{2, 3, 5}}, [](Values v) {
                   return v[0] + v[1];
                 }});
  out.push_back({"prepend", {"prepend"}, [] { return prepend(2); }, {{3, 4, 5}}, [](Values v) {
                   return at::cat({v[1].unsqueeze(0).expand({3, 2, 5}), v[0]}, 1);
                 }});
  out.push_back({.name = "rms_norm",
                 .words = {"rms-norm"},
                 .make = [] { return rms_norm(); },
                 .shapes = {{3, 4, 5}},
                 .library =
                     [](Values v) {
                       return v[0] * (v[0] * v[0]).mean(-1, true).add(1e-5).rsqrt() * v[1];
                     },
                 .in_terms = true});
  out.push_back({.name = "attention",
                 .words = {"attention"},
                 .make = [] { return attention({.heads = 2}); },
                 .shapes = {{2, 3, 4}, {2, 5, 4}, {2, 5, 6}},
                 .library = [](Values v) { return attention_of(v[0], v[1], v[2], 2); },
                 .in_terms = true});
  out.push_back({.name = "self_attention",
                 .words = {"self-attention"},
                 .make = [] { return attention({.packed = true}); },
                 .shapes = {{2, 3, 12}},
                 .library =
                     [](Values v) {
                       return attention_of(v[0].narrow(2, 0, 4), v[0].narrow(2, 4, 4),
                                           v[0].narrow(2, 8, 4), 1);
                     },
                 .in_terms = true});
  return out;
}

}  // namespace altprop::test
