#include "altprop/ode/failure.h"

#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {

std::string of_whom(const Where& where) {
  return where.sample < 0 ? "ode: " : text::cat("ode: sample ", where.sample, " of the batch: ");
}

std::string time_and_step(const Where& where) {
  return text::cat("time ", text::from_number(where.t), ", in step ", where.step);
}

/// Two digits are all that the estimate has.
std::string two_digits(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.2g", x);
  return out;
}

/// What is known of |lambda| h, and what to do.
std::string remedy(const Scheme& method, const Stiffness& s) {
  std::string seen;
  if (s.seen > 0)
    seen = text::cat("; |lambda| h was about ", two_digits(s.seen),
                     s.bound > 0 ? text::cat(", of ", two_digits(s.bound), " that solver '",
                                             method.name(), "' can take")
                                 : "");
  if (s.found)
    return seen +
           ": the equation is stiff, which needs an implicit solver, and altprop has none: solve "
           "it "
           "elsewhere, or make f milder (weight decay, a lower learning rate) or T smaller";
  return seen +
         "; the equation may be too stiff for an explicit method or its solution grow without "
         "bound: lower the time T or raise the tolerances, and lower the learning rate if training "
         "has led here";
}

}  // namespace

void fail_not_finite(const Where& where) {
  throw Diverged(text::cat(of_whom(where), "the state is not finite at ", time_and_step(where),
                           "; lower the time T or take more steps, and lower the learning rate if "
                           "training has led here"));
}

void fail_underflow(const Where& where, const Scheme& method, const Stiffness& stiffness) {
  throw Diverged(text::cat(of_whom(where), "the step size underflows at ", time_and_step(where),
                           remedy(method, stiffness)));
}

void fail_too_many(const Where& where, int64_t max_steps, double goal, const Scheme& method,
                   const Stiffness& stiffness) {
  throw Diverged(text::cat(of_whom(where), "after ", max_steps,
                           " steps, rejected ones among them, time ", text::from_number(where.t),
                           " of ", text::from_number(goal), " is reached, in step ", where.step,
                           remedy(method, stiffness), ", or raise max-steps"));
}

}  // namespace altprop::ode
