// Where spike times come from, and where they end: values to times (latency, direct coding), the
// first spike of a window of an image, and a read-out that does not fire.
#pragma once

#include "altprop/network/op.h"

namespace altprop::spiking {

/// Intensities x in [0, 1] to t = span (1 - x), the brighter the earlier; with `zero_is_silent`
/// what is 0 never fires. Negative ones and those above 1 are refused when they come. Saved.t =
/// {which ones never fire}.
OpPtr latency(double span = 1, bool zero_is_silent = true);

/// Any real values x, mostly those of a first convolution: a = clip(x, 0, 1), t = span (1 - a), a =
/// 0 never fires ("direct coding"). Credit passes where 0 < x < 1. Saved.t = {these}.
OpPtr direct_code(double span = 1);

/// The earliest spike of each window of [B, C, H, W]; where none fires, none. Padding never fires.
/// @param stride 0: same as `kernel`
OpPtr earliest_pool2d(int64_t kernel, int64_t stride = 0, int64_t padding = 0);

/// Units that do not fire: their potential sum_i W_ji (2T - t_i), i the inputs that fire, at the
/// end of the window behind that of the inputs [0, T]. Real values [B, out] of times [B, n]; W
/// [out, n]. Saved.t = {2T - t_i, 0 of silent inputs; 1 where they fire, else 0}.
/// @param weight that is shared; null: one of its own
OpPtr membrane(int64_t out, double window = 1, ParamPtr weight = nullptr);

}  // namespace altprop::spiking
