// The larger of two numbers, of which one may be no number.
#pragma once

namespace altprop {

/// NaN if either is: what has diverged must not count as having come to rest, as it would with
/// std::max, which drops a NaN that comes second.
inline double larger(double a, double b) { return a >= b ? a : b > a ? b : a != a ? a : b; }

}  // namespace altprop
