// What a rule has to say while it trains, each thing once.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace altprop {

class Notices {
 public:
  /// @param rule whose name stands in front of every sentence
  explicit Notices(std::string rule) : rule_(std::move(rule)) {}

  /// @param topic of which only the first sentence is said
  void say(const std::string& topic, const std::string& sentence);
  /// Sentences since the last call.
  std::vector<std::string> take();

 private:
  std::string rule_;
  std::set<std::string> said_;
  std::vector<std::string> fresh_;
};

/// A number in a sentence: two digits.
std::string figure(double value);

}  // namespace altprop
