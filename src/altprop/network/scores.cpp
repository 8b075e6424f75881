#include "altprop/network/scores.h"

#include <cctype>
#include <limits>

#include "altprop/base/error.h"

namespace altprop {

double Score::mean() const {
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

void Scores::add(const std::string& name, double sum, double count, bool more_is_better) {
  for (Score& score : all_) {
    if (score.name != name) continue;
    if (score.more_is_better != more_is_better)
      throw Error("the score '" + name + "' is said to be better both when it grows and shrinks");
    score.sum += sum;
    score.count += count;
    return;
  }
  bool fits = !name.empty();
  for (const char c : name)
    fits &= std::islower(static_cast<unsigned char>(c)) ||
            std::isdigit(static_cast<unsigned char>(c)) || c == '_';
  if (!fits)
    throw Error("a score is named with lower-case letters, digits and '_', not '" + name + "'");
  all_.push_back({name, sum, count, more_is_better});
}

void Scores::add(const Scores& others) {
  for (const Score& score : others.all_)
    add(score.name, score.sum, score.count, score.more_is_better);
}

const Score* Scores::find(const std::string& name) const {
  for (const Score& score : all_)
    if (score.name == name) return &score;
  return nullptr;
}

std::optional<double> Scores::mean(const std::string& name) const {
  const Score* score = find(name);
  return score ? std::optional<double>(score->mean()) : std::nullopt;
}

double Scores::loss() const {
  return mean("loss").value_or(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace altprop
