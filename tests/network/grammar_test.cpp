// The texts of networks: bad ones are refused with a sentence that points at the fault.
#include "network/support.h"

namespace altprop::test {
namespace {

struct Bad {
  std::string text;
  std::vector<std::string> says;
  InputInfo info{{1, 28, 28}, 10};
};

TEST(Grammar, SaysWhatIsWrongAndWhere) {
  const std::vector<Bad> table = {
      {"", {"has no name", "mlp:784-500-10:relu"}},
      {"mpl:784-10", {"no network 'mpl'", "did you mean 'mlp'"}},
      {"lenet-mnits", {"'lenet-mnits'", "did you mean 'lenet-mnist'"}},
      {"resnet-21", {"depth", "network 'resnet'", "6n + 2", "'21'"}},
      {"resnet-20:width=x", {"width", "'x'"}},
      {"resnet-20:widht=8", {"no option 'widht'", "did you mean 'width'"}},
      {"mlp", {"sizes are missing"}},
      {"mlp:784", {"sizes", "784-10", "'784'"}},
      {"mlp:784--10", {"sizes", "'784--10'"}},
      {"mlp:784-*-10", {"'*' only as the first or the last"}},
      {"mlp:784-5a-10", {"'5a'"}},
      {"mlp:784-0-10", {"'0'"}},
      {"mlp:100-10", {"takes 100 values", "784", "[1, 28, 28]"}},
      {"mlp:784-20-7", {"[7]", "10 classes"}},
      {"mlp:784-20-10:rleu", {"'rleu'", "did you mean 'relu'"}},
      {"mlp:784-20-10:relu:bias=maybe", {"bias", "true or false", "'maybe'"}},
      {"mlp:784-20-10:relu:bias=false:extra", {"no place for 'extra'"}},
      {"mlp:784-20-10:relu:norm=batch,dropout", {"name=value", "'dropout'"}},
      {"mlp:784-20-10:relu:dropout=1", {"dropout", "'1'"}},
      {"mlp:784-9000000-9000000-10", {"'fc1'", "limit", "parameters"}},
      {"mlp:784-100x5000-10", {"100x5000"}},
      {"vgg:32-M-X", {"'X'"}},
      {"vgg:32-M-M-M-M-M", {"'pool5'"}},
      {"vgg:32M", {"channels", "'32M'"}},
      {"chain: conv 32 k=3, relue", {"item 2", "'relue'", "did you mean 'relu'"}},
      {"chain: conv 32 k=0", {"kernel", "item 1 'conv 32 k=0'", "'0'"}},
      {"chain: conv 32 k=3 kernel=5", {"item 1", "'kernel' is given twice"}},
      {"chain: conv", {"item 1", "needs 'out'"}},
      {"chain: conv 32, , relu", {"item 2", "empty"}},
      {"chain: conv 32 3 1 1", {"item 1", "by place", "'1'"}},
      {"chain: relu, conv 32 k=40", {"item 2", "conv"}},
      {"chain: conv(32, k=3", {"item 1", "brackets"}},
      {"chain: conv 32), relu", {"item 1", "bracket"}},
      {"chain: add, linear 10", {"item 1", "at least two"}},
      {"chain: linear 10, conv 3 k=1", {"item 2"}},
      {"chain: conv 32 k=3, relu", {"[32, 26, 26]", "10 classes"}},
      {"chain: linear *", {"'*'", "item 1"}, {{784}, 0}},
      {"chain: relu name=a, linear 10 name=a", {"item 2", "'a'", "taken"}},
      {"chain: linear 10", {"not known without data"}, {}},
      {"chain: upsample 64, upsample 64, upsample 64, linear 10", {"'upsample2'", "limit"}},
      {"dag: x = input", {"no output", "output name"}},
      {"dag: x = inptu; output x", {"character 6", "'inptu'", "did you mean 'input'"}},
      {"dag: x = input; y = conv(z, 3); output y", {"'z'", "no node of that name"}},
      {"dag: x = input; x = relu(x); output x", {"used already"}},
      {"dag: x = input; y = relu x; output y", {"character"}},
      {"dag: x = input; y = relu(x; output y", {"','"}},
      {"dag: x = input; y = conv(x, 3, x); output y", {"before its settings"}},
      {"dag: x = input; y = relu(x, x); output y", {"one input, not 2"}},
      {"dag: x = input; y = relu(); output y", {"one input, not 0"}},
      {"dag: x = input; y = add(x); output y", {"at least two"}},
      {"dag: x = input; y = conv(x, 3, k=); output y", {"a value for 'k'"}},
      {"dag: x = input; y = linear(flatten(x), 10, tie=w); output y", {"'w'"}},
      {"dag: x = input; a = relu(x); y = conv(a, tie=a); output y", {"'a' is 'relu'"}},
      {"dag: x = input(1, 20, 20); output x", {"[1, 28, 28]", "[1, 20, 20]"}},
      {"dag: x = input(-1); output x", {"extents"}, {}},
      {"dag: x = input(1000000, 1000000); output x", {"product"}, {}},
      {"dag: x = input; y = reshape(x, 5x5); output linear(y, 10)", {"reshape"}},
      {"dag: x = input; output x, x", {"named twice"}},
      {"@/no/such/file", {"/no/such/file", "cannot be read"}},
  };
  for (const Bad& bad : table) {
    const std::string message = message_of([&] { network(bad.text, bad.info); });
    for (const std::string& part : bad.says)
      EXPECT_TRUE(contains(message, part))
          << bad.text << "\n  says: " << message << "\n  not: " << part;
  }
}

TEST(Grammar, RefusesDeepNestingAndLongTexts) {
  std::string deep = "dag: x = input; output ";
  for (int i = 0; i < 50'000 / 5; ++i) deep += "relu(";
  EXPECT_TRUE(contains(message_of([&] { network(deep, {{4}, 4}); }), "nested too deeply"));
  EXPECT_TRUE(contains(message_of([&] {
                         network("chain: " + std::string(200'000, ','), {{4}, 4});
                       }),
                       "longer than"));
}

}  // namespace
}  // namespace altprop::test
