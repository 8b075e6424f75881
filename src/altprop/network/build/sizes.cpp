#include "altprop/network/build/sizes.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/ops/activation.h"

namespace altprop {

std::vector<Size> parse_sizes(const std::string& written, const std::vector<std::string>& words) {
  constexpr size_t kMostLayers = 2000;
  std::string admissible = "sizes joined by '-'";
  if (!words.empty()) admissible += " (also " + text::join(words, ", ") + ")";
  std::vector<Size> out;
  for (const std::string& raw : text::split(written, '-')) {
    const std::string entry = text::trim(raw);
    const size_t digits = std::min(entry.find_first_not_of("0123456789"), entry.size());
    const std::string rest = entry.substr(digits);
    Size size{digits ? text::to_integer(entry.substr(0, digits)).value_or(0) : 0, rest};
    int64_t times = 1;
    if (digits && rest.starts_with('x')) {
      times = text::to_integer(rest.substr(1)).value_or(0);
      size.word.clear();
    }
    const bool word_known = size.word.empty() || std::count(words.begin(), words.end(), size.word);
    if ((digits && size.value < 1) || (!digits && rest.empty()) || !word_known || times < 1 ||
        size.value > kLargestWidth ||
        times > static_cast<int64_t>(kMostLayers) - static_cast<int64_t>(out.size()))
      throw UsageError(text::cat(admissible, " with entries from 1 to ", kLargestWidth,
                                 " and at most ", kMostLayers, " of them (it fails at '",
                                 entry.substr(0, 40), "')"));
    out.insert(out.end(), static_cast<size_t>(times), size);
  }
  return out;
}

std::vector<int64_t> parse_shape(const std::string& written) {
  std::vector<int64_t> out;
  for (const std::string& part : text::split(written, 'x')) {
    const auto extent = text::to_integer(part);
    if (!extent || *extent < 1 || *extent > (1 << 28) || out.size() == 8)
      throw UsageError("extents of at least 1 joined by x, for example 16x7x7");
    out.push_back(*extent);
  }
  return out;
}

std::vector<Size> parse_layer_sizes(const std::string& written, size_t least) {
  std::vector<Size> list = parse_sizes(written, {"*"});
  for (size_t i = 0; i < list.size(); ++i)
    if (!list[i].word.empty() && (list[i].value || (i != 0 && i + 1 != list.size())))
      throw UsageError("sizes with '*' only as the first or the last of them");
  if (list.size() < least)
    throw UsageError(least < 3 ? "at least an input and an output size, as 784-10"
                               : "an input, at least one hidden and an output size, as 65-128-65");
  return list;
}

std::vector<int64_t> input_shape_of(const std::string& network, int64_t stated,
                                    const InputInfo& info) {
  if (info.input_shape.empty()) {
    if (stated) return {stated};
    throw UsageError(text::cat("network '", network,
                               "': '*' stands for the size of the data, which is not known here; "
                               "write the number"));
  }
  const int64_t found = Spec{info.input_shape}.numel();
  if (stated && stated != found)
    throw UsageError(text::cat("network '", network, "': it takes ", stated,
                               " values per sample but the data have ", found, " (shape ",
                               shape_text(info.input_shape), "); write ", network,
                               ":*-... to follow the data"));
  return info.input_shape;
}

int64_t outputs_of(const std::string& network, int64_t stated, const InputInfo& info) {
  const int64_t outputs = stated ? stated : info.outputs();
  if (outputs < 1)
    throw UsageError(text::cat("network '", network,
                               "': '*' stands for the number of classes (or of values of a "
                               "target), which is not known here; write the number"));
  return outputs;
}

void check_activation(const std::string& name) {
  try {
    Activation checked(name);
  } catch (const UsageError& error) {
    throw UsageError(std::string("the name of an activation function (") + error.what() + ")");
  }
}

}  // namespace altprop
