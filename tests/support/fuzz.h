// Damaged input for everything that reads. A reader must either accept an input and make something
// consistent of it, or refuse it with an altprop::Error whose message is one sentence; it must not
// crash, hang, take memory that does not follow from the input's size, or let a foreign exception
// out.
//
// The inputs are fixed by a seed. To run longer: ALTPROP_FUZZ_ROUNDS=100 (a factor), and
// ALTPROP_FUZZ_SEED=7 for other inputs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "altprop/tensor/random.h"

namespace altprop::fuzz {

/// One to four structured changes of one of the seeds: bytes, bits, runs, truncation, pieces of the
/// seeds moved or repeated, binary numbers (lengths, counts) and decimal numbers replaced by
/// awkward ones, digits by others.
std::string mutated(const std::vector<std::string>& seeds, const Stream& stream);

/// The text of an awkward number, small or huge, whole or not.
std::string awkward_number(const Stream& stream);

struct Target {
  std::string name;
  std::vector<std::string> seeds;  ///< well-formed inputs; each must be accepted
  /// Reads an input and checks (EXPECT_...) that what it accepts is consistent.
  std::function<void(const std::string&)> read;
  int64_t rounds = 2000;
  /// What an input may cost.
  int64_t most_bytes = int64_t{128} << 20;
  int most_seconds = 10;  ///< of the processor
};

struct Outcome {
  int64_t accepted = 0, refused = 0;
};

/// Reads the seeds and `rounds` damaged inputs. Reports a failure for every broken promise, and
/// expects that both outcomes occur, else the inputs test nothing.
Outcome run(const Target& target);

}  // namespace altprop::fuzz
