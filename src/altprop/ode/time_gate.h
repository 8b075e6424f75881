// The time as a gate and a shift of what an affine map makes ("concatsquash" of W. Grathwohl, R.
// Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD", 2019, arXiv 1810.01367):
//
//   y = a sigmoid(g t + g_0) + h t,   one g, g_0, h per channel
#pragma once

#include "altprop/network/op.h"

namespace altprop::ode {

/// Inputs: values a [B, ...] and a time, [1] or of each sample [B, 1]. Saved.t = {a, t}.
class TimeGate : public Op {
 public:
  /// @param dim of the batched tensor along which the channels lie: 1, or -1 the last
  explicit TimeGate(int64_t dim = 1) : dim_(dim) {}
  /// Shares these parameters: g, g_0 and h.
  TimeGate(int64_t dim, ParamPtr slope, ParamPtr offset, ParamPtr shift)
      : dim_(dim),
        slope_(std::move(slope)),
        offset_(std::move(offset)),
        shift_(std::move(shift)) {}
  std::string type() const override { return "time_gate"; }
  std::string settings() const override;
  int arity() const override { return 2; }
  Takes takes(int input) const override { return {.unbatched = input == 1}; }
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  bool has_jvp_vjp() const override { return true; }
  Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                 int input) const override;
  void jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                      double scale, Store& store) const override;
  std::vector<ParamPtr> params() const override;

 private:
  int64_t place(int64_t rank) const { return dim_ < 0 ? rank + dim_ : dim_; }
  Tensor gate(const Tensor& t) const;  ///< [C], or of each sample [B, C]
  /// Numbers of the channels, for all samples or each, as a factor of `like`.
  Tensor along(const Tensor& vector, const Tensor& like) const;
  /// Sums over everything but the channels and, where each has a time of its own, the samples: [C],
  /// or [rows, C].
  Tensor channel_sums(const Tensor& x, bool by_sample) const;
  /// d y / d t at the saved values, of the rows of `like`.
  Tensor by_time(const Saved& saved, const Tensor& like) const;

  int64_t dim_;
  ParamPtr slope_, offset_, shift_;
};

OpPtr time_gate(int64_t dim = 1);

/// `count` channels of zeros behind those that there are, along the first dimension of a sample:
/// the state of an augmented neural ODE (E. Dupont, A. Doucet, Y. Teh 2019, arXiv 1904.01681).
OpPtr zero_channels(int64_t count);
/// How many an operation appends; 0 where it is another.
int64_t zero_channels_of(const Op& op);

}  // namespace altprop::ode
