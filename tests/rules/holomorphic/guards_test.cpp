// Which samples count, and by how many points: dropped for a free phase that has not settled, given
// two points where the complex ones have not, left out where they overflow.
#include "rules/holomorphic/fixture.h"

#include "altprop/rules/holomorphic/guards.h"

namespace altprop::testing {
namespace {

struct GuardedCase {
  std::string text;
  std::vector<int64_t> shape;
  std::string loss;
  double scale;
  OptionValues more = {};
};

/// With a readout and without, tied and separate, dense and with poolings that bend the field.
const std::vector<GuardedCase> kGuardedCases = {
    {"mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.8},
    {"mlp:5-7-6-3:dsilu", {5}, "cross-entropy", 0.8, {{"hep.form", "vector-field"}}},
    {"mlp:5-6-3:sigmoid:out=sigmoid", {5}, "squared-error", 0.8, {{"hep.damping", "0.5"}}},
    {"mlp:5-6-4-3:tanh",
     {5},
     "cross-entropy",
     0.6,
     {{"hep.weights", "separate"}, {"hep.correction", "true"}, {"hep.damping", "0.7"}}},
    {"chain: conv 3 k=3 p=1, dsilu, conv 4 k=3 p=1, softmaxpool 2, dsilu, linear 3",
     {2, 6, 6},
     "cross-entropy",
     0.5}};

EpExample example(const GuardedCase& c, int64_t batch = 4) {
  EpExample e = random_example(c.text, c.shape, c.loss, c.scale, batch);
  for (int64_t i = 0; i < batch; ++i) e.x[i].mul_(std::pow(2.0, static_cast<double>(i) - 2));
  return e;
}

/// A circle whose phases end before they have settled.
OptionValues short_circle(int64_t points, const OptionValues& more) {
  return circle(points, 0.4, with({{"hep.free-steps", "6"}, {"hep.nudged-steps", "5"}}, more));
}

EpExample one_of(const EpExample& e, const GuardedCase& c, int64_t i) {
  EpExample out = example(c);
  out.x = e.x.slice(0, i, i + 1);
  out.y = e.y.slice(0, i, i + 1);
  return out;
}

double size(const NamedGradients& g) {
  double out = 0;
  for (const auto& [name, value] : g) out += value.square().sum().item<double>();
  return std::sqrt(out);
}

void add_scaled(NamedGradients& sum, const NamedGradients& g, double factor) {
  for (const auto& [name, value] : g)
    sum[name] = sum.count(name) ? sum.at(name) + value * factor : value * factor;
}

bool same(const NamedGradients& a, const NamedGradients& b) {
  return std::all_of(a.begin(), a.end(),
                     [&](const auto& one) { return at::equal(one.second, b.at(one.first)); });
}

std::string number(double value) { return text::from_number(value); }

TEST(HolomorphicGuards, FallingBackIsTheEstimateOfTwoPoints) {
  for (const GuardedCase& c : kGuardedCases)
    for (int64_t points : {3, 4, 5, 6}) {
      SCOPED_TRACE(text::cat(c.text, " ", points));
      EpExample e = example(c);
      const NamedGradients two = hep(e, short_circle(2, c.more)),
                           all = hep(e, short_circle(points, c.more)),
                           fallen =
                               hep(e, short_circle(
                                          points, with(c.more, {{"hep.fallback-above", "1e-30"}})));
      EXPECT_LT(EpExample::apart(fallen, two), 1e-13);
      EXPECT_GT(EpExample::apart(all, two), 1e-5);
    }
}

TEST(HolomorphicGuards, WithoutNeedNothingChanges) {
  for (const GuardedCase& c : kGuardedCases)
    for (int64_t points : {0, 1, 2, 3, 4}) {
      SCOPED_TRACE(text::cat(c.text, " ", points));
      EpExample e = example(c);
      OptionValues guards = {{"hep.drop-above", "1e9"}};
      if (points > 2) guards["hep.fallback-above"] = "1e9";
      const OptionValues values = short_circle(points, with(c.more, {{"hep.noise", "0.01"}}));
      EXPECT_TRUE(same(hep(e, values), hep(e, with(values, guards))));
    }
}

/// Values between the moves of the samples, so that some fall on either side.
std::vector<double> bounds_between(const std::vector<double>& moves) {
  std::vector<double> sorted = moves, out;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i + 1 < sorted.size(); ++i)
    out.push_back(std::sqrt(sorted[i] * sorted[i + 1]));
  return out;
}

/// The smallest bound, to a factor of 1.02, at which a guard leaves a lone sample as it is.
double threshold(EpExample& one, const OptionValues& values, const std::string& guard) {
  const NamedGradients plain = hep(one, values);
  double low = 1e-12, high = 1e6;
  while (high / low > 1.02) {
    const double middle = std::sqrt(low * high);
    (same(hep(one, with(values, {{guard, number(middle)}})), plain) ? high : low) = middle;
  }
  return high;
}

TEST(HolomorphicGuards, EverySampleIsJudgedByItself) {
  const GuardedCase& c = kGuardedCases[0];
  EpExample e = example(c);
  for (int64_t points : {4, 5}) {
    const OptionValues values = short_circle(points, {});
    std::vector<double> moves;
    for (int64_t i = 0; i < 4; ++i) {
      EpExample one = one_of(e, c, i);
      moves.push_back(threshold(one, values, "hep.fallback-above"));
    }
    for (double bound : bounds_between(moves)) {
      NamedGradients sum;
      int fallen = 0;
      for (size_t i = 0; i < 4; ++i) {
        EpExample one = one_of(e, c, static_cast<int64_t>(i));
        fallen += moves[i] > bound;
        add_scaled(sum, hep(one, moves[i] > bound ? short_circle(2, {}) : values), 0.25);
      }
      EXPECT_TRUE(fallen > 0 && fallen < 4);
      EXPECT_LT(
          EpExample::apart(hep(e, with(values, {{"hep.fallback-above", number(bound)}})), sum),
          1e-13);
    }
  }
}

TEST(HolomorphicGuards, DroppedSamplesAreNotInTheGradient) {
  std::vector<GuardedCase> cases = kGuardedCases;
  cases.push_back({"chain: conv 3 k=3 p=1, sigmoid, maxpool 2, conv 4 k=2, sigmoid, linear 3",
                   {2, 6, 6},
                   "cross-entropy",
                   0.8});
  for (const GuardedCase& c : cases)
    for (int64_t points : {0, 1, 2, 4}) {
      if (points != 2 && points != 1 && c.text.find("maxpool 2") != std::string::npos &&
          c.text.find("softmaxpool") == std::string::npos)
        continue;
      SCOPED_TRACE(text::cat(c.text, " ", points));
      EpExample e = example(c);
      const OptionValues values = short_circle(points, c.more);
      std::vector<double> moves;
      for (int64_t i = 0; i < 4; ++i) {
        EpExample one = one_of(e, c, i);
        moves.push_back(threshold(one, values, "hep.drop-above"));
      }
      const double bound = bounds_between(moves).at(1);
      NamedGradients sum;
      for (size_t i = 0; i < 4; ++i) {
        EpExample one = one_of(e, c, static_cast<int64_t>(i));
        const NamedGradients alone = hep(one, with(values, {{"hep.drop-above", number(bound)}}));
        if (moves[i] > bound) {
          EXPECT_EQ(size(alone), 0);
        } else {
          add_scaled(sum, alone, 0.25);
        }
      }
      EXPECT_GT(size(sum), 0);
      EXPECT_LT(EpExample::apart(hep(e, with(values, {{"hep.drop-above", number(bound)}})), sum),
                1e-13);
    }
}

/// The move that is bounded, by hand: two steps of the worked example of sines.
TEST(HolomorphicGuards, TheBoundIsOnTheNormOfTwoSteps) {
  EpExample e = dense_example();
  const auto sigma = [](const Tensor& u) { return (u * 4 - 2).sigmoid(); };
  const auto advance = [&](Tensor& h, Tensor& o) {
    const Tensor a = at::linear(e.x, e.value(0), e.value(1)) + at::matmul(o, e.value(2)),
                 b = at::linear(h, e.value(2), e.value(3));
    h = sigma(a);
    o = sigma(b);
  };
  Tensor h = at::zeros({1, 4}, at::kDouble), o = at::zeros({1, 2}, at::kDouble);
  for (int t = 0; t < 3; ++t) advance(h, o);
  const Tensor was = at::cat({h, o}, 1);
  advance(h, o);
  advance(h, o);
  const double moved = (at::cat({h, o}, 1) - was).norm().item<double>();
  EXPECT_GT(moved, 1e-4);
  const auto gradient = [&](double bound) {
    return size(
        hep(e, circle(2, 0.1, {{"hep.free-steps", "3"}, {"hep.drop-above", number(bound)}})));
  };
  EXPECT_EQ(gradient(moved * (1 - 1e-9)), 0);
  EXPECT_GT(gradient(moved * (1 + 1e-9)), 0);
}

/// Noise moves every state in every step, settled or not.
TEST(HolomorphicGuards, NoiseIsNoMove) {
  EpExample e = example(kGuardedCases[0]);
  const ConvergentNetwork net = convergent_network(e.net, *e.loss);
  const VectorField field(net, nullptr, {});
  HolomorphicDynamics noisy(field, {.noise = 0.05}), still(field, {});
  for (HolomorphicDynamics* run : {&noisy, &still}) run->begin(e.x);
  noisy.draw_from(Stream(3));
  noisy.settle({.steps = 50});
  still.take(noisy.states());
  EXPECT_TRUE(at::equal(noisy.moved_in_two_steps(nullptr), still.moved_in_two_steps(nullptr)));
}

/// An example on a circle of four points, settled, with its first sample as it should be.
struct Circled {
  EpExample e = example(kGuardedCases[0]);
  ConvergentNetwork net = convergent_network(e.net, *e.loss);
  VectorField field{net, nullptr, {}};
  HolomorphicDynamics run{field, {}};
  Contour contour = Contour::half_circle(4, 0.3, at::kDouble);
  ComplexNudge nudge{*e.loss, {}, {}, {}};
  FreeStates rest;

  Circled() {
    run.begin(e.x);
    run.settle({.steps = 200});
    rest = judge_free(field, run, 0);
    nudge.targets = Loss::as_rows(e.y, run.output()).repeat({3, 1});
    contour.nudges(4, e.x.options(), nudge.beta_re, nudge.beta_im);
    run.stack(contour.real(), contour.complex());
    run.settle({.steps = 200}, &nudge);
  }
  /// From now on no numbers.
  void poison(std::initializer_list<int64_t> rows) {
    Field states = run.copy();
    for (size_t s = 0; s < states.size(); ++s)
      for (int64_t row : rows)
        if (field.moves(static_cast<int>(s))) states[s][row].fill_(NAN);
    run.take(states);
    run.settle({.steps = 1}, &nudge);
  }
  Answers judge(double fallback_above) {
    return judge_nudged(field, run, contour, nudge, rest, fallback_above, {});
  }
  Tensor credit(const Circle& circle, int64_t sample, int64_t of = 0) {
    std::vector<Tensor> all;
    for (const Tensor& c : nudge_credit(field, circle.contour, circle.states, rest.states, of))
      if (c.defined()) all.push_back(c[sample].flatten());
    return at::cat(all);
  }
};

/// Rows are those of beta, -beta, and the real and imaginary parts at i beta, of four samples each.
TEST(HolomorphicGuards, OverflowOfComplexPointsLeavesTheRealOnes) {
  Circled c, unspoilt;
  unspoilt.poison({});
  const Circle sound = unspoilt.judge(0).used;
  c.poison({9, 2, 3, 15});  // sample 1 off the real line, 2 on it, 3 on both
  const Answers strict = c.judge(0), lenient = c.judge(1e3);
  EXPECT_EQ(strict.overflowed, 3);
  EXPECT_EQ(lenient.overflowed, 2);
  EXPECT_EQ(lenient.by_two, 1);
  for (int64_t sample = 0; sample < 4; ++sample) {
    const Tensor four = c.credit(sound, sample), two = c.credit(sound, sample, 2),
                 zero = at::zeros_like(four);
    EXPECT_GT((four - two).norm().item<double>(), 1e-6);
    const auto expect = [&](const Circle& circle, const Tensor& wanted) {
      EXPECT_LT((c.credit(circle, sample) - wanted).norm().item<double>(), 1e-12) << sample;
    };
    expect(strict.used, sample == 0 ? four : zero);
    expect(lenient.used, sample == 0 ? four : sample == 1 ? two : zero);
    expect(lenient.whole, sample == 0 ? four : zero);
  }
}

TEST(HolomorphicGuards, RecordsAndNoticesCountThem) {
  const GuardedCase& c = kGuardedCases[0];
  EpExample e = example(c);
  const auto trained = [&](const OptionValues& more, std::string& said) {
    TestRun run(e.net, *e.loss, make_rule(kHep, short_circle(4, more)), {.kind = "sgd", .lr = 0});
    for (int i = 0; i < 3; ++i) run.step(e.x, e.y);
    gradients(run.rule(), e.net, *e.loss, e.x, e.y);  // a look, which is not counted
    for (const std::string& sentence : run.rule().notices()) said += sentence + "\n";
    std::map<std::string, double> figures;
    for (const auto& [name, value] : run.rule().measurements()) figures[name] = value;
    EXPECT_TRUE(run.rule().measurements().empty());
    return figures;
  };
  std::string said;
  auto figures = trained({{"hep.fallback-above", "1e-30"}, {"hep.drop-above", "1e9"}}, said);
  EXPECT_EQ(figures.at("two_point_samples"), 12);
  EXPECT_EQ(figures.at("two_point_batches"), 3);
  EXPECT_EQ(figures.at("batches"), 3);
  EXPECT_EQ(figures.at("dropped_samples"), 0);
  EXPECT_EQ(figures.count("unsettled_samples"), 0u);
  EXPECT_NE(said.find("4 of 4 samples of a batch used two points"), std::string::npos) << said;
  said.clear();
  figures = trained({{"hep.drop-above", "1e-30"}, {"hep.fallback-above", "1e-30"}}, said);
  EXPECT_EQ(figures.at("unsettled_samples"), 12);
  EXPECT_EQ(figures.at("dropped_samples"), 12);
  EXPECT_EQ(figures.count("two_point_samples"), 0u);  // what is dropped uses no points
  EXPECT_NE(said.find("the free states of 4 of 4 samples had not settled"), std::string::npos);
}

/// What is no number in a sample at rest becomes zero, and the sample is dropped.
TEST(HolomorphicGuards, AFreePhaseThatOverflowedIsDropped) {
  EpExample e = example(kGuardedCases[0]);
  const ConvergentNetwork net = convergent_network(e.net, *e.loss);
  const VectorField field(net, nullptr, {});
  HolomorphicDynamics run(field, {});
  run.begin(e.x);
  run.settle({.steps = 100});
  Field states = run.copy();
  for (size_t s = 0; s < states.size(); ++s)
    if (field.moves(static_cast<int>(s))) states[s][1].fill_(s % 2 ? NAN : INFINITY);
  run.take(states);
  const FreeStates found = judge_free(field, run, 100);
  EXPECT_EQ(found.unsettled, 1);
  EXPECT_TRUE(at::equal(found.kept, at::tensor({1, 0, 1, 1}, at::kLong).to(at::kBool)));
  for (size_t s = 0; s < states.size(); ++s)
    if (field.moves(static_cast<int>(s))) {
      EXPECT_TRUE(at::equal(found.states[s][1], at::zeros_like(found.states[s][1])));
      EXPECT_TRUE(at::equal(found.states[s][0], states[s][0]));
    }
}

}  // namespace
}  // namespace altprop::testing
