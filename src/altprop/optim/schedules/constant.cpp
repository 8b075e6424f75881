// The same rate for the whole run.
#include "altprop/optim/schedule.h"

namespace altprop {

namespace {

struct ConstantRate : RateCurve {
  double factor(const Schedule&, int64_t, double, int64_t) const override { return 1; }
};

const RegisterSchedule registered_constant{{.name = "constant",
                                            .curve = std::make_shared<ConstantRate>(),
                                            .uses = std::vector<std::string>(),
                                            .order = 10}};

}  // namespace

}  // namespace altprop
