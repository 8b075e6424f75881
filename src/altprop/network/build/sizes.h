// Lists of layer sizes in texts: "784-500x2-10".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace altprop {

inline constexpr int64_t kLargestWidth = 10'000'000;

/// One entry of a list of layers: a size, or a word the caller knows ("M", "*").
struct Size {
  int64_t value = 0;  ///< 0 for a word
  std::string word;   ///< what follows the number, or the whole entry
};

/// Splits at '-'; "500x2" stands for 500-500. `words` are the admissible words.
/// @throws UsageError with a clause saying what the list must be
std::vector<Size> parse_sizes(const std::string& written, const std::vector<std::string>& words);

/// The shape of a sample: "16x7x7". @throws UsageError with a clause saying what it must be
std::vector<int64_t> parse_shape(const std::string& written);

/// The layers of a whole network, at least `least` of them: "784-500-10"; `*` as the first or the
/// last stands for what the data have.
std::vector<Size> parse_layer_sizes(const std::string& written, size_t least);

struct InputInfo;

/// The shape of a sample of which the text states the number of values, 0 for '*'.
/// @throws UsageError if nobody knows, or text and data do not agree
std::vector<int64_t> input_shape_of(const std::string& network, int64_t stated,
                                    const InputInfo& info);
/// The number of outputs; `stated` is 0 for '*'. @throws UsageError if nobody knows
int64_t outputs_of(const std::string& network, int64_t stated, const InputInfo& info);

/// Throws unless `name` is an activation function.
void check_activation(const std::string& name);

}  // namespace altprop
