#include "altprop/cores/class_sums.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/normal.h"

namespace altprop::cores {

std::string ClassSums::settings() const {
  static constexpr const char* kNames[] = {"", ",score=means", ",score=majority"};
  return text::cat("classes=", classes_, kNames[static_cast<int>(score_)]);
}

Takes ClassSums::takes(int) const {
  if (score_ == ClassScore::Majority)
    return {.kinds = {Kind::Probability},
            .instead = "use score=sums, or put it directly behind cores"};
  return {.kinds = {Kind::Probability, Kind::Real}};
}

Traits ClassSums::traits() const {
  return {.response = score_ == ClassScore::Majority ? Response::Curved : Response::Linear};
}

Spec ClassSums::infer(std::span<const Spec> inputs) const {
  const std::vector<int64_t>& shape = inputs[0].shape;
  if (shape.size() != 1)
    throw Refusal(type(), "it takes one row of neurons, but these have shape " + shape_text(shape));
  if (classes_ < 1 || shape[0] % classes_ != 0)
    throw Refusal(
        type(),
        text::cat(shape[0], " neurons cannot be divided evenly among ", classes_, " classes"),
        classes_ > 0 && shape[0] >= classes_ ? text::cat("use ", shape[0] / classes_ * classes_)
                                             : text::cat("use a multiple of ", classes_));
  return {{classes_}, Kind::Real};
}

namespace {

/// [B, N] -> [B, N / K, K].
Tensor votes_of(const Tensor& neurons, int64_t classes) {
  return neurons.reshape({neurons.size(0), -1, classes});
}

/// Variance of the number of spikes of each class, [B, K].
Tensor variance_of_votes(const Tensor& votes) {
  return (votes * (1 - votes)).sum(1).clamp_min(least_variance(votes.scalar_type()));
}

Tensor above_half(const Tensor& votes, const Tensor& variance) {
  return (votes.sum(1) - 0.5 * static_cast<double>(votes.size(1))) * variance.rsqrt();
}

}  // namespace

Tensor ClassSums::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor votes = votes_of(inputs[0], classes_);
  saved.t.clear();
  saved.shape = inputs[0].sizes().vec();
  if (score_ == ClassScore::Sums) return votes.sum(1);
  if (score_ == ClassScore::Means) return votes.mean(1);
  saved.t.assign(1, inputs[0]);
  return normal_cdf(above_half(votes, variance_of_votes(votes)));
}

Tensor ClassSums::slope(const Tensor& votes) const {
  const Tensor variance = variance_of_votes(votes), z = above_half(votes, variance);
  const Tensor density = normal_density(z);
  const Tensor open = variance.gt(least_variance(votes.scalar_type()));
  const Tensor by_sum = density * variance.rsqrt(),
               by_variance = -0.5 * density * z / variance * open;
  return by_sum.unsqueeze(1) + by_variance.unsqueeze(1) * (1 - 2 * votes);
}

Tensor ClassSums::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  const int64_t each = saved.shape[1] / classes_;
  Tensor out = cot.unsqueeze(1);
  if (score_ == ClassScore::Majority) {
    out = out * match_rows(slope(votes_of(saved.t[0], classes_)), cot);
  } else {
    if (score_ == ClassScore::Means) out = out / static_cast<double>(each);
    out = out.expand({cot.size(0), each, classes_});
  }
  return out.reshape({cot.size(0), saved.shape[1]});
}

Tensor ClassSums::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor votes = votes_of(tangent, classes_);
  if (score_ == ClassScore::Sums) return votes.sum(1);
  if (score_ == ClassScore::Means) return votes.mean(1);
  return (votes * match_rows(slope(votes_of(saved.t[0], classes_)), tangent)).sum(1);
}

}  // namespace altprop::cores
