// How fast this machine can run one kernel: the best of all ways that libtorch offers to call it.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "altprop/probes/kernels.h"

namespace altprop::bench {

/// The call forms of one kernel on operands of its own: for a product each operand as it is or
/// transposed, the product or its transpose, from libtorch's matrix library, from oneDNN or by the
/// own kernel; for a convolution plain or channels-last layout of images and weights.
class KernelRace {
 public:
  /// Allocates operands and tries every form; the fastest few stay in the race.
  explicit KernelRace(const Kernel& kernel);
  /// Times the remaining forms once more, for about `budget` seconds in all.
  void round(double budget);
  /// Best time of the best form in any round.
  double seconds() const { return winner().seconds; }
  const std::string& form() const { return winner().name; }

 private:
  struct Form {
    std::string name;
    std::function<void()> call;
    double seconds = std::numeric_limits<double>::infinity();
  };
  const Form& winner() const;
  void time(Form& form, double budget);
  void add_product_forms(const Kernel& kernel);
  void add_convolution_forms(const Kernel& kernel);

  std::vector<Form> forms_;
};

/// Races for all kernels of several rules: what two rules both need is timed once a round.
class Limits {
 public:
  void add(const std::vector<CountedKernel>& kernels);
  /// Times every kernel once more. @param budget seconds per kernel
  void round(double budget);
  /// Time of all these kernels, each at its best.
  double seconds(const std::vector<CountedKernel>& kernels) const;
  /// Every kernel, its fastest form, and its rate in FLOP/s.
  struct Entry {
    std::string kernel, form;
    double rate;
  };
  std::vector<Entry> entries() const;

 private:
  struct Timed {
    KernelRace race;
    double flops;
  };
  std::map<std::string, Timed> timed_;
};

}  // namespace altprop::bench
