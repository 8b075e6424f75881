// What every rule with learnt feedback promises, and the synthetic teacher they have to learn from.
#include <cstdio>
#include <map>

#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

class LearnedFeedback : public ::testing::TestWithParam<std::string> {
 protected:
  const std::unique_ptr<Loss> loss_ = make_loss("cross-entropy");
  const OptimizerSettings settings_{
      .kind = "momentum", .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .clip_norm = 1};

  std::unique_ptr<Learner> rule() const {
    const RuleText text = parse_rule(GetParam());
    return make_rule(text.name, text.values);
  }
  TestRun run(Graph& net, uint64_t seed = 1) const {
    return TestRun(net, *loss_, rule(), settings_, seed);
  }
  static BatchOf batch(uint64_t seed, int64_t n = 6) { return draw_batch({n, 3, 9, 9}, 5, seed); }
};

TEST_P(LearnedFeedback, OutputLayerGetsItsExactGradientAndOthersDoNotYet) {
  Graph net = conv_net();
  TestRun r = run(net);
  for (int i = 0; i < 3; ++i) {
    const auto rows = against_backprop(r.rule(), net, *loss_, batch(1));
    for (const GradientRow& row : rows)
      if (row.name.rfind("fc.", 0) == 0) {
        EXPECT_EQ(row.s.relative_error, 0) << row.name;
      } else {
        EXPECT_GT(row.s.relative_error, 0.05) << row.name;
      }
    r.step(batch(1).x, batch(1).y);
  }
}

TEST_P(LearnedFeedback, DuplicatedBatchGivesTheSameGradient) {
  Graph net = conv_net();
  TestRun r = run(net);
  const BatchOf once = batch(1);
  const BatchOf twice{at::cat({once.x, once.x}), at::cat({once.y, once.y})};
  const auto a = gradients_of(r, net, *loss_, once), b = gradients_of(r, net, *loss_, twice);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_LT(distance(b[i], a[i]), 1e-13);
}

TEST_P(LearnedFeedback, Float32FollowsFloat64) {
  Graph exact = conv_net(), single = conv_net();
  single.to(at::kCPU, at::kFloat);
  TestRun a = run(exact), b = run(single);
  const BatchOf data = batch(1), narrow{data.x.to(at::kFloat), data.y};
  const auto ga = gradients_of(a, exact, *loss_, data),
             gb = gradients_of(b, single, *loss_, narrow);
  for (size_t i = 0; i < ga.size(); ++i) EXPECT_LT(distance(gb[i].to(at::kDouble), ga[i]), 1e-5);
}

TEST_P(LearnedFeedback, ResumedRunContinuesIdentically) {
  Graph straight = conv_net();
  TestRun whole = run(straight);
  for (int i = 0; i < 16; ++i) whole.step(batch(i).x, batch(i).y);

  Graph first = conv_net();
  TestRun begun = run(first);
  for (int i = 0; i < 9; ++i) begun.step(batch(i).x, batch(i).y);
  TensorMap map;
  checkpoint(begun, first, StateIO::saving(map));

  Graph second = conv_net(77);  // other weights, to be overwritten
  TestRun resumed = run(second);
  checkpoint(resumed, second, StateIO::loading(map));
  for (int i = 9; i < 16; ++i) resumed.step(batch(i).x, batch(i).y);

  const auto a = values_of(straight), b = values_of(second);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
  const auto fa = facts_of(whole), fb = facts_of(resumed);
  for (size_t i = 0; i < fa.size(); ++i) {
    EXPECT_TRUE(at::equal(fa[i].feedback, fb[i].feedback)) << fa[i].name;
    EXPECT_EQ(fa[i].predicted_factor, fb[i].predicted_factor);
    EXPECT_EQ(fa[i].measured_factor, fb[i].measured_factor);
  }
}

TEST_P(LearnedFeedback, SeedsDecideAndForwardWeightsAreLeftAlone) {
  Graph a = conv_net(), b = conv_net(), c = conv_net();
  const std::vector<Tensor> before = values_of(a);
  TestRun ra = run(a), rb = run(b), rc = run(c, 2);
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i], a.params()[i]->value));
  EXPECT_GT(distance(facts_of(rc)[0].feedback, facts_of(ra)[0].feedback), 0.5);
  for (TestRun* r : {&ra, &rb, &rc})
    for (int i = 0; i < 5; ++i) r->step(batch(i).x, batch(i).y);
  EXPECT_EQ(distance(a, b), 0);
  EXPECT_GT(distance(c, a), 1e-3);
}

TEST_P(LearnedFeedback, SkippedOperationsStayExact) {
  Graph net = conv_net();
  const RuleText text = parse_rule(GetParam());
  OptionValues values = text.values;
  values["feedback.skip"] = "conv2,conv3,fc";
  TestRun r(net, *loss_, make_rule(text.name, values), settings_);
  EXPECT_TRUE(facts_of(r).empty());
  r.step(batch(1).x, batch(1).y);
  for (const GradientRow& row : against_backprop(r.rule(), net, *loss_, batch(1)))
    EXPECT_EQ(row.s.relative_error, 0) << row.name;
}

INSTANTIATE_TEST_SUITE_P(Rules, LearnedFeedback,
                         ::testing::Values("kp", "kp[kp.form=implicit]", "kp[feedback.density=0.5]",
                                           "wm", "wm[wm.response=activation,wm.samples=16]", "pfa",
                                           "pfa[pfa.form=product]", "pfa[pfa.form=activity]",
                                           "pfa[pfa.density=0.5,pfa.density-gain=full]",
                                           "pfa[pfa.r-update=from-w]", "pfa[pfa.expand=ortho]"));

// ---- the synthetic teacher: 64-128-128-128-10, 8 epochs, mean of two seeds ----

struct Learnt {
  double accuracy = 0, angle = 0;
};

Learnt learn(const std::string& written) {
  static std::map<std::string, Learnt> done;
  if (auto at = done.find(written); at != done.end()) return at->second;
  Learnt out;
  const RuleText text = parse_rule(written);
  const auto loss = make_loss("cross-entropy");
  std::string angles;
  for (uint64_t seed : test::two_seeds()) {
    const Teacher teacher(seed);
    Graph net = mlp({64, 128, 128, 128, 10}, "relu", seed);
    TestRun run(net, *loss, make_rule(text.name, text.values),
                {.kind = "momentum", .lr = 0.05, .momentum = 0.9, .weight_decay = 1e-4}, seed);
    for (int64_t epoch = 0; epoch < 8; ++epoch) run.epoch(epoch, teacher.x, teacher.y, 64);
    out.accuracy += run.accuracy(teacher.test_x, teacher.test_y) / 2;
    for (const AlignmentRow& row : measure_alignment(run.rule())) {
      out.angle = std::max(out.angle, row.angle_degrees);
      char line[64];
      std::snprintf(line, sizeof line, " %.1f", row.angle_degrees);
      angles += line;
    }
  }
  std::printf("teacher %-44s %.1f %%, angles%s\n", written.c_str(), out.accuracy, angles.c_str());
  return done[written] = out;
}

TEST(LearnedFeedbackTeacher, LearntFeedbackDoesAsWellAsBackpropAndBetterThanRandom) {
  const double bp = learn("bp").accuracy, fa = learn("fa").accuracy;
  for (const std::string rule : {"kp", "wm", "pfa", "pfa[pfa.expand=ortho]"}) {
    // These two seeds, AVX2: 0.9 below backprop (weight mirrors) to 0.6 above, 6.6 to 8.1 above
    // feedback alignment; other kernels move one seed by 1. Without learning, feedback stays random
    // and the rule is feedback alignment: 0 above it, 7.5 below backprop.
    test::expect_learnt_at_least(rule + " above backprop", learn(rule).accuracy - bp, -4);
    test::expect_learnt_at_least(rule + " above feedback alignment", learn(rule).accuracy - fa, 2);
  }
  test::expect_learnt_at_most("kp angle", learn("kp").angle, 22);
  test::expect_learnt_at_most("orthogonal pfa angle", learn("pfa[pfa.expand=ortho]").angle, 22);
  test::expect_learnt_at_most("pfa angle", learn("pfa").angle, 27);
}

TEST(LearnedFeedbackTeacher, WithoutAStrongFirstEpochAlignmentIsVisiblyLower) {
  for (const std::string rule : {"pfa", "kp"})
    test::expect_learnt_at_least(rule + " angle gained",
                           learn(rule + "[" + rule + ".align-epochs=0]").angle - learn(rule).angle,
                           5);
}

}  // namespace
}  // namespace altprop::testing
