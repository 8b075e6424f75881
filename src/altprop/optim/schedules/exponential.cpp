// A power of the epoch: gamma^epoch, and from epoch late-from on late-gamma^epoch instead, as in
// the code of arXiv 2306.04810, which so makes the rate jump.
#include <cmath>

#include "altprop/optim/schedule.h"

namespace altprop {

namespace {

struct ExponentialRate : RateCurve {
  double factor(const Schedule& s, int64_t epoch, double, int64_t) const override {
    const bool late = s.late_from > 0 && epoch >= s.late_from;
    return std::pow(late ? s.late_gamma : s.gamma, static_cast<double>(epoch));
  }
};

const RegisterSchedule registered_exponential{
    {.name = "exponential",
     .curve = std::make_shared<ExponentialRate>(),
     .uses = std::vector<std::string>{"gamma", "late-from", "late-gamma"},
     .order = 40}};

}  // namespace

}  // namespace altprop
