#include "altprop/network/ops/embedding.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

Embedding::Embedding(int64_t vocabulary, int64_t width) : vocabulary_(vocabulary), width_(width) {
  if (vocabulary < 1 || width < 1)
    throw Refusal(type(), text::cat("vocabulary and width must be at least 1, but are ", vocabulary,
                                    " and ", width));
}

Embedding::Embedding(ParamPtr table) : Embedding(table->value.size(0), table->value.size(1)) {
  table_ = std::move(table);
}

std::string Embedding::settings() const {
  return text::cat("vocabulary=", vocabulary_, ",width=", width_);
}

Spec Embedding::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  Spec out = inputs[0];
  out.shape.push_back(width_);
  return out;
}

void Embedding::build(std::span<const Spec>) {
  if (table_) return;
  table_ = std::make_shared<Param>("weight", at::zeros({vocabulary_, width_}));
  table_->init = "normal:1";  // torch.nn.Embedding's; fans mean nothing for a table
}

Tensor Embedding::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& tokens = inputs[0];
  if (!at::isIntegralType(tokens.scalar_type(), false))
    throw UsageError("embedding: token numbers must be integers, but the input holds real numbers");
  if (tokens.device().is_cpu() && tokens.numel() > 0) {
    const auto [low, high] = at::aminmax(tokens);
    if (low.item<int64_t>() < 0 || high.item<int64_t>() >= vocabulary_)
      throw UsageError(text::cat("embedding: token numbers from ", low.item<int64_t>(), " to ",
                                 high.item<int64_t>(), " do not fit a vocabulary of ",
                                 vocabulary_));
  }
  saved.t.assign(1, tokens);
  return at::embedding(table_->value, tokens);
}

Tensor Embedding::vjp(const Saved&, const Tensor&, int, const Tensor*) const {
  throw Refusal(type(), "token numbers have no derivative",
                "ask for the credit of the embedding's output");
}

Tensor Embedding::jvp(const Saved&, const Tensor&, int) const {
  throw Refusal(type(), "token numbers have no tangent",
                "start from a tangent of the embedding's output");
}

void Embedding::accumulate(const Saved& saved, const Tensor& cot, double scale,
                           unsigned which) const {
  if (!(which & 1)) return;
  const Tensor& tokens = saved.t[0];
  table_->add_gradient(
      at::embedding_dense_backward(fold_rows(cot, tokens.size(0)), tokens, vocabulary_, -1, false),
      scale);
}

std::vector<ParamPtr> Embedding::params() const {
  return table_ ? std::vector<ParamPtr>{table_} : std::vector<ParamPtr>{};
}

OpPtr embedding(int64_t vocabulary, int64_t width) {
  return std::make_shared<Embedding>(vocabulary, width);
}

}  // namespace altprop
