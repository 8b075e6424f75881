#include "altprop/base/options.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"

namespace altprop {
namespace {

struct Sample {
  int64_t steps = 20;
  double eta = 0.1;
  bool on = false;
  std::string form = "explicit";
  std::vector<std::string> skip;
  Options options{"rule 'sample'"};
  Sample() {
    options.integer("steps", steps, {.min = 1, .max = 100}, {"relaxation steps", "steps"});
    options.number("eta", eta, {.min = 0, .min_excluded = true},
                   {"step size", "1", "A. Author 2020"});
    options.flag("on", on, {"switch"});
    options.choice("form", form, {"explicit", "implicit"}, {"form of the update"});
    options.list("skip", skip, {"operations left alone"});
  }
};

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Options, AssignsEveryType) {
  Sample s;
  s.options.set_all(
      {{"steps", "7"}, {"eta", "1e-3"}, {"on", "true"}, {"form", "implicit"}, {"skip", "a, b"}});
  EXPECT_EQ(s.steps, 7);
  EXPECT_EQ(s.eta, 1e-3);
  EXPECT_TRUE(s.on);
  EXPECT_EQ(s.form, "implicit");
  EXPECT_EQ(s.skip, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(s.options.given("eta"));
  EXPECT_EQ(s.options.values()["steps"], 7);
}

TEST(Options, SaysWhatIsWrongAndWhatIsAdmissible) {
  Sample s;
  EXPECT_EQ(message_of([&] { s.options.set("steps", "0"); }),
            "option 'steps' of rule 'sample' must be a whole number in [1, 100], but is '0'");
  EXPECT_EQ(message_of([&] { s.options.set("eta", "0"); }),
            "option 'eta' of rule 'sample' must be a number above 0, but is '0'");
  EXPECT_EQ(message_of([&] { s.options.set("eta", "nan"); }),
            "option 'eta' of rule 'sample' must be a number above 0, but is 'nan'");
  EXPECT_EQ(message_of([&] { s.options.set("form", "other"); }),
            "option 'form' of rule 'sample' must be one of explicit, implicit, but is 'other'");
  EXPECT_EQ(message_of([&] { s.options.set("step", "3"); }),
            "rule 'sample' has no option 'step'; did you mean 'steps'?");
  EXPECT_EQ(s.steps, 20) << "a refused value must leave the option as it was";
}

TEST(Options, UnderscoresAndHyphensAreTheSame) {
  double decay = 0;
  Options options;
  options.number("kp.align-decay", decay, {}, {"decay"});
  options.set("kp.align_decay", "0.5");
  EXPECT_EQ(decay, 0.5);
}

TEST(Options, TheLastPartOfANameIsEnoughWhereOnlyOneOptionEndsInIt) {
  double eta = 0, first = 0, second = 0;
  Options options("rule 'sample'");
  options.number("pc.eta", eta, {}, {"step"});
  options.number("a.decay-rate", first, {}, {"decay"});
  options.number("b.decay-rate", second, {}, {"decay"});
  options.set("eta", "0.5");
  EXPECT_EQ(eta, 0.5);
  EXPECT_EQ(message_of([&] { options.set("decay_rate", "1"); }),
            "rule 'sample' has no option 'decay_rate'; did you mean 'a.decay-rate'?");
  EXPECT_NE(message_of([&] { options.set("ta", "1"); }), "no error");
}

TEST(Options, ListingShowsDefaultsNotCurrentValues) {
  Sample s;
  s.options.set("eta", "0.5");
  auto row = s.options.listing()[1];
  EXPECT_EQ(row["name"], "eta");
  EXPECT_EQ(row["default"], "0.1");
  EXPECT_EQ(row["range"], "above 0");
  EXPECT_EQ(row["source"], "A. Author 2020");
}

}  // namespace
}  // namespace altprop
