// One rule in training on one work, measured step by step.
#pragma once

#include <memory>

#include "altprop/data/loader.h"
#include "altprop/probes/kernels.h"
#include "altprop/train/experiment.h"

namespace altprop::bench {

/// What is trained. The nets are repeated in benchmarks/eager.py.
struct Work {
  std::string name, net;
  std::vector<int64_t> input_shape;
  int64_t batch;
  std::vector<std::string> optimizers;  ///< all rules use the first, backprop also the others
  std::vector<std::string> rules = {};  ///< measured where none are asked for; empty: all
  std::string loss = "cross-entropy";
  int64_t vocabulary = 0;  ///< above 0: samples are token numbers, with a target at every step
  bool dark = false;  ///< samples are from 0 to 1, four fifths of the values 0, as images of digits
  bool probabilities = false;  ///< samples are numbers in [0, 1)
};

const std::vector<Work>& works();

/// Random samples, or texts, and classes, a few batches of them, shared by the contenders on a
/// work.
struct Material {
  Material(const Work& work, int64_t batch);
  std::shared_ptr<const data::Splits> splits;
  std::vector<data::Batch> batches;
};

class Contender {
 public:
  /// Builds the experiment, runs a few steps to warm up, counts kernels and memory.
  /// @throws Refusal if the rule does not admit the network
  Contender(const Work& work, const std::string& rule, const std::string& optimizer,
            std::shared_ptr<const Material> material);

  /// One batch through every pass of an epoch.
  void step();
  /// Runs steps for about `budget` seconds, at least one. @returns the time of one in seconds,
  /// see typical_best
  double measure(double budget);
  /// Long name of the rule, without options.
  const std::string& rule() { return experiment_.settings().rule; }
  const std::vector<CountedKernel>& kernels() const { return kernels_; }
  int64_t peak_memory() const { return peak_memory_; }

 private:
  std::shared_ptr<const Material> material_;
  Experiment experiment_;
  std::vector<std::string> passes_;
  size_t steps_ = 0;
  std::vector<CountedKernel> kernels_;
  int64_t peak_memory_ = 0;
};

}  // namespace altprop::bench
