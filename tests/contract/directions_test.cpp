// Promises that every registered direction keeps with every rule: it trains, or one sentence says
// why not and what to use instead; a resumed run equals an uninterrupted one.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"
#include "support/device.h"

namespace altprop::direction_contract {
namespace {

RunSettings settings_for(const RuleEntry& rule, const std::string& direction) {
  RunSettings s;
  s.rule = rule.name;
  s.net = rule.example_net;
  s.loss = rule.example_loss;
  s.data_options = {{"glyphs.train", "200"}, {"glyphs.test", "50"}};
  s.direction = direction;
  s.optimizer.lr = 0.005;
  s.batch = 50;
  s.epochs = 2;
  s.max_steps = 9;  // of four a pass
  s.threads = 1;
  s.device = test::test_device().str();
  s.probe_every = 0;
  return s;
}

std::vector<Tensor> weights(Graph& net) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : net.params()) out.push_back(param->value.clone());
  return out;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i].equal(b[i])) return false;
  return true;
}

class EveryDirection : public ::testing::TestWithParam<size_t> {
 protected:
  const DirectionEntry& entry() const { return direction_entries()[GetParam()]; }
};

TEST_P(EveryDirection, DescribesItself) {
  EXPECT_FALSE(entry().summary.empty());
  for (const auto& option : direction_options(entry().name)) {
    EXPECT_NE(option["name"].get<std::string>().find('.'), std::string::npos) << option;
    EXPECT_TRUE(is_direction_option(option["name"])) << option;
  }
}

TEST_P(EveryDirection, TrainsEveryRuleOrSaysWhyNot) {
  int64_t trained = 0;
  for (const RuleEntry& rule : rule_entries()) {
    SCOPED_TRACE(rule.name);
    try {
      Experiment run(settings_for(rule, entry().name));
      std::vector<ParamPtr> params = run.rule().trained();
      for (const ParamPtr& p : run.rule().owned()) params.push_back(p);
      std::vector<Tensor> before;
      for (const ParamPtr& p : params) before.push_back(p->value.clone());
      run.trainer().run();
      run.trainer().require_finite();
      std::vector<Tensor> after;
      for (const ParamPtr& p : params) after.push_back(p->value);
      EXPECT_FALSE(same(before, after));
      ++trained;
    } catch (const Refusal& refusal) {
      EXPECT_FALSE(refusal.instead.empty()) << refusal.what();
      EXPECT_NE(std::string(refusal.what()).find(entry().name), std::string::npos)
          << refusal.what();
      std::printf("%s with %s: %s\n", entry().name.c_str(), rule.name.c_str(), refusal.what());
    }
  }
  EXPECT_GT(trained, static_cast<int64_t>(rule_entries().size() * 2 / 3));
}

/// Stops a run after some steps, as Ctrl-C does.
struct Stop : Observer {
  int64_t step;
  explicit Stop(int64_t step) : step(step) {}
  void on_step(const Trainer& trainer) override {
    if (trainer.position().step == step) interrupt::request();
  }
};

TEST_P(EveryDirection, AResumedRunEqualsAnUninterruptedOne) {
  for (const char* rule : {"backprop", "kolen-pollack"})
    for (const char* net :
         {"mlp:784-20-10:relu", "chain: conv 4 k=5 s=3, relu, conv 4 k=3, relu, linear *",
          "chain: conv 4 k=5 s=3, batch-norm, relu, flatten, layer-norm, linear *",
          "chain: flatten, linear 12, ode{linear 12, tanh}, linear *"}) {
      RunSettings s = settings_for(rule_entry(rule), entry().name);
      s.net = net;
      s.optimizer.kind = "adam";
      s.max_steps = 0;
      Experiment whole(s, load_data(s));
      whole.trainer().run();
      for (const int64_t at : {1, 6}) {
        TensorMap map;
        {
          Experiment part(s, load_data(s));
          Stop observer(at);
          part.trainer().observe(observer);
          EXPECT_EQ(part.trainer().run(), "interrupted");
          interrupt::request(false);
          part.trainer().state(StateIO::saving(map));
        }
        Experiment rest(s, load_data(s));
        rest.trainer().state(StateIO::loading(map));
        rest.trainer().run();
        EXPECT_TRUE(same(weights(whole.net()), weights(rest.net())))
            << rule << " " << net << " " << at;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Contract, EveryDirection,
                         ::testing::Range<size_t>(0, direction_entries().size()),
                         [](const ::testing::TestParamInfo<size_t>& info) {
                           std::string name = direction_entries()[info.param].name;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

/// A twin takes its partner's direction, so that the law of their difference holds as ever.
TEST(DirectionsAndTwins, TheAlignmentLawHolds) {
  for (const char* form : {"explicit", "implicit"}) {
    RunSettings s = settings_for(rule_entry("kolen-pollack"), "recursive-least-squares");
    s.rule = std::string("kolen-pollack[kp.form=") + form + "]";
    s.net = "mlp:784-20-15-10:relu";
    s.dtype = "float64";
    s.optimizer = {.kind = "momentum", .lr = 0.05, .weight_decay = 0.1};
    s.max_steps = 0;
    Experiment run(s, load_data(s));
    run.trainer().run();
    const auto facts = dynamic_cast<Rule&>(run.rule()).feedback();
    ASSERT_EQ(facts.size(), 2u);
    for (const FeedbackFact& fact : facts) {
      EXPECT_GT(fact.predicted_factor, 0);
      EXPECT_LT(fact.predicted_factor, 0.99);
      if (std::string(form) == "explicit") {
        EXPECT_NEAR(fact.measured_factor, fact.predicted_factor, 1e-12);
      }
    }
  }
}

TEST(DirectionsAndTwins, ATwinWithGradientsOfItsOwnIsRefused) {
  RunSettings s = settings_for(rule_entry("product-feedback-alignment"), "recursive-least-squares");
  s.rule = "product-feedback-alignment[pfa.form=activity]";
  Experiment run(s, load_data(s));
  try {
    run.trainer().run();
    FAIL() << "nothing was refused";
  } catch (const Refusal& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("gradients of its own"), std::string::npos)
        << refusal.what();
  }
}

/// What cannot be followed is said before hours are spent.
TEST(DirectionsAndGroups, AreRefusedBeforeTraining) {
  RunSettings s = settings_for(rule_entry("backprop"), "recursive-least-squares");
  s.net = "chain: conv 4 k=3, relu, conv 4 k=3 groups=2, relu, linear *";
  EXPECT_THROW(Experiment(s, load_data(s)), Refusal);
  s.direction_options = {{"rls.rest", "plain"}};
  Experiment(s, load_data(s)).trainer().run();
}

/// Options in brackets behind a rule go to the rule, to the run or to the direction.
TEST(DirectionOptions, AreFoundBehindARule) {
  RunSettings s;
  s.rule = "kp[kp.form=implicit,lr=0.5,direction=recursive-least-squares,rls.k=0.25,nothing=1]";
  expand_rule(s);
  EXPECT_EQ(s.direction, "recursive-least-squares");
  EXPECT_EQ(s.direction_options, (OptionValues{{"rls.k", "0.25"}}));
  EXPECT_EQ(s.rule_options, (OptionValues{{"kp.form", "implicit"}, {"nothing", "1"}}));
  EXPECT_EQ(s.optimizer.lr, 0.5);
  RunSettings again;
  again.from_toml(s.to_toml(), "config.toml");
  EXPECT_EQ(again.direction_options, s.direction_options);
  EXPECT_EQ(again.to_toml(), s.to_toml());
}

}  // namespace
}  // namespace altprop::direction_contract
