// Which states to keep so that steps can be reversed with few of them: binomial checkpointing (A.
// Griewank, A. Walther, "Algorithm 799: revolve", 2000, ACM TOMS 26(1)).
//
// With c states kept at once and no step taken more than r times, beta(c, r) = C(c + r, c) steps
// can be reversed. For l steps, beta(c, r - 1) < l <= beta(c, r), the least number of steps taken
// before those that are reversed is  r l - beta(c + 1, r - 1),  which is reached by keeping the
// state behind  m  steps, with m and l - m such that both parts need no more than r - 1 and r.
#pragma once

#include <cstdint>
#include <vector>

namespace altprop::ode {

/// C(c + r, c), at most the largest integer; 0 for r < 0.
int64_t binomial_reach(int64_t c, int64_t r);

/// Of l >= 2 steps behind a state that is kept: after how many the next of c >= 2 states is kept,
/// the first one counted among the c.
int64_t first_part(int64_t l, int64_t c);

/// Steps that the reverse pass of l steps takes again, beside those that it reverses and the l - 1
/// of the forward pass.
int64_t repeated_steps(int64_t l, int64_t c);

/// c that grows with the steps: 1 + log2(steps), rounded up.
int64_t logarithmic_checkpoints(int64_t steps);

/// Says of each step of a forward pass whether its begin is kept.
class Keeping {
 public:
  /// @param steps 0: not known before; then states stand at equal distances, which are doubled
  /// where there would be more than c @param c 0: logarithmic
  Keeping(int64_t steps, int64_t c);
  /// Called for 0, 1, 2, ... @returns whether to keep it
  bool keep(int64_t number);
  /// Numbers that are kept no longer since the last `keep`.
  std::vector<int64_t> take_dropped();

 private:
  int64_t steps_, c_, distance_ = 1;
  std::vector<int64_t> kept_, dropped_;
  std::vector<int64_t> planned_;  ///< of a known number of steps, ascending
  size_t next_ = 0;
};

}  // namespace altprop::ode
