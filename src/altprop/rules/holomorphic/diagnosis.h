// What can go wrong on the circle, said once each, with the numbers and what to do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "altprop/rules/holomorphic/estimate.h"
#include "altprop/rules/notices.h"

namespace altprop {

class HolomorphicDiagnosis {
 public:
  /// @param field must outlive this
  explicit HolomorphicDiagnosis(const VectorField& field) : field_(field) {}

  void look_at_free(const Settled& settled, double damping);
  /// @param residuals of the last step, per block of rows
  /// @returns the relative difference of the credits of N and of N / 2 points; none for odd N
  std::optional<double> look_at_nudged(const Circle& circle, const Field& rest,
                                       const std::vector<double>& residuals, double radius);
  /// Samples whose nudged states were not finite, of so many.
  void overflowed(int64_t samples, int64_t of);
  /// Samples that the guards dropped and those that they gave two points, of so many.
  void guarded(int64_t unsettled, int64_t by_two, int64_t of);
  /// The exact credit did not converge in `steps`.
  void unsolved(double residual, int64_t steps);

  /// Sentences since the last call.
  std::vector<std::string> take() { return notices_.take(); }

 private:
  std::optional<double> look_at_radius(const Circle& circle, const Field& rest, double radius);

  const VectorField& field_;
  Notices notices_{"holomorphic-ep"};
  Settled free_;
};

}  // namespace altprop
