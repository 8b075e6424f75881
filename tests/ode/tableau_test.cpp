// Tableaux against the theory of order (J. Butcher): every condition of every rooted tree up to the
// stated order, and one that fails behind it.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/ode/tableau.h"

namespace altprop::ode {
namespace {

using Row = std::vector<long double>;

/// A rooted tree: the numbers of its subtrees, ascending.
struct Tree {
  std::vector<size_t> subtrees;
  int order;
  long double gamma;  ///< order times the product of the subtrees' gammas
};

/// All trees up to an order: 1, 1, 2, 4, 9, 20, 48, 115 of orders 1 to 8.
std::vector<Tree> trees_up_to(int most) {
  std::vector<Tree> all = {{{}, 1, 1}};
  for (int order = 2; order <= most; ++order) {
    const size_t smaller = all.size();
    std::function<void(std::vector<size_t>, size_t, int)> extend = [&](std::vector<size_t> subtrees,
                                                                       size_t from, int left) {
      if (left == 0) {
        long double gamma = order;
        for (size_t t : subtrees) gamma *= all[t].gamma;
        all.push_back({subtrees, order, gamma});
        return;
      }
      for (size_t t = from; t < smaller; ++t)
        if (all[t].order <= left) {
          subtrees.push_back(t);
          extend(subtrees, t, left - all[t].order);
          subtrees.pop_back();
        }
    };
    extend({}, 0, order - 1);
  }
  return all;
}

/// Per tree: sum_i weight_i g_i(tree) - 1 / gamma(tree), with g_i = prod over subtrees of
/// sum_j a_ij g_j.
std::vector<long double> defects(const Tableau& method, const Row& weights,
                                 const std::vector<Tree>& trees) {
  const size_t rows = weights.size();
  std::vector<Row> g;
  std::vector<long double> out;
  for (const Tree& tree : trees) {
    Row here(rows, 1);
    for (size_t i = 0; i < rows; ++i)
      for (size_t t : tree.subtrees) {
        long double sum = 0;
        for (size_t j = 0; j < i; ++j) sum += method.text().a[i - 1][j].value() * g[t][j];
        here[i] *= sum;
      }
    long double sum = 0;
    for (size_t i = 0; i < rows; ++i) sum += weights[i] * here[i];
    out.push_back(sum - 1 / tree.gamma);
    g.push_back(here);
  }
  return out;
}

Row values(const std::vector<Fraction>& fractions) {
  Row out;
  for (const Fraction& f : fractions) out.push_back(f.value());
  return out;
}

class Order : public ::testing::TestWithParam<std::string> {};

TEST_P(Order, AllConditionsUpToItHoldAndOneBehindItDoesNot) {
  const Tableau& method = tableau(GetParam());
  const std::vector<Tree> trees = trees_up_to(method.order() + 1);
  const std::vector<long double> found = defects(method, values(method.text().b), trees);
  long double behind = 0;
  for (size_t i = 0; i < trees.size(); ++i)
    if (trees[i].order <= method.order()) {
      // The fractions of dopri8 are approximations of 18 digits.
      EXPECT_LT(std::abs(found[i]), method.order() == 8 ? 1e-15L : 1e-17L)
          << "tree " << i << " of order " << trees[i].order;
    } else {
      behind = std::max(behind, std::abs(found[i]));
    }
  EXPECT_GT(behind, 1e-7L);
}

TEST_P(Order, TheEstimateIsOfAnotherOrder) {
  const Tableau& method = tableau(GetParam());
  if (!method.estimates_error()) GTEST_SKIP() << "estimates no error";
  const std::vector<Tree> trees = trees_up_to(method.order());
  const std::vector<long double> found = defects(method, values(method.text().b_hat), trees);
  long double at_order = 0;
  for (size_t i = 0; i < trees.size(); ++i)
    if (trees[i].order < method.order()) {
      EXPECT_LT(std::abs(found[i]), method.order() == 8 ? 1e-15L : 1e-17L) << "tree " << i;
    } else {
      at_order = std::max(at_order, std::abs(found[i]));
    }
  EXPECT_GT(at_order, 1e-7L);  // else the error would be that of nothing
  double sum = 0;
  for (int i = 0; i < method.rows(); ++i) sum += method.d(i);
  EXPECT_LT(std::abs(sum), 1e-15);
}

INSTANTIATE_TEST_SUITE_P(Tableau, Order, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

TEST(Tableau, NumbersOfTrees) {
  std::vector<int> count(9, 0);
  for (const Tree& tree : trees_up_to(8)) ++count[static_cast<size_t>(tree.order)];
  EXPECT_EQ(count, (std::vector<int>{0, 1, 1, 2, 4, 9, 20, 48, 115}));
}

TEST(Tableau, StagesAndTheRowThatOnlyTheErrorNeeds) {
  EXPECT_EQ(tableau("euler").stages(), 1);
  EXPECT_EQ(tableau("bosh3").stages(), 3);
  EXPECT_EQ(tableau("bosh3").rows(), 4);
  EXPECT_EQ(tableau("dopri5").stages(), 6);
  EXPECT_EQ(tableau("dopri8").stages(), 13);
  EXPECT_FALSE(tableau("heun").first_same_as_last());
  EXPECT_FALSE(tableau("rk4").estimates_error());
  EXPECT_NEAR(tableau("dopri5").c(4), 8.0 / 9, 1e-16);
  EXPECT_NEAR(tableau("dopri8").c(8), 5490023248.0 / 9719169821.0, 1e-14);
}

TEST(Tableau, AnUnknownNameIsAnsweredWithTheNearest) {
  try {
    tableau("dopri6");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("dopri5"), std::string::npos) << error.what();
  }
}

TEST(Tableau, RowsThatDoNotFitAreRefused) {
  EXPECT_THROW(Tableau({.name = "x", .a = {{{1}, {2}}}, .b = {{1}, {0}}}), Error);
  EXPECT_THROW(Tableau({.name = "x", .a = {}, .b = {{1}, {0}}}), Error);
}

}  // namespace
}  // namespace altprop::ode
