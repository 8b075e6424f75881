// Damaged settings, rule texts and option values.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/words.h"
#include "altprop/network/init.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "support/fuzz.h"

namespace altprop {
namespace {

std::vector<std::string> documents() {
  RunSettings plain, full;
  full.rule = "kolen-pollack";
  full.rule_options = {{"kp.form", "implicit"}, {"feedback.scale", "0.5"}};
  full.data_options = {{"glyphs.train", "64"}, {"data-dir", "a \"b\"\\c\n\x7f"}};
  full.optimizer.lr_of = {"fc1=0.1", "bias=0"};
  full.init_of = {"fc1=0.5"};
  full.schedule.kind = "step";
  return {plain.to_toml(), full.to_toml(),
          "epochs = 3 # short\nlr = 1_000.5\nflip = true\nlr-of = ['fc1=2', \"b=3\"]\n"
          "rule-options.kp.form = 'implicit'\n[data-options]\nglyphs = { train = 0x40, noise = 0.5 "
          "}\n"};
}

TEST(Fuzz, Settings) {
  fuzz::run({.name = "config.toml",
             .seeds = documents(),
             .read =
                 [](const std::string& input) {
                   RunSettings first, second;
                   first.from_toml(input, "config.toml");
                   // What was accepted is kept, and read back, as it is.
                   const std::string kept = first.to_toml();
                   second.from_toml(kept, "again.toml");
                   EXPECT_EQ(second.to_toml(), kept);
                   EXPECT_EQ(second.to_json().dump(), first.to_json().dump());
                 },
             .rounds = 4000});
}

TEST(Fuzz, DeeplyNestedSettings) {
  for (const char* open : {"[", "{ a = ", "a."}) {
    std::string deep = "rule-options = ";
    if (std::string(open) == "a.") deep = "";
    for (int i = 0; i < 50'000; ++i) deep += open;
    RunSettings settings;
    EXPECT_THROW(settings.from_toml(deep, "config.toml"), UsageError);
  }
}

// ---- rule texts

/// Binds the rule to a small network; with `step` also trains it for a step.
void try_out(Learner& rule, Graph& net, const Loss& loss, bool step_too) {
  OptimizerSettings settings;
  rule.prepare_for(settings);
  rule.bind(net, loss, 1);
  OwnUpdater updater(settings);
  std::vector<ParamPtr> params = rule.trained();
  for (const ParamPtr& param : rule.owned()) params.push_back(param);
  updater.bind(params);
  if (!step_too) return;
  const Stream draws = Stream(2);
  Step step = Step::train(updater, {.inputs = draws.at("x").normal({4, 6}), .draws = draws},
                          at::arange(4));
  step.pass = rule.passes(0, 1).back();
  rule.step(step);
  EXPECT_EQ(rule.predict(step).sizes(), IntArrayRef({4, 4}));
}

bool has_large_number(const std::string& text) {
  int digits = 0;
  for (char c : text) {
    digits = std::isdigit(static_cast<unsigned char>(c)) ? digits + 1 : c == 'e' ? 9 : 0;
    if (digits > 3) return true;
  }
  return false;
}

TEST(Fuzz, RuleTexts) {
  const auto loss = make_loss("cross-entropy");
  fuzz::run({.name = "rules",
             .seeds = {"backprop,fa[feedback.scale=2,lr=0.001]", "kp[kp.form=implicit]",
                       "product-feedback-alignment[pfa.expand=10,pfa.density=0.5]",
                       "wm[wm.eta=0.1,wm.batches=2,wm.std=0.5]",
                       "dfa[dfa.max-outputs=100], usf , brsf[lr-of=fc1=0.1]", "last-layer-only"},
             .read =
                 [&](const std::string& input) {
                   for (const std::string& written : text::split_outside_brackets(input, ',')) {
                     RunSettings settings;
                     settings.rule = written;
                     expand_rule(settings);
                     const auto rule = make_rule(settings.rule, settings.rule_options);
                     EXPECT_EQ(rule_entry(settings.rule).name, settings.rule);
                     EXPECT_FALSE(settings.to_json().dump().empty());
                     Graph net = network("mlp:6-5-4");
                     initialise(net, Initialiser("xavier"), Stream(1));
                     // Many mirror batches would be as asked for, but long.
                     try_out(*rule, net, *loss, !has_large_number(written));
                   }
                 },
             .rounds = 3000});
}

// ---- every option there is

std::vector<std::string> awkward_values() {
  std::vector<std::string> out = {"",
                                  " ",
                                  "-",
                                  "=",
                                  ",",
                                  ",,",
                                  "a=b",
                                  "[",
                                  "]",
                                  "*",
                                  "none",
                                  "true",
                                  "TRUE",
                                  "on",
                                  "0",
                                  "1",
                                  "1.0",
                                  "01",
                                  "+1",
                                  "--1",
                                  "1e3",
                                  "1e400",
                                  "1x",
                                  "nan",
                                  "-nan",
                                  "inf",
                                  "0x1p3",
                                  "1,2",
                                  "1;2",
                                  "fc1=1",
                                  "fc1=",
                                  "=1",
                                  "fc1=nan",
                                  "xavier",
                                  "normal(0.1)",
                                  "normal(",
                                  "uniform(1,0)",
                                  "constant(nan)",
                                  "auto",
                                  "\n",
                                  "a\nb",
                                  "\x1b[2J",
                                  "\xff",
                                  "\xc3",
                                  "\xe2\x82\xac",
                                  std::string("a\0b", 3),
                                  std::string(100'000, '9'),
                                  std::string(100'000, '['),
                                  std::string(5000, ',')};
  for (int i = 0; i < 60; ++i) out.push_back(fuzz::awkward_number(Stream(5).at(i)));
  return out;
}

/// Every value is either taken, and then shown so that it can be set again, or refused.
void try_all(Options& options) {
  for (const std::string& name : options.names())
    for (const std::string& value : awkward_values()) {
      auto entry = [&] {
        for (const Options::Entry& e : options.entries())
          if (e.name == name) return e;
        throw std::logic_error(name);
      };
      const std::string before = entry().text();
      try {
        options.set(name, value);
        const std::string taken = entry().text();
        EXPECT_NO_THROW(options.set(name, taken)) << name << " shows " << taken;
        EXPECT_EQ(entry().text(), taken) << name;
        EXPECT_NO_THROW(options.values().dump()) << name;
      } catch (const UsageError& error) {
        const std::string message = error.what();
        EXPECT_EQ(entry().text(), before) << name << " changed, although it was refused";
        EXPECT_NE(message.find(name), std::string::npos) << message;
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        EXPECT_LT(message.size(), 2000u);
      } catch (const std::exception& other) {
        ADD_FAILURE() << name << ": " << other.what();
      }
    }
}

TEST(Fuzz, OptionsOfRuns) {
  RunSettings settings;
  Options options("settings");
  settings.declare(options);
  try_all(options);
}

TEST(Fuzz, OptionsOfRules) {
  for (const RuleEntry& entry : rule_entries()) {
    const auto rule = entry.make();
    Options options(entry.name);
    rule->declare(options);
    try_all(options);
  }
}

TEST(Fuzz, OptionsOfData) {
  for (const data::Source& source : data::list()) try_all(data::Request(source.name).options());
}

TEST(Fuzz, OptionsOfNetworks) {
  for (const ArchitectureEntry& entry : architecture_entries()) {
    const auto architecture = entry.make();
    Options options(entry.name);
    architecture->declare(options);
    try_all(options);
  }
  for (const WordEntry& entry : word_entries()) {
    const auto word = entry.make();
    Options options(entry.name);
    word->declare(options);
    try_all(options);
  }
}

}  // namespace
}  // namespace altprop
