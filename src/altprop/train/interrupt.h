// Ctrl-C as a request to stop at the next step.
#pragma once

namespace altprop::interrupt {

/// From now on the first SIGINT or SIGTERM sets a flag; a second one ends the program at once.
void install();
/// True once a stop was asked for.
bool requested();
/// For tests and libraries: asks for a stop, or takes the request back.
void request(bool stop = true);

}  // namespace altprop::interrupt
