// All learning rules by name. A rule registers itself from its own source file:
//
//   const RegisterRule registered_feedback_alignment{
//       {.name = "feedback-alignment",
//        .aliases = {"fa"},
//        .summary = "...",
//        .source = "...",
//        .example_net = "mlp:784-100-10:relu",
//        .make = [] { return std::make_unique<FeedbackAlignment>(); }}};
//
// The variable carries the file's name: names in anonymous namespaces are unique over the library,
// because many files are compiled as one.
#pragma once

#include <functional>

#include "altprop/rules/rule.h"

namespace altprop {

struct RuleEntry {
  std::string name;                  ///< long name, words joined by hyphens
  std::vector<std::string> aliases;  ///< the literature's abbreviations
  std::string summary;               ///< one sentence
  std::string assumes;               ///< what biology or hardware must provide, a few words
  std::string source;                ///< authors, year, arXiv id
  std::string example_net;  ///< a network it admits, for contract tests, listings and documentation
  std::function<std::unique_ptr<Learner>()> make;
  int order = 100;  ///< position in listings
  /// What the contract tests ask for: the fraction of backprop's test accuracy that the rule
  /// reaches on its example network in six passes over 4000 glyphs. Lower it for a rule that is
  /// known to be slower, never for one that is broken; last-layer-only reaches half.
  double reaches = 0.93;
  /// The loss that goes with the example network, by name; for a rule with a loss of its own.
  std::string example_loss = "cross-entropy";
  /// Settings above those of the contract tests with which it learns the example network, as TOML;
  /// for a rule that the usual rate or normalisation does not suit.
  std::string example_settings = "";
  // What it refuses; contract tests hold it to that, and expect it to admit everything else.
  bool dense_only = false;         ///< all but chains of dense layers
  bool chains_only = false;        ///< skip connections
  bool refuses_sequences = false;  ///< recurrent networks with a target at every step
};

struct RegisterRule {
  explicit RegisterRule(RuleEntry entry);
};

/// In listing order.
const std::vector<RuleEntry>& rule_entries();
/// By name or alias. @throws UsageError with a suggestion
const RuleEntry& rule_entry(const std::string& name);

/// A rule as written by a user: "kolen-pollack[kp.form=implicit,lr=0.01]" -> name, options.
struct RuleText {
  std::string name;     ///< long name
  std::string label;    ///< as written, trimmed
  OptionValues values;  ///< the rule's own options and, for the caller to sort out, any others
};
RuleText parse_rule(const std::string& text);

/// @throws UsageError for unknown names, options and values
std::unique_ptr<Learner> make_rule(const std::string& name, const OptionValues& values = {});

/// Names of the options of a rule.
std::vector<std::string> rule_option_names(const std::string& name);
/// The whole name of a rule's option that is written in part; as written if there is none.
std::string rule_option_name(const std::string& rule, const std::string& written);

/// "predictive-coding: pc.time has no effect with pc.integrator=euler": sentences about options of
/// a rule that are not as they are by default, and that nothing reads. None for a rule that is not
/// registered, whose defaults nobody knows.
std::vector<std::string> options_without_effect(Learner& rule);

/// "" if the rule accepts the network, else the reason.
std::string refusal_of(const RuleEntry& entry, const Graph& net, const Loss& loss);

}  // namespace altprop
