#include "altprop/rules/notices.h"

#include <cstdio>

namespace altprop {

void Notices::say(const std::string& topic, const std::string& sentence) {
  if (said_.insert(topic).second) fresh_.push_back(rule_ + ": " + sentence);
}

std::vector<std::string> Notices::take() {
  std::vector<std::string> out;
  out.swap(fresh_);
  return out;
}

std::string figure(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2g", value);
  return buffer;
}

}  // namespace altprop
