// Proof of the contract: the cascaded forward algorithm (Zhao et al. 2023, arXiv 2303.09728): passes over the data in which different parts learn, predictors of the rule's
// own, and a prediction that sums over blocks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "altprop/base/error.h"
#include "altprop/network/chain.h"
#include "altprop/network/ops/shape.h"
#include "altprop/probes/gradient_check.h"
#include "altprop/report/html_report.h"
#include "altprop/rules/registry.h"
#include "altprop/train/compare.h"
#include "altprop/train/experiment.h"
#include "altprop/train/run_folder.h"
#include "proof/toy.h"
#include "report/embedded.h"
#include "support/device.h"

namespace altprop::proof {
namespace {

struct CascadedForward : Learner {
  std::vector<Graph> blocks, predictors;

  void admit(const Graph& net, const Loss&) const override {
    if (chain(net).size() < 2)
      throw Refusal("network", "no block stands in front of its output", "add a hidden layer");
    for (const Node& node : net.nodes())
      if (node.spec.kind != Kind::Real)
        throw Refusal("node '" + node.name + "'", "predictors are linear maps of real values, which this is none of");
  }

  void set_up() override {
    blocks = chain(net());
    blocks.pop_back();  // the network's own output layer is not used
    for (size_t l = 0; l < blocks.size(); ++l) {
      Graph& p = predictors.emplace_back();
      const int in = p.add(flatten(), {p.input(blocks[l].node(blocks[l].output_node()).spec)});
      p.output(p.add(linear(net().node(net().output_node()).spec.shape[0]), {in}, "predictor" + std::to_string(l + 1)));
      p.to(net().options().device(), net().options().dtype().toScalarType());
      initialise(p, Initialiser("xavier"), Stream(seed()).at("cafo"));
      for (const ParamPtr& param : p.params()) param->group = "fit" + std::to_string(l + 1);
    }
  }
  std::vector<ParamPtr> trained() const override { return {}; }
  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (const Graph& g : predictors)
      for (const ParamPtr& p : g.params()) out.push_back(p);
    return out;
  }
  mutable std::set<std::pair<int64_t, int64_t>> asked;  ///< epoch and epochs
  std::vector<std::string> passes(int64_t epoch, int64_t epochs) const override {
    asked.emplace(epoch, epochs);
    std::vector<std::string> out;
    for (size_t l = 0; l < predictors.size(); ++l) out.push_back("fit" + std::to_string(l + 1));
    return out;
  }
  void step(Step& s) override {
    Tensor h = s.inputs;
    Feedback exact;
    for (size_t l = 0; l < blocks.size(); ++l) {
      h = blocks[l].predict(h);
      if (s.pass != "fit" + std::to_string(l + 1)) continue;
      Activity activity;
      const Tensor out = predictors[l].run(h, activity, {Mode::Train});
      predictors[l].sweep(activity, {{predictors[l].output_node(), loss().gradient(out, s.targets)}}, exact, &s.updater(), {.scale = 1.0 / static_cast<double>(s.batch())});
      s.updater().apply(s.pass);
    }
  }
  Tensor predict(const Look& look) override {
    Tensor h = look.inputs, sum;
    for (size_t l = 0; l < blocks.size(); ++l) {
      h = blocks[l].predict(h);
      const Tensor log_probability = at::log_softmax(predictors[l].predict(h), 1);
      sum = sum.defined() ? sum + log_probability : log_probability;
    }
    return sum;
  }
};

// A learner without signals keeps the promises that can be asked of it.
const RegisterRule registered_cascaded_forward_test{
    {.name = "cascaded-forward-proof",
     .summary = "every block is judged by a predictor of its own, and predictors add up",
     .assumes = "a predictor per block",
     .source = "Zhao et al. 2023, arXiv 2303.09728",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<CascadedForward>(); },
     .order = 901,
     .reaches = 0.5,
     .chains_only = true,
     .refuses_sequences = true}};

TEST(ProofCascadedForward, PassesAndAPredictionOfItsOwn) {
  Graph net = toy_net({6, 20, 20, 3}, "relu", 4);
  const Tensor weight = net.params()[0]->value.clone();
  CascadedForward rule;
  OwnUpdater updater({.kind = "momentum", .lr = 0.1});
  const auto loss = make_loss("cross-entropy");
  const ToyRun run = train_toy(net, rule, *loss, updater, toy_data(64, 6, 5), 100);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.6);
  EXPECT_EQ(updater.steps("fit1"), 100);
  EXPECT_EQ(updater.steps("fit2"), 100);
  EXPECT_TRUE(at::equal(weight, net.params()[0]->value)) << "blocks stay random";
}

/// A short run in a folder of its own.
struct InFolder {
  std::filesystem::path dir = std::filesystem::path(::testing::TempDir()) /
                              ("altprop_cascaded_" + std::to_string(getpid()));
  Experiment experiment;
  nlohmann::json summary;

  explicit InFolder(const std::string& rule) : experiment([&] {
    RunSettings s;
    s.rule = s.label = rule;
    s.net = "mlp:784-12-10:relu";
    s.data_options = {{"glyphs.train", "64"}, {"glyphs.test", "32"}};
    s.epochs = 2;
    s.threads = 1;
    s.device = test::test_device().str();
    return s;
  }()) {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    summary = run_in_folder(experiment, dir, {});
  }
  ~InFolder() { std::filesystem::remove_all(dir); }
};

TEST(ProofCascadedForward, IsToldTheEpochAndHowManyThereAre) {
  InFolder run("cascaded-forward-proof");
  const auto& learner = dynamic_cast<const CascadedForward&>(run.experiment.rule());
  const std::set<std::pair<int64_t, int64_t>> expected = {{0, 2}, {1, 2}};
  EXPECT_EQ(learner.asked, expected);
}

/// Records, report and comparison of a learner without signals have no gradient and are whole.
TEST(ProofCascadedForward, ItsRecordsMakeAReportAndATable) {
  nlohmann::json table, page;
  {
    InFolder run("cascaded-forward-proof");
    EXPECT_FALSE(run.summary.contains("gradient")) << run.summary;
    EXPECT_FALSE(run.summary.contains("stochastic"));
    report::write(run.dir);
    std::ifstream in(run.dir / "report.html");
    page = report::embedded({std::istreambuf_iterator<char>(in), {}});
    table = compare_table({{"runs", {run.summary, InFolder("backprop").summary}}});
  }
  EXPECT_EQ(page["notes"], nlohmann::json::array());
  ASSERT_EQ(page["runs"].size(), 1u);
  const nlohmann::json& records = page["runs"][0]["epochs"];
  ASSERT_EQ(records.size(), 2u);
  for (const nlohmann::json& record : records) {
    EXPECT_FALSE(record.contains("gradient")) << record;
    EXPECT_FALSE(record.contains("alignment")) << record;
    EXPECT_TRUE(record["test_accuracy"].is_number()) << record;
  }
  ASSERT_EQ(table.size(), 2u);
  EXPECT_TRUE(table[0]["angle_degrees"].is_null()) << table[0];
  EXPECT_TRUE(table[1]["angle_degrees"]["mean"].is_number()) << table[1];
  EXPECT_TRUE(table[0]["test_accuracy"]["mean"].is_number());
  EXPECT_NE(table_text(table).find("cascaded-forward-proof"), std::string::npos);
}

TEST(ProofCascadedForward, HasNoGradientToCheck) {
  CascadedForward learner;
  try {
    with_gradient(learner, "cascaded-forward-proof");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "rule 'cascaded-forward-proof' has no gradient to check: it trains by other means "
                 "than local signals");
  }
  const auto rule = make_rule("backprop");
  EXPECT_EQ(&with_gradient(*rule, "backprop"), rule.get());
}

}  // namespace
}  // namespace altprop::proof
