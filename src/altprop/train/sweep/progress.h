// How far a sweep is, on the error output, in front of each run.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace altprop::sweeps {

class TotalProgress {
 public:
  /// @param epochs of all runs together, by rule
  TotalProgress(std::map<std::string, int64_t> epochs, bool quiet);
  /// A run is about to train so many epochs.
  void begin(const std::string& rule, const std::string& what, int64_t epochs);
  /// It has. @param trained whether it did, and had not been done already
  void end(const std::string& rule, int64_t epochs, bool trained);

 private:
  /// By what epochs of the rule took, else those of all rules; negative while nothing is known.
  double seconds_left() const;

  struct Share {
    int64_t all = 0, done = 0, timed = 0;
    double seconds = 0;
  };
  std::map<std::string, Share> shares_;
  bool quiet_;
  std::chrono::steady_clock::time_point begun_;
};

}  // namespace altprop::sweeps
