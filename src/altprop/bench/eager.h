// Eager PyTorch in a child process, doing the same work in turns with us.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace altprop::bench {

class EagerPeer {
 public:
  /// Starts benchmarks/eager.py. @param python interpreter with torch
  /// @returns null if it does not start or has no torch; its own words went to stderr
  static std::unique_ptr<EagerPeer> start(const std::string& python, int threads,
                                          bool processor_time);
  ~EagerPeer();
  EagerPeer(const EagerPeer&) = delete;

  /// Seconds of a training step (see typical_best), of those that fit into `budget` seconds.
  /// Nothing if the script does not know this work. @throws Error if the process has ended
  std::optional<double> step_seconds(const std::string& work, const std::string& rule,
                                     const std::string& optimizer, int64_t batch, double budget,
                                     bool compiled = false);
  /// Most bytes alive at once in a step: model, optimizer and step, without data.
  std::optional<int64_t> peak_memory(const std::string& work, const std::string& rule,
                                     const std::string& optimizer, int64_t batch);

 private:
  EagerPeer(int pid, int socket) : pid_(pid), socket_(socket) {}
  /// The number that answers a request, or nothing. @param wanted "memory", or seconds to spend and
  /// perhaps "compile" @throws Error if the process has ended
  std::optional<double> ask(const std::string& work, const std::string& rule,
                            const std::string& optimizer, int64_t batch, const std::string& wanted);
  /// Nothing at the end of the stream.
  std::optional<std::string> read_line();

  int pid_, socket_;
  std::string unread_;
};

}  // namespace altprop::bench
