// What an epoch says of the steps of its solvers: those of the training steps and of nothing else,
// also where the run stopped in the middle and went on.
#include "altprop/train/solver_costs.h"

#include <gtest/gtest.h>

#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"

namespace altprop {
namespace {

struct KeepRecords : Observer {
  std::vector<nlohmann::json> records;
  void on_epoch(Trainer&, const nlohmann::json& record) override {
    records.push_back(record);
  }
};

struct StopBehindStep : Observer {
  explicit StopBehindStep(int64_t step) : step(step) {}
  int64_t step;
  void on_step(const Trainer& trainer) override {
    if (trainer.position().step == step) interrupt::request();
  }
};

RunSettings settings_of_solver_run(const std::string& net, const std::string& rule = "backprop") {
  RunSettings s;
  s.net = net;
  s.rule = rule;
  s.data_options = {{"glyphs.train", "96"}, {"glyphs.test", "40"}};
  s.batch = 32;
  s.epochs = 2;
  s.probe_every = 1;
  s.threads = 1;
  s.optimizer.lr = 0.05;
  return s;
}

const char* const kAdaptiveNet =
    "chain: linear 8, ode{linear 8, tanh, linear 8} solver=dopri5 rtol=1e-4 atol=1e-4, linear *";

std::vector<nlohmann::json> records_of(RunSettings s) {
  Experiment run(s);
  KeepRecords kept;
  run.trainer().observe(kept);
  run.trainer().run();
  return kept.records;
}

TEST(SolverCosts, AnEpochSaysWhatItsTrainingStepsTook) {
  const auto records = records_of(settings_of_solver_run(kAdaptiveNet));
  ASSERT_EQ(records.size(), 2u);
  for (const nlohmann::json& record : records) {
    const nlohmann::json& f = record.at("figures");
    const double steps = f.at("ode1.steps"), rejected = f.at("ode1.rejected_steps");
    EXPECT_GE(steps, 1);
    EXPECT_GE(f.at("ode1.most_steps").get<double>(), steps);
    EXPECT_LE(f.at("ode1.most_steps").get<double>(), 3 * steps);  // one pass's, not a sum
    // dopri5: six evaluations for each step that was tried and one at the begin, and a second one
    // where the first step's length is chosen.
    const double tried = 6 * (steps + rejected);
    EXPECT_GE(f.at("ode1.evaluations").get<double>(), tried);
    EXPECT_LE(f.at("ode1.evaluations").get<double>(), tried + 3);
  }
}

TEST(SolverCosts, ReversePassesAreCountedByMethod) {
  RunSettings s = settings_of_solver_run(kAdaptiveNet);
  s.epochs = 1;
  s.probe_every = 0;
  std::map<std::string, double> backward;
  for (const char* method : {"naive", "symplectic"}) {
    s.ode_gradient = method;
    backward[method] = records_of(s).at(0).at("figures").at("ode1.backward_evaluations");
  }
  EXPECT_EQ(backward["naive"], 0);
  EXPECT_GT(backward["symplectic"], 6);
}

TEST(SolverCosts, ProbesAndEvaluationsAreNotAmongThem) {
  RunSettings s = settings_of_solver_run(kAdaptiveNet, "feedback-alignment");
  s.probe_every = 0;
  const auto without = records_of(s);
  s.probe_every = 1;
  s.data_options["glyphs.test"] = "0";
  const auto with = records_of(s);
  for (size_t i = 0; i < without.size(); ++i)
    EXPECT_EQ(without[i].at("figures"), with[i].at("figures"));
}

TEST(SolverCosts, ARunThatStoppedWithinAnEpochSaysTheSame) {
  const RunSettings s = settings_of_solver_run(kAdaptiveNet);
  const auto whole = records_of(s);
  Experiment first(s), second(s);
  StopBehindStep stop(2);
  first.trainer().observe(stop);
  EXPECT_EQ(first.trainer().run(), "interrupted");
  interrupt::request(false);
  TensorMap map;
  first.trainer().state(StateIO::saving(map));
  second.trainer().state(StateIO::loading(map));
  KeepRecords kept;
  second.trainer().observe(kept);
  second.trainer().run();
  ASSERT_EQ(kept.records.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i)
    EXPECT_EQ(kept.records[i].at("figures"), whole[i].at("figures"));
}

TEST(SolverCosts, EqualStepsAndOtherNetworksHaveNone) {
  for (const char* net :
       {"chain: linear 8, ode{linear 8, tanh} solver=rk4 steps=2, linear *", "mlp:784-8-10:relu"})
    EXPECT_FALSE(records_of(settings_of_solver_run(net)).at(0).contains("figures")) << net;
}

TEST(SolverCosts, SamplesWithStepsOfTheirOwnCountEach) {
  const auto records = records_of(settings_of_solver_run(std::string(kAdaptiveNet).replace(
      std::string(kAdaptiveNet).find(" solver"), 0, " steps-of=sample")));
  const nlohmann::json& f = records.at(0).at("figures");
  EXPECT_GE(f.at("ode1.steps").get<double>(), 1);
  EXPECT_LE(f.at("ode1.steps").get<double>(), f.at("ode1.most_steps").get<double>());
}

}  // namespace
}  // namespace altprop
