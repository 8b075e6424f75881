#include "altprop/network/ops/embedding.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/rows.h"

namespace altprop {

Embedding::Embedding(int64_t vocabulary, int64_t width, int64_t padding)
    : vocabulary_(vocabulary), width_(width), padding_(padding) {
  if (vocabulary < 1 || width < 1)
    throw Refusal(type(), text::cat("vocabulary and width must be at least 1, but are ", vocabulary,
                                    " and ", width));
  if (padding < -1 || padding >= vocabulary)
    throw Refusal(type(), text::cat("the padding is one of ", vocabulary, " tokens, or -1 for none, "
                                    "but is ", padding));
}

Embedding::Embedding(ParamPtr table, ParamPtr bias, int64_t padding)
    : Embedding(table->value.size(0), table->value.size(1), padding) {
  one_hot_ = with_bias_ = bias != nullptr;  // the product of one-hot rows, written as one
  table_ = std::move(table);
  bias_ = std::move(bias);
}

std::shared_ptr<Embedding> Embedding::one_hot(int64_t vocabulary, int64_t width, bool bias) {
  auto op = std::make_shared<Embedding>(vocabulary, width);
  op->one_hot_ = true;
  op->with_bias_ = bias;
  return op;
}

std::string Embedding::settings() const {
  return text::cat("vocabulary=", vocabulary_, ",width=", width_,
                   one_hot_ && !with_bias_ ? ",bias=false" : "",
                   padding_ < 0 ? "" : text::cat(",padding=", padding_));
}

Spec Embedding::infer(std::span<const Spec> inputs) const {
  Spec out{inputs[0].shape};
  out.shape.push_back(width_);
  return out;
}

void Embedding::build(std::span<const Spec>) {
  if (table_) return;
  table_ = std::make_shared<Param>("weight", at::zeros({vocabulary_, width_}));
  // torch.nn.Embedding's; fans mean nothing for a table.
  table_->init = one_hot_ ? kNetworkInitTransposed : "normal:1";
  if (!with_bias_) return;
  bias_ = std::make_shared<Param>("bias", at::zeros({width_}));
  bias_->decay = false;
}

namespace {

/// The rows of the table, or zeros; on the CPU numbers out of range are refused.
Tensor rows_of(const Tensor& table, const Tensor& tokens) {
  if (!tokens.device().is_cpu())
    return at::embedding(table, tokens.clamp_min(0)).masked_fill_(tokens.lt(0).unsqueeze(-1), 0);
  const Tensor ids = tokens.to(at::kLong).contiguous();
  const int64_t* id = ids.const_data_ptr<int64_t>();
  if (ids.numel() > 0) {
    const auto [low, high] = std::minmax_element(id, id + ids.numel());
    if (*low < -1 || *high >= table.size(0))
      throw UsageError(text::cat("embedding: token numbers from ", *low, " to ", *high,
                                 " do not fit a vocabulary of ", table.size(0)));
  }
  std::vector<int64_t> shape = tokens.sizes().vec();
  shape.push_back(table.size(1));
  Tensor out = at::empty(shape, table.options());
  Tensor matrix = out.view({-1, table.size(1)});
  copy_rows_at(matrix, table, id);
  return out;
}

}  // namespace

Tensor Embedding::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& tokens = inputs[0];
  if (!at::isIntegralType(tokens.scalar_type(), false))
    throw UsageError("embedding: token numbers must be integers, but the input holds real numbers");
  saved.t.assign(1, tokens);
  Tensor out = rows_of(table_->value, tokens);
  if (bias_) {
    Tensor matrix = out.view({-1, width_});
    add_bias_(matrix, bias_->value, false);
  }
  return out;
}

Tensor Embedding::vjp(const Saved&, const Tensor&, int, const Tensor*) const {
  throw Refusal(type(), "token numbers have no derivative",
                "ask for the credit of the embedding's output");
}

Tensor Embedding::jvp(const Saved&, const Tensor&, int) const {
  throw Refusal(type(), "token numbers have no tangent",
                "start from a tangent of the embedding's output");
}

Tensor Embedding::learning(const Tensor& tokens) const {
  return padding_ < 0 ? tokens : tokens.masked_fill(tokens.eq(padding_), -1);
}

Tensor Embedding::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor d_table = of(*table_), db = bias_ ? of(*bias_) : Tensor();
  if (!d_table.defined() && !db.defined()) return {};
  const Tensor out =
      rows_of(d_table.defined() ? d_table : at::zeros_like(table_->value), learning(saved.t[0]));
  return db.defined() ? out + db : out;
}

void Embedding::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor*, const Shared*) const {
  const Tensor& tokens = saved.t[0];
  const Tensor rows = fold_rows(cot, tokens.size(0)).reshape({-1, width_});
  if (Slot* slot = bias_ ? store.of(*bias_) : nullptr) slot->add_rows(rows, scale);
  if (Slot* slot = store.of(*table_))
    slot->add_rows_at(learning(tokens).to(at::kLong).reshape({-1}), rows, scale);
}

std::vector<ParamPtr> Embedding::params() const {
  if (!table_) return {};
  return bias_ ? std::vector<ParamPtr>{table_, bias_} : std::vector<ParamPtr>{table_};
}

OpPtr embedding(int64_t vocabulary, int64_t width, int64_t padding) {
  return std::make_shared<Embedding>(vocabulary, width, padding);
}

}  // namespace altprop
