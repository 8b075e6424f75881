// Half a period of a cosine, from the full rate at the first step to none at the end of the last
// epoch. I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
// arXiv 1608.03983, equation 5 with one period.
#include <algorithm>
#include <cmath>

#include "altprop/optim/schedule.h"

namespace altprop {

namespace {

struct CosineRate : RateCurve {
  double factor(const Schedule&, int64_t epoch, double fraction, int64_t epochs) const override {
    const double progress = std::min(1.0, (static_cast<double>(epoch) + fraction) /
                                              static_cast<double>(std::max<int64_t>(1, epochs)));
    return 0.5 * (1 + std::cos(M_PI * progress));
  }
};

const RegisterSchedule registered_cosine{{.name = "cosine",
                                          .curve = std::make_shared<CosineRate>(),
                                          .uses = std::vector<std::string>(),
                                          .order = 30}};

}  // namespace

}  // namespace altprop
