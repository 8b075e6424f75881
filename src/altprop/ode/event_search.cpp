// Where on the way of a step an event happens.
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/adaptive.h"
#include "altprop/ode/dense.h"

namespace altprop::ode {

namespace {

/// The sign changes, in the direction that counts. A begin at zero has no sign yet.
bool crosses(double before, double after, int direction) {
  if (before == 0 || (before > 0) == (after > 0 || (after == 0 && before < 0))) return false;
  return direction == 0 || (direction > 0) == (before < 0);
}

}  // namespace

void Adaptive::expect_event_value(double value, const Clock& clock) const {
  if (std::isfinite(value)) return;
  throw Diverged(text::cat("ode: sample ", clock.row,
                           " of the batch: the event's g is not finite in "
                           "the step from time ",
                           text::from_number(clock.t),
                           "; let it be a number wherever the solution comes"));
}

// Bisection of theta, of all samples whose sign changes at once.
void Adaptive::look_for_event(const TimeStep& step, const Tensor& begin, StepResult& result,
                              const std::vector<Clock*>& clocks, std::vector<Read>& reads) {
  const std::vector<double> after =
      journey_.event->value(end_time(step, begin), method_.state(result.end));
  std::vector<Read> found;
  for (size_t i = 0; i < clocks.size(); ++i) {
    Clock& clock = *clocks[i];
    expect_event_value(after[i], clock);
    if (crosses(clock.event, after[i], journey_.event->direction)) {
      clock.arrived = true;
      found.push_back({journey_.event->output, 0, 1, static_cast<int64_t>(i)});
    } else if (after[i] != 0) {
      clock.event = after[i];
    }
  }
  if (found.empty()) return;
  const std::vector<Tensor> slopes = slopes_of(result.k, result.last.slope);
  std::vector<double> low(found.size(), 0), high(found.size(), 1);
  constexpr int kHalvings = 60;
  for (int n = 0; n < kHalvings; ++n) {
    std::vector<double> times;
    std::vector<int64_t> rows;
    for (size_t m = 0; m < found.size(); ++m) {
      const auto place = static_cast<size_t>(found[m].place);
      found[m].theta = (low[m] + high[m]) / 2;
      times.push_back(step.each->t[place] + found[m].theta * step.each->h[place]);
      rows.push_back(step.each->rows[place]);
    }
    const Tensor x = Between(method_, step, found).states(begin, slopes);
    const std::vector<double> values = journey_.event->value(
        {at::tensor(times, at::kDouble), at::tensor(rows, at::kLong).to(x.device())}, x);
    for (size_t m = 0; m < found.size(); ++m) {
      const double before = clocks[static_cast<size_t>(found[m].place)]->event;
      const bool still = (before > 0) == (values[m] > 0) && values[m] != 0;
      (still ? low : high)[m] = found[m].theta;
    }
  }
  for (size_t m = 0; m < found.size(); ++m) {
    Read& read = found[m];
    const auto place = static_cast<size_t>(read.place);
    read.theta = high[m];
    read.time = step.each->t[place] + read.theta * step.each->h[place];
    // What would have been read behind the event is not.
    std::erase_if(reads, [&](const Read& other) {
      return other.place == read.place && other.theta > read.theta;
    });
    step.each->output[place] = -1;
    reads.push_back(read);
  }
}

}  // namespace altprop::ode
