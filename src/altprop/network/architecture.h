// Networks from one line of text: all architectures by name. An architecture registers itself from
// its own source file in network/build/.
//
//   Graph net = network("mlp:784-500-500-10:relu");
//   Graph net = network("resnet-20:width=8", {.input_shape = {3, 32, 32}, .classes = 100});
//
// The text is `name`, then settings separated by colons: positional ones first, then
// `option=value,option=value`. `name-20` is short for `name:20`, and `@path` stands for the text in
// that file. What the text does not state (the shape of a sample, the number of classes) comes from
// the data; what it states is checked against the data.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/network/builder.h"

namespace altprop {

/// What the data say about a network. Empty and 0 mean: not known, use the architecture's default.
struct InputInfo {
  std::vector<int64_t> input_shape;  ///< of one sample, e.g. {3, 32, 32}
  int64_t classes = 0;
  int64_t target_values = 0;  ///< of a regression: values of one target
  SizeLimits limits{};
  int64_t vocabulary = 0;  ///< above 0: samples are sequences of token numbers below it
  bool per_step = false;   ///< there is a target for every step of a sequence

  /// What '*' as the size of an output stands for: classes or, in a regression, values of a target.
  int64_t outputs() const { return classes > 0 ? classes : target_values; }
};

/// The settings of one network of a family, and how to build it.
struct Architecture {
  virtual ~Architecture() = default;
  virtual void declare(Options& options) = 0;
  /// @param info complete unless the entry has no defaults
  virtual Graph make(const InputInfo& info) const = 0;
};

struct ArchitectureEntry {
  std::string name;
  std::vector<std::string> aliases;
  std::string summary;                    ///< one sentence
  std::string grammar;                    ///< e.g. "lenet-mnist[:activation][:option=value,...]"
  std::string example;                    ///< a complete text
  std::string source;                     ///< authors, year, arXiv id; "" where there is none
  std::vector<int64_t> input_shape = {};  ///< used where there are no data; empty: the text says it
  int64_t classes = 0;                    ///< likewise
  std::vector<std::string> positional;    ///< names of the options that may be given by place
  bool density = false;     ///< its output goes by the samples, and not by classes or targets
  bool whole_text = false;  ///< everything behind the first colon is the only positional option
  std::function<std::unique_ptr<Architecture>()> make;
  int order = 100;  ///< position in listings
};

struct RegisterArchitecture {
  explicit RegisterArchitecture(ArchitectureEntry entry);
};

/// In listing order.
const std::vector<ArchitectureEntry>& architecture_entries();
/// By name or alias. @throws UsageError with a suggestion
const ArchitectureEntry& architecture_entry(const std::string& name);

/// The text itself, or, of `@path`, that of the file. @throws UsageError if it cannot be read
std::string network_text(const std::string& text);

/// Builds the network that the text describes; weights are zero until `initialise`.
/// @throws UsageError saying what is wrong, where in the text, and what to do
Graph network(const std::string& text, const InputInfo& info = {});

}  // namespace altprop
