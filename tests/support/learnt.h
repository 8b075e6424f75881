// Bounds on what is learnt. They are set by the spread over seeds, which tools/spreads.py measures:
// it repeats the tests with other seeds and reads what they found from googletest's records.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "altprop/base/text.h"

namespace altprop::test {

/// What is added to the seeds of such tests: ALTPROP_TEST_SEED, which is 0 where it is not set.
inline uint64_t seed_offset() {
  static const char* const written = std::getenv("ALTPROP_TEST_SEED");
  static const uint64_t offset = written ? std::strtoull(written, nullptr, 10) : 0;
  return offset;
}

/// Seeds of a figure that is the mean of two.
inline std::vector<uint64_t> two_seeds() {
  return {1 + 2 * seed_offset(), 2 + 2 * seed_offset()};
}

/// For tools/spreads.py. @param what a few words; brackets and '=' become '_', as does a blank
inline void record_learnt(std::string what, double found, const char* side, double bound) {
  std::replace_if(
      what.begin(), what.end(),
      [](unsigned char c) { return !std::isalnum(c) && c != '-' && c != '.'; }, '_');
  ::testing::Test::RecordProperty("learnt_" + what, text::cat(found, side, bound));
}

/// Expects found >= bound.
inline void expect_learnt_at_least(const std::string& what, double found, double bound) {
  record_learnt(what, found, " at least ", bound);
  EXPECT_GE(found, bound) << what;
}

/// Expects found <= bound.
inline void expect_learnt_at_most(const std::string& what, double found, double bound) {
  record_learnt(what, found, " at most ", bound);
  EXPECT_LE(found, bound) << what;
}

}  // namespace altprop::test
