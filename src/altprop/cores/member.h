// One network that the hardware can run, drawn from the probabilities of a mapping: each synapse is
// drawn ONCE for a member, and stays for all images (Esser et al., NIPS 2015).
#pragma once

#include "altprop/cores/mapping.h"

namespace altprop::cores {

/// What becomes of a leak that is no whole number. Round: the nearest, of two the even one.
/// Stochastic: floor or ceil, drawn for each member, so that the mean is right.
enum class LeakMode { Round, Stochastic };

/// The mapping with connections of 0 or 1 and whole leaks. Draws belong to (seed, member, core).
Mapping draw_member(const Mapping& mapping, uint64_t seed, int64_t member, LeakMode leaks);

/// True if it has been drawn, so that all members are the same.
bool is_drawn(const Mapping& mapping);
/// @throws Error unless it has been drawn. `what_has` begins the sentence: "a member has".
void expect_drawn(const Mapping& mapping, const char* what_has);

}  // namespace altprop::cores
