#include "altprop/spiking/window_times.h"

#include <cmath>

namespace altprop::spiking {

WindowTimes window_times(const Tensor& s, const Tensor& i, double window, double clamp) {
  const double T = window;
  const Tensor lift = s * T - i;  // of the potential when the window opens
  const Tensor early = lift.ge(T), slope = s + 1;
  // Between the ends: 0 < (T - lift)/(1 + S) <= T, without a difference of large numbers.
  const Tensor rest = (lift.neg() + T);
  const Tensor inside =
      early.logical_not().logical_and(slope.gt(0)).logical_and(rest.le(slope * T));
  const Tensor safe = slope.masked_fill(inside.logical_not(), 1);
  const Tensor t = rest / safe;
  const Tensor lost = (lift + slope).isnan();
  WindowTimes out;
  out.times = at::where(inside, t, at::full_like(t, INFINITY)).masked_fill_(early, 0);
  const Tensor flat =
      inside.logical_and(out.times.gt(0)).logical_and(out.times.lt(T)).logical_not();
  out.by_times = safe.reciprocal();
  out.by_spikes = (i + 2 * T) * out.by_times.square();
  out.by_spikes.neg_();
  if (std::isfinite(clamp)) {
    out.by_times.clamp_(-clamp, clamp);
    out.by_spikes.clamp_(-clamp, clamp);
  }
  out.by_times.masked_fill_(flat, 0);
  out.by_spikes.masked_fill_(flat, 0);
  // No order and no bound holds for NaN, which has to show.
  for (Tensor* part : {&out.times, &out.by_times, &out.by_spikes}) part->masked_fill_(lost, NAN);
  return out;
}

}  // namespace altprop::spiking
