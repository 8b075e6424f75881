// Steps: the rate is multiplied by gamma at each milestone.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/optim/schedule.h"

namespace altprop {

namespace {

struct StepRate : RateCurve {
  double factor(const Schedule& s, int64_t epoch, double, int64_t) const override {
    double factor = 1;
    for (const std::string& item : s.milestones)
      if (epoch >= milestone(item)) factor *= s.gamma;
    return factor;
  }
  void check(const Schedule& s) const override {
    if (s.milestones.empty())
      throw UsageError(
          "the step schedule needs --milestones, the epochs after which the rate changes");
    for (const std::string& item : s.milestones) milestone(item);
  }
  static int64_t milestone(const std::string& item) {
    const auto at = text::to_integer(item);
    if (!at || *at < 0)
      throw UsageError("option 'milestones' takes whole numbers of epochs, but has '" + item + "'");
    return *at;
  }
};

const RegisterSchedule registered_step{{.name = "step",
                                        .curve = std::make_shared<StepRate>(),
                                        .uses = std::vector<std::string>{"milestones", "gamma"},
                                        .order = 20}};

}  // namespace

}  // namespace altprop
