#include "altprop/network/build/words.h"

#include <algorithm>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

std::string with_dashes(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// "k" -> "kernel" where the operation has a kernel.
std::string long_name(const std::string& name, const Options& options) {
  static const std::map<std::string, std::string> names = {
      {"k", "kernel"}, {"s", "stride"}, {"p", "padding"}, {"d", "dilation"}, {"g", "groups"}};
  const auto found = names.find(name);
  return found == names.end() || options.has(name) || !options.has(found->second) ? name
                                                                                  : found->second;
}

}  // namespace

const WordEntry& word_entry(const std::string& name) {
  const Registry<WordEntry>& words = registry_of<WordEntry>();
  if (const WordEntry* entry = words.find(with_dashes(name))) return *entry;
  return words.at(name);
}

int add_word(Builder& net, const WordUse& use, const std::vector<int>& inputs,
             const std::string& name, int64_t outputs) {
  const WordEntry* entry = nullptr;
  try {
    entry = &word_entry(use.word);
  } catch (const UsageError& error) {
    throw UsageError(use.where + ": " + error.what());
  }
  const std::unique_ptr<Word> word = entry->make();
  Options options(use.where);
  word->declare(options);
  auto set = [&](const std::string& option, const std::string& value) {
    if (value == "*" && outputs < 1)
      throw UsageError(use.where + ": '*' stands for the number of classes, which is not known " +
                       "here; write the number");
    options.set(option, value == "*" ? std::to_string(outputs) : value);
  };
  if (use.places.size() > entry->positional.size())
    throw UsageError(
        text::cat(use.where, ": '", entry->name, "' takes at most ", entry->positional.size(),
                  " settings by place", entry->positional.empty() ? "" : " (",
                  text::join(entry->positional, ", "), entry->positional.empty() ? "" : ")",
                  ", so '", use.places[entry->positional.size()], "' has none"));
  for (size_t i = 0; i < use.places.size(); ++i) set(entry->positional[i], use.places[i]);
  for (const auto& [option, value] : use.settings) {
    const std::string full = long_name(option, options);
    if (options.has(full) && options.given(full))
      throw UsageError(use.where + ": '" + full + "' is given twice; give it once");
    set(full, value);
  }
  for (size_t i = 0; i < entry->required; ++i)
    if (!options.given(entry->positional[i]))
      throw UsageError(use.where + ": '" + entry->name + "' needs '" + entry->positional[i] +
                       "', for example " + entry->name + " " + entry->positional[i] + "=16");
  if (!entry->several_inputs && inputs.size() != 1)
    throw UsageError(
        text::cat(use.where, ": '", entry->name, "' takes one input, not ", inputs.size()));
  if (entry->braces && !use.inside)
    throw UsageError(use.where + ": '" + entry->name + "' needs its operations in braces, as in " +
                     entry->name + "{linear 16, tanh}");
  if (!entry->braces && use.inside)
    throw UsageError(use.where + ": '" + entry->name +
                     "' has no operations of its own; leave the braces out");
  std::vector<int> all = inputs;
  if (use.inside) {
    const Body body = word->body(net.graph().node(inputs[0]).spec);
    word->inside = std::make_shared<Graph>(use.inside(body, all));
  }
  try {
    return word->add(net, all, name);
  } catch (const UsageError& error) {
    throw UsageError(use.where + ": " + error.what());
  }
}

}  // namespace altprop
