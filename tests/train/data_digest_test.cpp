// The digest that tells whether data are those that a run was begun with: it sees everything that
// learning sees, and nothing else.
#include <gtest/gtest.h>

#include "altprop/data/labels.h"
#include "altprop/train/run_identity.h"

namespace altprop::data_digests {
namespace {

data::Dataset part(int64_t first, int64_t n) {
  data::Dataset out;
  out.name = "numbers";
  out.classes = 3;
  out.inputs = at::arange(first * 4, (first + n) * 4, at::kFloat).view({n, 4}).clone();
  out.targets = at::arange(first, first + n, at::kLong).remainder(3);
  out.scale = 0.5;
  out.mean = {1, 2, 3, 4};
  out.stddev = {1, 1, 2, 2};
  return out;
}

data::Splits splits() { return {part(0, 7), part(7, 2), part(9, 3)}; }

using Change = std::function<void(data::Splits&)>;

std::string digest_after(const Change& change) {
  data::Splits data = splits();
  change(data);
  return data_digest(data);
}

TEST(DataDigest, IsTheSameForTheSameData) {
  const std::string digest = data_digest(splits());
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(digest.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(digest, data_digest(splits()));
}

TEST(DataDigest, SeesWhatLearningSees) {
  const std::vector<std::pair<const char*, Change>> changes = {
      {"a value", [](data::Splits& d) { d.train.inputs[3][1] += 1e-6f * 13; }},
      {"the sign of a zero", [](data::Splits& d) { d.train.inputs[0][0] = -0.0f; }},
      {"a value of the validation part", [](data::Splits& d) { d.validation.inputs[1][0] += 1; }},
      {"a value of the test part", [](data::Splits& d) { d.test.inputs[2][3] += 1; }},
      {"a label", [](data::Splits& d) { d.train.targets[5] = 0; }},
      {"a label of the test part", [](data::Splits& d) { d.test.targets[0] = 1; }},
      {"the order",
       [](data::Splits& d) { d.train = data::subset(d.train, at::arange(6, -1, -1)); }},
      {"two samples exchanged between parts",
       [](data::Splits& d) {
         const Tensor kept = d.train.inputs[0].clone();
         d.train.inputs[0].copy_(d.test.inputs[0]);
         d.test.inputs[0].copy_(kept);
       }},
      {"the split, the samples in their order",
       [](data::Splits& d) {
         d = {part(0, 6), part(6, 3), part(9, 3)};
       }},
      {"a part that is another's", [](data::Splits& d) { std::swap(d.validation, d.test); }},
      {"a part that is left out", [](data::Splits& d) { d.validation = {}; }},
      {"a sample less", [](data::Splits& d) { d.train = data::first(d.train, 6); }},
      {"the shape",
       [](data::Splits& d) {
         d.train.inputs = d.train.inputs.view({7, 2, 2});
       }},
      {"the type", [](data::Splits& d) { d.train.inputs = d.train.inputs.to(at::kDouble); }},
      {"the number of classes", [](data::Splits& d) { d.train.classes = 4; }},
      {"the scale", [](data::Splits& d) { d.train.scale = 0.25; }},
      {"a mean", [](data::Splits& d) { d.train.mean[2] += 1e-12; }},
      {"a deviation", [](data::Splits& d) { d.test.stddev[0] = 2; }},
      {"a mean that is a deviation",
       [](data::Splits& d) {
         d.train.stddev.insert(d.train.stddev.begin(), d.train.mean.back());
         d.train.mean.pop_back();
       }},
      {"the vocabulary", [](data::Splits& d) { d.train.vocabulary = 9; }},
  };
  std::map<std::string, const char*> seen{{data_digest(splits()), "nothing changed"}};
  for (const auto& [what, change] : changes) {
    const auto [other, fresh] = seen.emplace(digest_after(change), what);
    EXPECT_TRUE(fresh) << what << " gives the digest of: " << other->second;
  }
}

TEST(DataDigest, DoesNotSeeWhatDoesNotMatter) {
  const std::string digest = data_digest(splits());
  const std::vector<std::pair<const char*, Change>> changes = {
      {"the name", [](data::Splits& d) { d.train.name = d.test.name = "elsewhere/numbers"; }},
      {"what classes are called",
       [](data::Splits& d) {
         d.train.class_names = d.test.class_names = {"a", "b", "c"};
       }},
      {"where the labels come from",
       [](data::Splits& d) { d.train.labels = std::make_shared<data::Labels>(); }},
      {"the layout in memory",
       [](data::Splits& d) { d.train.inputs = d.train.inputs.t().contiguous().t(); }},
      {"memory that is shared with more samples",
       [](data::Splits& d) { d.train = data::first(part(0, 20), 7); }},
  };
  for (const auto& [what, change] : changes) EXPECT_EQ(digest_after(change), digest) << what;
}

}  // namespace
}  // namespace altprop::data_digests
