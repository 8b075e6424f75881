// The words for operations in network texts ("conv 32 k=3", "conv(x, 32, k=3)"): one table for all
// grammars, each setting declared once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/base/registry.h"
#include "altprop/network/builder.h"

namespace altprop {

/// Graphs in braces inside of each other.
constexpr int kDeepestBraces = 8;

/// What the graph in a word's braces is made of, before its first operation.
struct BodyInput {
  std::string name;
  Spec spec;
};
struct Body {
  std::vector<BodyInput> inputs;
  /// In `chain`: these words are put in front of and behind each affine operation. In `dag`
  /// everything is written out, and a body that wants this is refused.
  std::string before_affine = "", after_affine = "";
  /// In `dag`: nodes from outside of the braces may be named in them. Each becomes a further input of
  /// the graph, and of the operation that the graph belongs to, in the same order.
  bool constants = false;
};

/// The settings of one use of a word, and how to add its operation to a network.
struct Word {
  virtual ~Word() = default;
  virtual void declare(Options& options) {}
  /// Of words with braces: what their graph takes where the word stands behind that value.
  virtual Body body(const Spec& input) const { return {}; }
  std::shared_ptr<Graph> inside;  ///< ... and that graph, when `add` is called
  virtual int add(Builder& net, const std::vector<int>& inputs, const std::string& name) const = 0;
};

struct WordEntry {
  std::string name;
  std::vector<std::string> aliases;
  std::string summary;
  std::vector<std::string> positional;  ///< options that may be given by place
  size_t required = 0;                  ///< how many of those must be given
  bool several_inputs = false;
  std::function<std::unique_ptr<Word>()> make;
  bool braces = false;  ///< a graph in braces belongs to it, as in ode{linear 8, tanh}
  int order = 1000;     ///< position in listings
};

template <>
Registry<WordEntry>& registry_of();

/// For operations of rooms above this one: the word joins the table.
using RegisterWord = Registration<WordEntry>;

const std::vector<WordEntry>& word_entries();
/// By name or alias; '_' and '-' are alike. @throws UsageError with a suggestion
const WordEntry& word_entry(const std::string& name);

/// A word as it was used, with its settings still as text.
struct WordUse {
  std::string where;  ///< "item 3 'conv 32 k=0'", for error sentences
  std::string word;
  std::vector<std::string> places;                              ///< values given by place
  std::vector<std::pair<std::string, std::string>> settings{};  ///< values given by name
  /// Reads what is in the braces; null where there are none. Adds the nodes from outside that are
  /// named in them to the operation's inputs.
  std::function<Graph(const Body&, std::vector<int>& inputs)> inside{};
};

/// Adds the operation. A value `*` stands for the number of classes; k, s, p, d, g are short for
/// kernel, stride, padding, dilation, groups.
/// @returns the new node. @throws UsageError naming `where`
int add_word(Builder& net, const WordUse& use, const std::vector<int>& inputs,
             const std::string& name, int64_t outputs);

}  // namespace altprop
