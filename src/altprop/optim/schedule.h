// Learning rate over time. Each schedule is a class in a file of its own in optim/schedules/ and
// registers itself by name; the ramp of the first steps multiplies all of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/base/registry.h"

namespace altprop {

class RateCurve;

/// Which schedule, and the settings of all.
struct Schedule {
  std::string kind = "constant";        ///< a registered name
  std::vector<std::string> milestones;  ///< step: epochs at which the rate is multiplied by gamma
  double gamma = 0.1;     ///< exponential: the rate is multiplied by gamma^epoch, and from epoch
  int64_t late_from = 0;  ///< late_from on, if above 0, by late_gamma^epoch instead: a jump
  double late_gamma = 0.9;
  int64_t warmup_steps = 0;

  void declare(Options& options);
  /// "--milestones has no effect with --schedule cosine": settings that are not as they are by
  /// default, and that this kind does not look at.
  std::vector<std::string> without_effect() const;
  /// @throws UsageError if the schedule of this kind cannot be followed: no milestones
  void check() const;
  /// Factor on the learning rate at a step. @param epoch 0-based, @param fraction of the epoch
  /// done, @param step global step, 0-based
  double factor(int64_t epoch, double fraction, int64_t epochs, int64_t step) const;
};

class RateCurve {
 public:
  virtual ~RateCurve() = default;
  /// The factor without the ramp; see Schedule::factor.
  virtual double factor(const Schedule& schedule, int64_t epoch, double fraction,
                        int64_t epochs) const = 0;
  /// @throws UsageError if a setting that it needs is missing or malformed
  virtual void check(const Schedule& schedule) const {}
};

struct ScheduleEntry {
  std::string name;
  std::shared_ptr<const RateCurve> curve;
  /// Which of milestones, gamma, late-from, late-gamma count; unknown: nothing is said of any.
  std::optional<std::vector<std::string>> uses = {};
  int order = 100;  ///< position in listings
};

template <>
Registry<ScheduleEntry>& registry_of();
using RegisterSchedule = Registration<ScheduleEntry>;

/// In listing order.
std::vector<std::string> schedule_names();

}  // namespace altprop
