// Proof of the contract: a network whose hidden units fire or not, each with its own probability
// (Esser, Appuswamy, Merolla, Arthur, Modha 2015 train so for hardware with random synapses):
// training follows the probabilities, what is deployed are draws, and several draws vote. Awkward
// because prediction is random, scores are several and the accuracy of the vote is the one that
// counts.
#include <gtest/gtest.h>

#include "altprop/network/gradients.h"
#include "altprop/network/ops/shape.h"
#include "altprop/train/experiment.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

/// Fires with probability sigmoid(x). Train and Replay: the probability itself; Eval: a draw of the
/// pass's stream.
struct FiringUnits : Op {
  std::string type() const override { return "firing-units"; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Traits traits() const override { return {}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    const Tensor p = inputs[0].sigmoid();
    saved.t.assign(1, p);
    if (pass.mode != Mode::Eval) return p;
    return pass.draws.uniform(p.sizes(), p.options()).lt(p).to(p.scalar_type());
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const Tensor p = match_rows(saved.t[0], cot);
    return cot * p * (1 - p);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return tangent * saved.t[0] * (1 - saved.t[0]);
  }
};

struct DeployedByDraws : Rule {
  static constexpr int64_t kMembers = 16;

  /// The mean of all members' softmax, as logits.
  Tensor predict(const Look& look) override {
    Tensor sum;
    for (int64_t k = 0; k < kMembers; ++k) {
      const Tensor p = at::softmax(member(look, k), 1);
      sum = k ? sum + p : p;
    }
    return (sum / kMembers).log();
  }
  Scores evaluate(const Look& look, const Tensor& targets) override {
    Scores out = judge(predict(look), targets);
    const double n = static_cast<double>(look.rows());
    out.add("accuracy_of_one", loss().right(member(look, 0), targets).item<double>(), n, true);
    return out;
  }
  std::string primary_score() const override { return "accuracy_of_one"; }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    Feedback exact;
    return sweep_back(trace, objective, wanted, exact, sink);
  }

 private:
  Tensor member(const Look& look, int64_t k) const {
    Activity activity;
    return net().run(look.inputs, activity, {Mode::Eval, look.draws.at("member").at(k)});
  }
};

struct Deployment {
  RunSettings settings;
  std::shared_ptr<const data::Splits> data;
  Graph net;
  DeployedByDraws rule;
  std::unique_ptr<Loss> loss = make_loss("cross-entropy");

  Deployment() {
    settings.data_options = {
        {"glyphs.train", "1500"}, {"glyphs.test", "400"}, {"validation", "300"}};
    settings.epochs = 3;
    settings.optimizer.lr = 0.05;
    settings.early_stop = 3;
    settings.threads = 1;
    settings.probe_every = 3;
    settings.seed += static_cast<decltype(settings.seed)>(test::seed_offset());
    data = load_data(settings);
    int h = net.input({data->train.sample_shape()});
    h = net.add(flatten(), {h});
    h = net.add(linear(60), {h}, "fc1");
    h = net.add(std::make_shared<FiringUnits>(), {h}, "units");
    net.output(net.add(linear(10), {h}, "fc2"));
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  }
};

TEST(ProofSampledLayer, ScoresOfItsOwnDecideAndAreRecorded) {
  Deployment d;
  Trainer trainer(d.net, d.rule, *d.loss, *d.data, d.settings);
  struct Records : Observer {
    std::vector<nlohmann::json> all;
    void on_epoch(Trainer&, const nlohmann::json& record) override { all.push_back(record); }
  } records;
  trainer.observe(records);
  trainer.run();
  double best = 0;
  int64_t best_epoch = 0;
  for (const nlohmann::json& record : records.all) {
    EXPECT_EQ(record["primary_score"], "accuracy_of_one");
    EXPECT_EQ(record["scores"][0]["name"], "accuracy_of_one");
    EXPECT_TRUE(record["scores"][0]["more_is_better"]);
    if (const double found = record["validation_accuracy_of_one"]; found > best) {
      best = found;
      best_epoch = record["epoch"];
    }
  }
  test::expect_learnt_at_least("accuracy", best, 0.3);
  EXPECT_EQ(trainer.best_epoch(), best_epoch) << "the largest, not the smallest";
  const Scores test = trainer.evaluate(d.data->test);
  EXPECT_GT(*test.accuracy(), *test.mean("accuracy_of_one")) << "the vote beats one member";
  EXPECT_EQ(test.all()[2].count, 400);
  // The same draws whenever it is asked: nothing is random about a record.
  EXPECT_EQ(*trainer.evaluate(d.data->test).mean("accuracy_of_one"), *test.mean("accuracy_of_one"));
}

TEST(ProofSampledLayer, DrawsComeFromTheLook) {
  Deployment d;
  d.rule.bind(d.net, *d.loss, 1);
  const Tensor x = Stream(1).normal({5, 28, 28});
  const auto predicted = [&](uint64_t seed) {
    return d.rule.predict({.inputs = x.view({5, 1, 28, 28}), .draws = Stream(seed)});
  };
  EXPECT_TRUE(at::equal(predicted(3), predicted(3)));
  EXPECT_FALSE(at::equal(predicted(3), predicted(4)));
}

TEST(ProofSampledLayer, APrimaryScoreThatIsNotMadeIsSaid) {
  Deployment d;
  struct Confused : DeployedByDraws {
    std::string primary_score() const override { return "speed"; }
  } rule;
  Trainer trainer(d.net, rule, *d.loss, *d.data, d.settings);
  try {
    trainer.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'speed'"), std::string::npos) << error.what();
  }
}

/// A primary score that is no number in some epochs.
struct SilentAtFirst : DeployedByDraws {
  mutable int64_t epoch = 0;
  std::vector<double> scores;
  Scores evaluate(const Look& look, const Tensor& targets) override {
    Scores out = judge(predict(look), targets);
    out.add("own", scores.at(static_cast<size_t>(epoch)), 1, true);
    return out;
  }
  std::string primary_score() const override { return "own"; }
  std::vector<std::string> passes(int64_t now, int64_t) const override {
    epoch = now;
    return {"train"};
  }
};

TEST(ProofSampledLayer, AScoreThatIsNoNumberIsNeverTheBest) {
  for (const auto& [scores, best] : std::vector<std::pair<std::vector<double>, int64_t>>{
           {{NAN, 0.1, 0.2, 0.1}, 3}, {{0.2, NAN, 0.1, NAN}, 1}, {{NAN, NAN, NAN, NAN}, 0}}) {
    Deployment d;
    d.settings.epochs = 4;
    SilentAtFirst rule;
    rule.scores = scores;
    Trainer trainer(d.net, rule, *d.loss, *d.data, d.settings);
    trainer.run();
    EXPECT_EQ(trainer.best_epoch(), best);
  }
}

TEST(ProofSampledLayer, ScoresAreNamedWhereThereAreNoTestData) {
  Deployment d;
  d.settings.epochs = 1;
  data::Splits splits = *d.data;
  splits.test = data::Dataset();
  Trainer trainer(d.net, d.rule, *d.loss, splits, d.settings);
  struct Last : Observer {
    nlohmann::json record;
    void on_epoch(Trainer&, const nlohmann::json& found) override { record = found; }
  } last;
  trainer.observe(last);
  trainer.run();
  ASSERT_EQ(last.record["scores"].size(), 1u) << last.record;
  EXPECT_EQ(last.record["scores"][0]["name"], "accuracy_of_one");
  EXPECT_FALSE(last.record.contains("test_accuracy_of_one"));
  EXPECT_TRUE(last.record["validation_accuracy_of_one"].is_number());
}

}  // namespace
}  // namespace altprop::proof
