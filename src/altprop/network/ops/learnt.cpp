#include "altprop/network/ops/learnt.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/network/ops/feature_rows.h"

namespace altprop {

namespace {

/// The shape with as many dimensions as samples have: 1 where the value leaves one out. A dimension
/// more than samples have is a batch of 1.
std::vector<int64_t> aligned(IntArrayRef value, size_t dims) {
  std::vector<int64_t> out(dims, 1);
  const size_t n = std::min(dims, value.size());
  for (size_t i = 1; i <= n; ++i) out[dims - i] = value[value.size() - i];
  return out;
}

void expect_fits(const std::string& where, IntArrayRef value, const std::vector<int64_t>& sample) {
  bool fits = value.size() <= sample.size() ||
              (value.size() == sample.size() + 1 && value[0] == 1);
  const std::vector<int64_t> shape = aligned(value, sample.size());
  for (size_t i = 0; i < sample.size(); ++i) fits = fits && (shape[i] == 1 || shape[i] == sample[i]);
  if (!fits)
    throw Refusal(where, text::cat("its value of shape ", shape_text(value),
                                   " does not fit samples of shape ", shape_text(sample)));
}

/// `t` as rows of values of that shape, as slots take them.
Tensor rows_like(const Tensor& t, const Tensor& value) {
  std::vector<int64_t> shape = value.sizes().vec();
  shape.insert(shape.begin(), -1);
  return t.reshape(shape);
}

std::string start_of(double deviation) {
  return deviation > 0 ? "normal:" + text::from_number(deviation) : "zero";
}

void expect_deviation(const std::string& where, double deviation) {
  if (!(deviation >= 0) || !std::isfinite(deviation))
    throw UsageError(where + ": a standard deviation is 0 or more and finite, but is " +
                     text::from_number(deviation));
}

}  // namespace

// ---- what gains and offsets have in common ----

std::string LearntValue::settings() const {
  return over_ == Over::Last ? "" : over_ == Over::Channels ? "over=channels" : "over=all";
}

Spec LearntValue::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  if (inputs[0].shape.empty()) throw Refusal(type(), "samples of one number have no dimension");
  if (value_) expect_fits(type(), value_->value.sizes(), inputs[0].shape);
  return {inputs[0].shape};
}

std::vector<ParamPtr> LearntValue::params() const {
  return value_ ? std::vector<ParamPtr>{value_} : std::vector<ParamPtr>{};
}

void LearntValue::make(const std::string& name, const Spec& input, double number,
                       const std::string& init) {
  if (value_) return;
  std::vector<int64_t> shape = input.shape;
  if (over_ == Over::Last) shape = {shape.back()};
  if (over_ == Over::Channels) std::fill(shape.begin() + 1, shape.end(), 1);
  value_ = std::make_shared<Param>(name, at::full(shape, number));
  value_->init = init;
  value_->decay = false;
}

void LearntValue::add_to(Slot& slot, const Tensor& rows, double scale) const {
  const size_t dims = static_cast<size_t>(rows.dim() - 1);
  const std::vector<int64_t> shape = aligned(value_->value.sizes(), dims);
  // Leading dimensions that share an entry are further rows; the others are summed row by row, so
  // that each number is summed in one order, whatever the number of threads.
  size_t lead = 0;
  while (lead < dims && shape[lead] == 1) ++lead;
  if (lead == dims) {
    const Tensor each = rows.flatten(1).sum(1, true);
    return value_->value.dim() == 0 ? slot.add(each.sum(), scale)
                                    : slot.add_rows(rows_like(each, value_->value), scale);
  }
  std::vector<int64_t> shared;
  for (size_t i = lead; i < dims; ++i)
    if (shape[i] == 1 && rows.size(static_cast<int64_t>(i) + 1) > 1)
      shared.push_back(static_cast<int64_t>(i) + 1);
  const Tensor summed = shared.empty() ? rows : rows.sum(shared, true);
  slot.add_rows(rows_like(summed, value_->value), scale);
}

// ---- gain ----

Tensor Gain::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.t.assign(1, inputs[0]);
  return inputs[0] * value_->value;
}

Tensor Gain::vjp(const Saved&, const Tensor& cot, int, const Tensor* substitute) const {
  return cot * (substitute ? *substitute : value_->value);
}

Tensor Gain::jvp(const Saved&, const Tensor& tangent, int) const {
  return tangent * value_->value;
}

Tensor Gain::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor moved = of(*value_);
  return moved.defined() ? saved.t[0] * moved : Tensor();
}

void Gain::jvp_accumulate(const Saved&, std::span<const Tensor> tangents, const Tensor& cot,
                          double scale, Store& store) const {
  Slot* slot = tangents[0].defined() ? store.of(*value_) : nullptr;
  if (slot) add_to(*slot, cot * match_rows(tangents[0], cot), scale);
}

void Gain::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                      const Tensor*, const Shared*) const {
  if (Slot* slot = store.of(*value_))
    add_to(*slot, fold_rows(cot, saved.t[0].size(0)) * saved.t[0], scale);
}

std::optional<WeightRows> Gain::rows(const Saved& saved, const Tensor& cot) const {
  const Tensor& x = saved.t[0];
  const int64_t features = value_->value.numel();
  const std::vector<int64_t> shape =
      aligned(value_->value.sizes(), static_cast<size_t>(x.dim() - 1));
  // Entries of the last dimensions, all of them: rows lie one behind the other.
  int64_t last = 1;
  for (size_t i = shape.size(); i-- > 0 && shape[i] == x.size(static_cast<int64_t>(i) + 1);)
    last *= shape[i];
  if (last != features) return std::nullopt;
  return feature_rows(last_feature_rows(x, features),
                      last_feature_rows(fold_rows(cot, x.size(0)), features));
}

// ---- offset ----

Offset::Offset(Over over, double deviation) : LearntValue(over), deviation_(deviation) {
  expect_deviation(type(), deviation);
}

std::string Offset::settings() const {
  const std::string over = LearntValue::settings();
  if (deviation_ == 0) return over;
  return over + (over.empty() ? "" : ",") + "deviation=" + text::from_number(deviation_);
}

void Offset::build(std::span<const Spec> inputs) {
  make("bias", inputs[0], 0, start_of(deviation_));
}

Tensor Offset::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape = inputs[0].sizes().vec();
  return inputs[0] + value_->value;
}

Tensor Offset::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor moved = of(*value_);
  return moved.defined() ? moved.expand(saved.shape).contiguous() : Tensor();
}

void Offset::accumulate(const Saved&, const Tensor& cot, double scale, Store& store, const Tensor*,
                        const Shared*) const {
  if (Slot* slot = store.of(*value_)) add_to(*slot, cot, scale);
}

// ---- prepend ----

Prepend::Prepend(int64_t count, double deviation) : count_(count), deviation_(deviation) {
  if (count < 1) throw UsageError(text::cat("prepend: at least 1 entry, not ", count));
  expect_deviation(type(), deviation);
}

Prepend::Prepend(ParamPtr entries) : Prepend() {
  entries_ = std::move(entries);  // how many there are is seen beside the samples
}

std::string Prepend::settings() const {
  return text::cat(count_ == 1 ? "" : text::cat("count=", count_, ","),
                   "deviation=", text::from_number(deviation_));
}

Spec Prepend::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  std::vector<int64_t> shape = inputs[0].shape;
  if (shape.empty()) throw Refusal(type(), "samples of one number have no first dimension");
  if (!entries_) {
    shape[0] += count_;
    return {shape};
  }
  std::vector<int64_t> have = entries_->value.sizes().vec();
  if (have.size() == shape.size() + 1 && have[0] == 1) have.erase(have.begin());
  if (have.size() != shape.size() ||
      !std::equal(have.begin() + 1, have.end(), shape.begin() + 1))
    throw Refusal(type(), text::cat("entries of shape ", shape_text(entries_->value.sizes()),
                                    " do not go before samples of shape ", shape_text(shape)));
  shape[0] += have[0];
  return {shape};
}

void Prepend::build(std::span<const Spec> inputs) {
  if (entries_) {
    const auto dims = static_cast<int64_t>(inputs[0].shape.size());
    count_ = entries_->value.size(entries_->value.dim() - dims);
    return;
  }
  std::vector<int64_t> shape = inputs[0].shape;
  shape[0] = count_;
  entries_ = std::make_shared<Param>("weight", at::zeros(shape));
  entries_->init = start_of(deviation_);
  entries_->decay = false;
}

Tensor Prepend::joined(const Tensor& entries, const Tensor& rows) const {
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[1] = count_;
  const Tensor front = entries.defined()
                           ? entries.reshape({1, -1}).expand({rows.size(0), -1}).reshape(shape)
                           : at::zeros(shape, rows.options());
  return at::cat({front, rows}, 1);
}

Tensor Prepend::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape = inputs[0].sizes().vec();
  return joined(entries_->value, inputs[0]);
}

Tensor Prepend::vjp(const Saved&, const Tensor& cot, int, const Tensor*) const {
  return cot.narrow(1, count_, cot.size(1) - count_).contiguous();
}

Tensor Prepend::jvp(const Saved&, const Tensor& tangent, int) const { return joined({}, tangent); }

Tensor Prepend::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor moved = of(*entries_);
  return moved.defined() ? joined(moved, at::zeros(saved.shape, moved.options())) : Tensor();
}

void Prepend::accumulate(const Saved&, const Tensor& cot, double scale, Store& store, const Tensor*,
                         const Shared*) const {
  if (Slot* slot = store.of(*entries_))
    slot->add_rows(rows_like(cot.narrow(1, 0, count_), entries_->value), scale);
}

std::vector<ParamPtr> Prepend::params() const {
  return entries_ ? std::vector<ParamPtr>{entries_} : std::vector<ParamPtr>{};
}

OpPtr gain(Over over) { return std::make_shared<Gain>(over); }
OpPtr offset(Over over, double deviation) { return std::make_shared<Offset>(over, deviation); }
OpPtr prepend(int64_t count, double deviation) { return std::make_shared<Prepend>(count, deviation); }

}  // namespace altprop
