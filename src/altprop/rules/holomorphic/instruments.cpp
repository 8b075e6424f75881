#include "altprop/rules/holomorphic/instruments.h"

#include <algorithm>

#include "altprop/base/larger.h"
#include "altprop/base/text.h"

namespace altprop {

void HolomorphicInstruments::count(const Settled& free, const Settled& nudged) {
  ++batches_;
  free_sum_ += static_cast<double>(free.steps);
  nudged_sum_ += static_cast<double>(nudged.steps);
  free_residual_ = larger(free_residual_, free.residual);
  nudged_residual_ = larger(nudged_residual_, nudged.residual);
}

void HolomorphicInstruments::guarded(int64_t unsettled, int64_t by_two) {
  unsettled_ += static_cast<double>(unsettled);
  by_two_ += static_cast<double>(by_two);
  if (by_two) ++by_two_batches_;
}

void HolomorphicInstruments::halved(double difference) {
  ++halvings_;
  halved_ += difference;
}

void HolomorphicInstruments::compare(const Field& credit, const Field& exact) {
  cosine_.resize(credit.size(), 0);
  ++looks_;
  for (size_t s = 0; s < credit.size(); ++s) {
    if (!credit[s].defined() || !exact[s].defined()) continue;
    const Tensor a = credit[s].flatten(1), b = exact[s].flatten(1);
    const Tensor cosine = (a * b).sum(1) / (a.norm(2, {1}) * b.norm(2, {1})).clamp_min_(1e-30);
    cosine_[s] += cosine.mean().item<double>();
  }
}

void HolomorphicInstruments::compare_with_exact(const SomeSamples& some, Homeostasis& homeostasis,
                                                int64_t draws, HolomorphicDiagnosis& diagnosis) {
  const Linearised::Solved solved = some.exact(field_);
  if (!(solved.residual < 1e-2)) diagnosis.unsolved(solved.residual, solved.steps);
  compare(some.credits, solved.lambda);
  if (!field_.directed()) return;
  const SampleDraws drawn(some.look.draws.at("hep.symmetry"), some.look.row_ids());
  symmetry(homeostasis.loss(some.rest, drawn, draws),
           homeostasis.symmetry(some.rest, drawn, draws));
}

void HolomorphicInstruments::symmetry(double asymmetry, double score) {
  ++symmetries_;
  asymmetry_ += asymmetry;
  score_ += score;
}

std::vector<std::pair<std::string, double>> HolomorphicInstruments::take() {
  if (batches_ == 0) return {};
  std::vector<std::pair<std::string, double>> out = {{"free_steps", free_sum_ / batches_},
                                                     {"nudged_steps", nudged_sum_ / batches_},
                                                     {"free_residual", free_residual_},
                                                     {"nudged_residual", nudged_residual_},
                                                     {"dropped_samples", overflowed_ + unsettled_}};
  if (unsettled_ > 0) out.emplace_back("unsettled_samples", unsettled_);
  if (by_two_ > 0) {
    out.emplace_back("two_point_samples", by_two_);
    out.emplace_back("two_point_batches", by_two_batches_);
    out.emplace_back("batches", batches_);
  }
  if (halvings_ > 0) out.emplace_back("half_the_points_apart", halved_ / halvings_);
  if (looks_ > 0)
    for (size_t s = 0; s < cosine_.size(); ++s)
      if (field_.moves(static_cast<int>(s)))
        out.emplace_back("credit_cosine_" + field_.layer(static_cast<int>(s)), cosine_[s] / looks_);
  if (symmetries_ > 0) {
    out.emplace_back("asymmetry", asymmetry_ / symmetries_);
    out.emplace_back("symmetry_score", score_ / symmetries_);
  }
  batches_ = free_sum_ = nudged_sum_ = free_residual_ = nudged_residual_ = 0;
  overflowed_ = unsettled_ = by_two_ = by_two_batches_ = halvings_ = halved_ = 0;
  looks_ = symmetries_ = asymmetry_ = score_ = 0;
  cosine_.clear();
  return out;
}

void HolomorphicInstruments::state(StateIO io) {
  cosine_.resize(field_.net().graph.states.size(), 0);
  for (size_t s = 0; s < cosine_.size(); ++s) io.number(text::cat("cosine.", s), cosine_[s]);
  io.number("batches", batches_);
  io.number("free_sum", free_sum_);
  io.number("nudged_sum", nudged_sum_);
  io.number("free_residual", free_residual_);
  io.number("nudged_residual", nudged_residual_);
  io.number("overflowed", overflowed_);
  io.number("unsettled", unsettled_);
  io.number("by_two", by_two_);
  io.number("by_two_batches", by_two_batches_);
  io.number("halvings", halvings_);
  io.number("halved", halved_);
  io.number("looks", looks_);
  io.number("symmetries", symmetries_);
  io.number("asymmetry", asymmetry_);
  io.number("score", score_);
}

}  // namespace altprop
