#include "altprop/train/sweep/progress.h"

#include <cstdio>

#include "altprop/base/short_number.h"
#include "altprop/base/text.h"

namespace altprop::sweeps {

TotalProgress::TotalProgress(std::map<std::string, int64_t> epochs, bool quiet) : quiet_(quiet) {
  for (const auto& [rule, n] : epochs) shares_[rule].all = n;
}

double TotalProgress::seconds_left() const {
  double seconds = 0;
  int64_t timed = 0;
  for (const auto& [rule, share] : shares_) {
    seconds += share.seconds;
    timed += share.timed;
  }
  if (timed == 0) return -1;
  const double usual = seconds / static_cast<double>(timed);
  double left = 0;
  for (const auto& [rule, share] : shares_)
    left += static_cast<double>(share.all - share.done) *
            (share.timed ? share.seconds / static_cast<double>(share.timed) : usual);
  return left;
}

void TotalProgress::begin(const std::string& rule, const std::string& what, int64_t epochs) {
  begun_ = std::chrono::steady_clock::now();
  if (quiet_) return;
  int64_t all = 0, done = 0;
  for (const auto& [name, share] : shares_) {
    all += share.all;
    done += share.done;
  }
  const double left = seconds_left();
  std::fprintf(stderr, "sweep: %s, %s of %s; %ld of %ld epochs done%s\n", what.c_str(),
               text::cat(epochs, epochs == 1 ? " epoch" : " epochs").c_str(), rule.c_str(),
               static_cast<long>(done), static_cast<long>(all),
               left < 0 ? "" : (", about " + text::clock_text(left) + " left").c_str());
}

void TotalProgress::end(const std::string& rule, int64_t epochs, bool trained) {
  Share& share = shares_[rule];
  share.done += epochs;
  if (!trained) return;
  share.timed += epochs;
  share.seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

}  // namespace altprop::sweeps
