// What corruptions do to images, against what they say they do.
#include "altprop/data/corrupt/corruption.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "network/support.h"

namespace altprop::data {
namespace {

using test::contains;
using test::message_of;

Dataset images(const Tensor& x, double scale = 1) {
  Dataset out;
  out.name = "pictures";
  out.inputs = x;
  out.targets = at::zeros({x.size(0)}, at::kLong);
  out.classes = 2;
  out.scale = scale;
  return out;
}

Tensor under(const char* name, const Tensor& x, uint64_t seed = 1) {
  return corrupted(images(x), corruption(name), seed).inputs;
}

Tensor smooth_pictures(int64_t n, int64_t channels = 1) {
  return Stream(4).at("pictures").uniform({n, channels, 28, 28}) * 0.8 + 0.1;
}

/// One bright pixel on black.
Tensor point(int64_t row, int64_t column) {
  Tensor out = at::zeros({1, 1, 28, 28}, at::kFloat);
  out[0][0][row][column] = 1;
  return out;
}

/// (down, right) of the centre of mass, from the middle of the image.
std::pair<double, double> centre(const Tensor& x) {
  const Tensor along = at::arange(28, at::kDouble) - 13.5, mass = x[0][0].to(at::kDouble);
  const double sum = mass.sum().item<double>();
  return {(mass.sum(1) * along).sum().item<double>() / sum,
          (mass.sum(0) * along).sum().item<double>() / sum};
}

TEST(Corruption, AllKeepShapeTypeAndRangeAndChangeSomething) {
  ASSERT_GE(corruptions().size(), 13u);
  for (const Corruption& one : corruptions())
    for (const int64_t channels : {1, 3}) {
      const Tensor x = smooth_pictures(6, channels).mul(255).round().to(at::kByte);
      const Dataset data = images(x, 1.0 / 255);
      const Tensor out = corrupted(data, one, 1).inputs;
      EXPECT_EQ(out.sizes(), x.sizes()) << one.name;
      EXPECT_EQ(out.scalar_type(), at::kByte) << one.name;
      EXPECT_FALSE(at::equal(out, x)) << one.name;
      EXPECT_TRUE(at::equal(x, data.inputs)) << one.name << " writes to what it is given";
      const Tensor given = smooth_pictures(6, channels), kept = given.clone();
      const Tensor values = under(one.name.c_str(), given);
      EXPECT_TRUE(at::equal(given, kept)) << one.name << " writes to what it is given";
      EXPECT_GE(values.min().item<float>(), 0) << one.name;
      EXPECT_LE(values.max().item<float>(), 1) << one.name;
    }
}

TEST(Corruption, ASampleIsCorruptedByItsNumberAlone) {
  const Tensor x = smooth_pictures(1003);  // more than are taken at once
  for (const Corruption& one : corruptions()) {
    const Tensor all = under(one.name.c_str(), x);
    EXPECT_TRUE(at::equal(all, under(one.name.c_str(), x))) << one.name;
    EXPECT_TRUE(at::equal(all.narrow(0, 0, 7), under(one.name.c_str(), x.narrow(0, 0, 7))))
        << one.name;
    const Tensor same = under(one.name.c_str(), x.narrow(0, 0, 1).expand({1003, 1, 28, 28}));
    const bool random = !at::equal(all, under(one.name.c_str(), x, 2));
    EXPECT_EQ(random, !at::equal(same, same.narrow(0, 0, 1).expand_as(same)))
        << one.name << ": what is random differs between samples";
  }
}

TEST(Corruption, ShotNoiseIsPoisson) {
  for (const double level : {0.02, 0.5, 0.9}) {
    const Tensor x = at::full({40, 1, 28, 28}, level, at::kFloat);
    const Tensor counts = under("shot-noise", x).to(at::kDouble) * 60;
    EXPECT_LT((counts - counts.round()).abs().max().item<double>(), 1e-4);
    const double mean = 60 * level, n = static_cast<double>(counts.numel());
    if (level < 0.8) {  // above, some numbers are cut at white
      EXPECT_NEAR(counts.mean().item<double>(), mean, 5 * std::sqrt(mean / n));
      EXPECT_NEAR(counts.var().item<double>() / mean, 1, 5 * std::sqrt(3 / n) + 0.01);
    }
    const double none = counts.round().eq(0).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(none, std::exp(-mean), 5 * std::sqrt(std::exp(-mean) / n) + 1e-9);
  }
}

TEST(Corruption, ImpulseNoiseTakesATenthOfThePixels) {
  const Tensor x = at::full({40, 3, 28, 28}, 0.5, at::kFloat), out = under("impulse-noise", x);
  const double n = 40 * 28 * 28;
  EXPECT_NEAR(out.select(1, 0).eq(1).to(at::kDouble).mean().item<double>(), 0.05,
              5 * std::sqrt(0.05 / n));
  EXPECT_NEAR(out.select(1, 0).eq(0).to(at::kDouble).mean().item<double>(), 0.05,
              5 * std::sqrt(0.05 / n));
  EXPECT_TRUE(at::equal(out.select(1, 0), out.select(1, 2))) << "all channels of a pixel";
}

TEST(Corruption, TranslationsAreByFourWholePixels) {
  const Tensor x = smooth_pictures(8), out = under("translate", x);
  int different = 0;
  for (int64_t n = 0; n < 8; ++n) {
    bool found = false;
    for (const int64_t down : {-4, 4})
      for (const int64_t right : {-4, 4}) {
        const Tensor moved = at::roll(x[n][0], {down, right}, {0, 1});
        const int64_t r = down > 0 ? 4 : 0, c = right > 0 ? 4 : 0;
        if (!at::allclose(out[n][0].narrow(0, r, 24).narrow(1, c, 24),
                          moved.narrow(0, r, 24).narrow(1, c, 24), 1e-4, 1e-5))
          continue;
        found = true;
        different += down == 4;
        EXPECT_LT(out[n][0].narrow(0, down > 0 ? 0 : 24, 4).abs().max().item<float>(), 1e-5);
      }
    EXPECT_TRUE(found) << n;
  }
  EXPECT_TRUE(different > 0 && different < 8) << "to both sides";
}

TEST(Corruption, TurnsShearsAndShrinksAsItSays) {
  const Tensor x = point(6, 20);  // (-7.5, 6.5)
  const auto [turned_down, turned_right] = centre(under("rotate", x));
  const double radius = std::hypot(7.5, 6.5);
  EXPECT_NEAR(std::hypot(turned_down, turned_right), radius, 0.2);
  const double angle = (std::atan2(turned_down, turned_right) - std::atan2(-7.5, 6.5)) * 180 / M_PI;
  EXPECT_NEAR(std::abs(angle), 30, 1.5);
  const auto [sheared_down, sheared_right] = centre(under("shear", x));
  EXPECT_NEAR(sheared_down, -7.5, 1e-4);
  EXPECT_NEAR(std::abs(sheared_right - 6.5), 0.4 * 7.5, 0.2);
  Tensor blob = at::zeros({1, 1, 28, 28}, at::kFloat);  // wide enough for the sampling
  blob[0][0].narrow(0, 4, 6).narrow(1, 18, 6).fill_(1);
  const Tensor small = under("scale", blob);
  EXPECT_NEAR(centre(small).first, 0.6 * centre(blob).first, 0.2);
  EXPECT_NEAR(centre(small).second, 0.6 * centre(blob).second, 0.2);
  EXPECT_NEAR(small.sum().item<double>(), 0.36 * blob.sum().item<double>(), 1);
}

TEST(Corruption, AngleOfATurnIsThatOfThePictureAlsoWhereSidesDiffer) {
  Tensor x = at::zeros({1, 1, 20, 60}, at::kFloat);
  x[0][0].narrow(0, 9, 2).narrow(1, 36, 2).fill_(1);  // 7 pixels to the right of the middle
  const Tensor out = under("rotate", x)[0][0].to(at::kDouble);
  const double sum = out.sum().item<double>();
  const double down = (out.sum(1) * (at::arange(20, at::kDouble) - 9.5)).sum().item<double>() / sum,
               right =
                   (out.sum(0) * (at::arange(60, at::kDouble) - 29.5)).sum().item<double>() / sum;
  EXPECT_NEAR(std::hypot(down, right), 7, 0.2);
  EXPECT_NEAR(std::abs(std::atan2(down, right)) * 180 / M_PI, 30, 1.5);
}

TEST(Corruption, BlursKeepLightAndAStripeUndoesItself) {
  const Tensor even = at::full({3, 1, 28, 28}, 0.5, at::kFloat);
  for (const char* name : {"glass-blur", "motion-blur"}) {
    const Tensor middle = under(name, even).narrow(2, 8, 12).narrow(3, 8, 12);
    EXPECT_LT((middle - 0.5).abs().max().item<float>(), 1e-5) << name;
  }
  const Tensor smeared = under("motion-blur", point(14, 14));
  EXPECT_NEAR(smeared.sum().item<double>(), 1, 1e-4);
  EXPECT_LT(smeared.max().item<float>(), 0.5);
  const Tensor x = smooth_pictures(2), striped = under("stripe", x);
  EXPECT_LT((under("stripe", striped) - x).abs().max().item<float>(), 1e-6);
  EXPECT_TRUE(at::equal(striped.narrow(3, 0, 10), x.narrow(3, 0, 10)));
  EXPECT_LT((striped.narrow(3, 10, 7) - (1 - x.narrow(3, 10, 7))).abs().max().item<float>(), 1e-6);
}

TEST(Corruption, LinesGoFromSideToSide) {
  for (const char* name : {"dotted-line", "zigzag"}) {
    const Tensor out = under(name, at::zeros({5, 1, 28, 28}, at::kFloat));
    EXPECT_GE(out.select(3, 0).sum().item<float>(), 5) << name;
    EXPECT_GE(out.select(3, 27).sum().item<float>(), 5) << name;
    EXPECT_GT(out.sum().item<float>(), 5 * 12) << name;
  }
}

TEST(Corruption, SaysWhatItIsNotFor) {
  const auto says = [](const Tensor& x) {
    return message_of([&] { corrupted(images(x), corruption("rotate"), 1); });
  };
  EXPECT_TRUE(contains(says(at::rand({4, 784})), "'pictures' has no channels, rows and columns"));
  EXPECT_TRUE(contains(says(at::rand({4, 1, 8, 8}) * 255), "values from 0 to 1"));
  EXPECT_TRUE(contains(says(at::rand({4, 1, 8, 8}) - 0.5), "values from 0 to 1"));
  EXPECT_TRUE(contains(says(at::full({4, 1, 8, 8}, NAN, at::kFloat)), "values from 0 to 1"));
  EXPECT_TRUE(contains(message_of([] { corruption("rotated"); }), "did you mean 'rotate'"));
  for (const Corruption& one : corruptions())  // smallest images
    EXPECT_EQ(corrupted(images(at::rand({2, 1, 1, 1})), one, 1).inputs.numel(), 2) << one.name;
}

}  // namespace
}  // namespace altprop::data
