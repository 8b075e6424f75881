// What the gradient methods of a block cost in bytes and evaluations, before anything is trained,
// and which of them is the fastest in a given memory.
#pragma once

#include <span>

#include "altprop/ode/block.h"

namespace altprop::ode {

/// What a block's costs are made of, at one batch size.
struct Profile {
  std::string name;      ///< of the block's node
  int stages = 1;        ///< s
  int64_t steps = 0;     ///< N; adaptive: as measured, 0 if it was not
  int64_t max_steps = 0; ///< adaptive: at most; 0: equal steps
  int carried = 1;       ///< states that are carried from step to step
  bool inverts = false, runge_kutta = true, carries_slope = false;
  bool per_sample = false;  ///< steps of their own: N is the mean over the samples
  double growth_of_inverse = 1;
  int64_t state_bytes = 0;  ///< X
  int64_t kept_bytes = 0;   ///< U: that an evaluation keeps for its derivative
  int64_t sweep_bytes = 0;  ///< W: that the reverse pass through one evaluation takes beside them

  bool is_adaptive() const { return max_steps > 0; }
  /// The method exists for this solver.
  bool has(const GradientMethod& method) const;
};

/// Measures U, X and W of every block with one evaluation of f and its reverse pass, at zeros.
/// Blocks inside of blocks belong to the evaluations of these.
/// @param rows samples of a batch
std::vector<Profile> profiles(const Graph& net, int64_t rows);

/// Passes a batch forward, keeping nothing, and fills the steps of adaptive blocks with those that
/// they took. @returns what it has cost
Tally measure_steps(const Graph& net, const Tensor& inputs, std::span<Profile> profiles);

/// Most bytes alive at once in forward and reverse pass, for N steps.
int64_t bytes_of(const Profile& profile, const GradientMethod& method, int64_t steps);
/// The same of a network: the records of all blocks at once, and one reverse pass at a time.
int64_t bytes_of(std::span<const Profile> profiles, const GradientMethod& method);

/// Evaluations of f in the reverse pass, for N steps (Adjoint: about).
int64_t reverse_evaluations(const Profile& profile, const GradientMethod& method, int64_t steps);

/// The fastest exact method whose bytes fit. Evaluations count 1 and their reverse passes 2.
/// Adaptive blocks have as many checkpoints as fit, so that the memory holds however many steps
/// they take.
struct Choice {
  GradientMethod method;
  int64_t bytes;
  std::string sentence;  ///< which, and of what it takes how much
};
/// @throws UsageError naming the smallest that there is and its bytes
Choice fastest_within(std::span<const Profile> profiles, int64_t budget);

/// "2GB", "500 MB", "64kB", "1GiB", "1000000" in bytes; 0 for "". @throws UsageError
int64_t bytes_of_text(const std::string& text);

/// Sentences about blocks that will disappoint: steps backwards that lose all digits, rounding
/// errors above the tolerance. @param seen what a forward pass has cost; null: there was none
std::vector<std::string> warnings_of(std::span<const Profile> profiles, const Graph& net,
                                     const GradientMethod& method, const Tally* seen);

}  // namespace altprop::ode
