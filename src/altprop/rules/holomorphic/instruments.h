// Figures of an epoch: how phases settled, how credits compare with the exact ones, how symmetric
// the feedback is.
#pragma once

#include "altprop/rules/holomorphic/diagnosis.h"
#include "altprop/rules/holomorphic/homeostasis.h"
#include "altprop/rules/holomorphic/implicit.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

class HolomorphicInstruments {
 public:
  /// @param field must outlive this
  explicit HolomorphicInstruments(const VectorField& field) : field_(field) {}

  void count(const Settled& free, const Settled& nudged);
  /// Samples of a batch whose nudged states overflowed.
  void overflowed(int64_t samples) { overflowed_ += static_cast<double>(samples); }
  /// What the guards did with a batch: samples dropped as unsettled, and by two points.
  void guarded(int64_t unsettled, int64_t by_two);
  /// Relative difference of the credits of N and of N / 2 points.
  void halved(double difference);
  /// Per layer, the mean over samples of the cosine between the two.
  void compare(const Field& credit, const Field& exact);
  /// Credits against the exact ones, and the feedback's symmetry, on some samples of a batch.
  /// @param draws of the symmetry per state, where it has no closed form
  void compare_with_exact(const SomeSamples& some, Homeostasis& homeostasis, int64_t draws,
                          HolomorphicDiagnosis& diagnosis);
  /// |J - J^T|^2 / 2n, and s / (s + a).
  void symmetry(double asymmetry, double score);

  /// By name; forgotten once asked for.
  std::vector<std::pair<std::string, double>> take();
  void state(StateIO io);

 private:
  const VectorField& field_;
  double batches_ = 0, free_sum_ = 0, nudged_sum_ = 0, free_residual_ = 0, nudged_residual_ = 0;
  double overflowed_ = 0, unsettled_ = 0, by_two_ = 0, by_two_batches_ = 0;
  double halvings_ = 0, halved_ = 0, looks_ = 0, symmetries_ = 0, asymmetry_ = 0, score_ = 0;
  std::vector<double> cosine_;  ///< per state, summed over looks
};

}  // namespace altprop
