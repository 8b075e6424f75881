// Things known by name: their order in listings, suggestions, and that they may go again.
#include "altprop/base/registry.h"

#include <gtest/gtest.h>

namespace altprop::registries {
namespace {

struct Fruit {
  std::string name;
  int order = 100;
};

TEST(Registry, ListsByOrderAndThenByName) {
  Registry<Fruit> fruits("fruit");
  for (const Fruit& fruit : {Fruit{"pear"}, Fruit{"fig", 7}, Fruit{"apple"}, Fruit{"plum", 3}})
    fruits.add(fruit);
  EXPECT_EQ(fruits.names(), (std::vector<std::string>{"plum", "fig", "apple", "pear"}));
  fruits.remove("fig");
  EXPECT_EQ(fruits.names(), (std::vector<std::string>{"plum", "apple", "pear"}));
  EXPECT_EQ(fruits.find("fig"), nullptr);
  EXPECT_EQ(fruits.at("plum").order, 3);
  try {
    fruits.at("aple");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "there is no fruit 'aple'; did you mean 'apple'?");
  }
}

TEST(Registry, RefusesTheSameNameTwice) {
  struct Named {
    std::string name;
    std::vector<std::string> aliases{};
    int order = 0;
  };
  Registry<Named> all("thing");
  all.add({"long-name", {"ln"}});
  for (const Named& twice : {Named{"long-name"}, Named{"ln"}, Named{"other", {"ln"}},
                             Named{"another", {"x", "long-name"}}})
    EXPECT_THROW(all.add(twice), std::logic_error) << twice.name;
  EXPECT_EQ(all.names(), std::vector<std::string>{"long-name"});
  EXPECT_EQ(all.at("ln").name, "long-name");
}

}  // namespace
}  // namespace altprop::registries
