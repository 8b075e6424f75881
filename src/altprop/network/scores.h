// Figures of merit as sums and counts, so that they add up over batches and over machines.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace altprop {

struct Score {
  std::string name;  ///< one word of lower-case letters, digits and '_': part of records' keys
  double sum = 0;
  double count = 0;  ///< mostly of samples
  bool more_is_better = false;
  double mean() const;  ///< NaN of nothing
};

class Scores {
 public:
  /// Adds to the score of that name. @throws Error for a name that records cannot hold, or if the
  /// same name was better the other way round
  void add(const std::string& name, double sum, double count, bool more_is_better = false);
  void add(const Scores& others);

  /// In the order in which they were first added.
  const std::vector<Score>& all() const { return all_; }
  const Score* find(const std::string& name) const;
  /// None where there is no such score.
  std::optional<double> mean(const std::string& name) const;
  /// The ones that every learner has unless it judges otherwise.
  double loss() const;
  std::optional<double> accuracy() const { return mean("accuracy"); }

 private:
  std::vector<Score> all_;
};

}  // namespace altprop
