#include "altprop/train/interrupt.h"

#include <csignal>

namespace altprop::interrupt {

namespace {

constexpr int kNotBySignal = -1;
/// The signal that asked for it, or kNotBySignal.
volatile std::sig_atomic_t stop_requested = 0;

void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void handle(int signal) {
  if (stop_requested) end_by(signal);
  stop_requested = signal;
}

}  // namespace

void install() {
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A closed pipe must not end a run, and a file that may not grow is to be reported.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool requested() { return stop_requested != 0; }
void end_if_signalled() {
  if (stop_requested > 0) end_by(stop_requested);
}
void request(bool stop) { stop_requested = stop ? kNotBySignal : 0; }

}  // namespace altprop::interrupt
