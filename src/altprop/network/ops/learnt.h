// One learnt value that all samples share: as a factor on them (the scale of a layer), as a summand
// (the positions of a sequence), or in front of them (a class token). The value has a sample's shape
// but for leading extents that it may leave out and extents of 1, along which it is the same.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// What the value has an entry for.
enum class Over {
  Last,      ///< each entry of the last dimension: [D]
  Channels,  ///< each entry of the first dimension of a sample: [C, 1, ...]
  All,       ///< each number of a sample
};

/// An operation of one input with one such value. Credit crosses it as it crosses a norm: exactly,
/// whatever the rule, and its weight() is null.
class LearntValue : public Op {
 public:
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  std::vector<ParamPtr> params() const override;

 protected:
  explicit LearntValue(Over over) : over_(over) {}
  LearntValue(Over over, ParamPtr value) : over_(over), value_(std::move(value)) {}
  /// Makes the value unless it is there.
  void make(const std::string& name, const Spec& input, double number, const std::string& init);
  /// Adds the sum of [B, ...] over the samples and over what shares an entry.
  void add_to(Slot& slot, const Tensor& rows, double scale) const;

  Over over_;
  ParamPtr value_;
};

/// y = gain x. Saved.t = {input}.
class Gain : public LearntValue {
 public:
  explicit Gain(Over over) : LearntValue(over) {}
  /// Shares the gain, of any shape that fits.
  explicit Gain(ParamPtr gain, Over over = Over::Last) : LearntValue(over, std::move(gain)) {}

  std::string type() const override { return "gain"; }
  void build(std::span<const Spec> inputs) override { make("weight", inputs[0], 1, ""); }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  bool has_jvp_vjp() const override { return true; }
  Tensor jvp_vjp(const Saved&, std::span<const Tensor>, const Tensor&, int) const override {
    return {};
  }
  void jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                      double scale, Store& store) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  ParamPtr gain() const override { return value_; }
  Traits traits() const override { return {.response = Response::Linear}; }
};

/// y = x + offset. Saved.shape = that of the input.
class Offset : public LearntValue {
 public:
  /// @param deviation of the normal distribution that it starts from; 0: zeros
  explicit Offset(Over over, double deviation = 0);
  /// Shares the offset, of any shape that fits.
  explicit Offset(ParamPtr offset, Over over = Over::Last) : LearntValue(over, std::move(offset)) {}

  std::string type() const override { return "offset"; }
  std::string settings() const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override { return cot; }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override { return tangent; }
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  bool has_jvp_vjp() const override { return true; }
  Tensor jvp_vjp(const Saved&, std::span<const Tensor>, const Tensor&, int) const override {
    return {};
  }
  void jvp_accumulate(const Saved&, std::span<const Tensor>, const Tensor&, double,
                      Store&) const override {}
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 private:
  double deviation_ = 0;
};

/// `count` learnt entries in front of those of a sample's first dimension: [T, ...] becomes
/// [count + T, ...]. Saved.shape = that of the input.
class Prepend : public Op {
 public:
  /// @param deviation of the normal distribution that they start from; 0: zeros
  explicit Prepend(int64_t count = 1, double deviation = 0.02);
  /// Shares the entries, [count, ...] or [1, count, ...].
  explicit Prepend(ParamPtr entries);

  std::string type() const override { return "prepend"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  bool has_jvp_vjp() const override { return true; }
  Tensor jvp_vjp(const Saved&, std::span<const Tensor>, const Tensor&, int) const override {
    return {};
  }
  void jvp_accumulate(const Saved&, std::span<const Tensor>, const Tensor&, double,
                      Store&) const override {}
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::vector<ParamPtr> params() const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 private:
  /// `entries` in front of `rows`; undefined: zeros.
  Tensor joined(const Tensor& entries, const Tensor& rows) const;

  int64_t count_;
  double deviation_;
  ParamPtr entries_;
};

OpPtr gain(Over over = Over::Last);
OpPtr offset(Over over = Over::Last, double deviation = 0);
OpPtr prepend(int64_t count = 1, double deviation = 0.02);

}  // namespace altprop
