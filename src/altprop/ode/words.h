// What the words of ODE blocks and of right-hand sides with derivatives inside share.
#pragma once

#include "altprop/network/build/words.h"

namespace altprop::ode {

/// The input of a graph in braces that is its time, or -1.
int time_of(const Graph& graph);

/// Numbers of the parameters of a graph in braces, as Builder::add wants them.
double weights_in(const Graph& graph);

/// How the time enters the affine operations of a chain in braces. @param time none, concat or gate
void time_around_affine(const std::string& time, Body& body);

}  // namespace altprop::ode
