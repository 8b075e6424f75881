#include "altprop/train/interrupt.h"

#include <csignal>

namespace altprop::interrupt {

namespace {

volatile std::sig_atomic_t stop_requested = 0;

void handle(int signal) {
  if (stop_requested) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  stop_requested = 1;
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
void request(bool stop) { stop_requested = stop ? 1 : 0; }

}  // namespace altprop::interrupt
