// Ctrl-C as a request to stop at the next step.
#pragma once

namespace altprop::interrupt {

/// For commands that have something to save: from now on the first SIGINT or SIGTERM sets a flag; a
/// second one ends the program at once. A reader that closed its pipe and a file that may not grow
/// no longer end it either.
void install();
/// True once a stop was asked for.
bool requested();
/// Where a signal asked for it, ends the program as that signal would have, so that a shell sees 130
/// or 143 and leaves its loop. For programs, after all is saved and written.
void end_if_signalled();
/// For tests and libraries: asks for a stop, or takes the request back.
void request(bool stop = true);

}  // namespace altprop::interrupt
