// Damaged network texts: a network that runs, or a sentence; small and soon.
#include <ATen/core/grad_mode.h>

#include <filesystem>
#include <fstream>

#include "data/helpers.h"
#include "network/support.h"
#include "support/fuzz.h"

namespace altprop {
namespace {

const SizeLimits kSmall{.parameters = 100'000, .values = 1 << 16, .operations = 200};

const std::vector<std::string> kTexts = {
    "mlp:*-20x2-*:relu:norm=batch,dropout=0.1,out=sigmoid,residual=true",
    "mlp:784-30-10:tanh",
    "lenet-mnist:tanh:pool=average",
    "vgg:4-M-8v-A:elu:fc=6-5,head=gap,norm=batch",
    "resnet-8:relu:width=2,shortcut=B,norm=none",
    "chain: conv 4 k=3 p=1 s=2 g=1, leaky-relu(0.1), maxpool 2, conv-transpose 3 k=2 s=2, gap, "
    "linear *",
    "dag: x = input; a = conv(x, 4, k=3, p=1); b = relu(a); c = conv(b, 4, k=3, p=1); d = add(a, "
    "c); e = upsample(maxpool(d, 2), 2); y = linear(flatten(concat(e, d)), 10); output y",
    "dag: x = input; h = linear(linear(flatten(x), 8), 8); g = linear(h, tie=h); r = reshape(g, "
    "2x2x2); output linear(flatten(layer-norm(diagonal(r))), 10)"};

/// The shapes that were inferred are those that come out, in training and in evaluation.
void expect_runs(Graph net, int64_t classes) {
  EXPECT_LE(test::parameters(net), kSmall.parameters + kSmall.values);
  if (net.input_nodes().size() != 1 || net.nodes().size() > 60) return;
  double values = 0;
  for (const Node& node : net.nodes())
    values += static_cast<double>(c10::multiply_integers(node.spec.shape));
  if (values > 1e5) return;
  at::NoGradGuard no_grad;
  initialise(net, Initialiser("xavier"), Stream(1));
  for (const Node& node : net.nodes())
    if (node.op && node.op->type() == "embedding") return;  // takes symbols, not random numbers
  for (Mode mode : {Mode::Train, Mode::Eval}) {
    Activity activity;
    const Tensor out =
        net.run(test::random_batch(net, 2), activity, {mode, Stream(3)}, {.keep_values = true});
    for (const Node& node : net.nodes())
      EXPECT_EQ(activity.values[static_cast<size_t>(node.id)].sizes().slice(1),
                IntArrayRef(node.spec.shape))
          << node.name;
    if (classes > 0 && out.dim() == 2) {
      EXPECT_EQ(out.size(1), classes);
    }
  }
}

TEST(Fuzz, NetworkTexts) {
  const std::vector<InputInfo> infos = {
      {{1, 28, 28}, 10, 0, kSmall}, {{3, 8, 8}, 10, 0, kSmall}, {{12}, 10, 0, kSmall}, {{}, 0, 0, kSmall}};
  int64_t round = 0;
  const fuzz::Outcome outcome =
      fuzz::run({.name = "network",
                 .seeds = kTexts,
                 .read =
                     [&](const std::string& input) {
                       // Of damaged texts half go to other data, which fewer of them fit.
                       const bool seed = round < static_cast<int64_t>(kTexts.size());
                       const Stream draw = Stream(5).at(round++);
                       const InputInfo& info =
                           infos[seed || draw.integer_at(0, 4) ? 0 : draw.bits(1) % infos.size()];
                       expect_runs(network(input, info), info.classes);
                     },
                 .rounds = 3000});
  EXPECT_GT(outcome.accepted, outcome.refused / 10) << "damage must not only give trivial errors";
}

TEST(Fuzz, NetworkFiles) {
  data::testing::TempFolder folder;
  const std::string path = folder / "net.txt";
  fuzz::run({.name = "network file",
             .seeds = {"# a comment\nchain: conv 4 k=3, # another\n relu, gap,\n linear *\n",
                       "dag: x = input\n h = relu(linear(flatten(x), 8)) # hidden\n output "
                       "linear(h, *)\n"},
             .read =
                 [&](const std::string& input) {
                   data::testing::write(path, input);
                   expect_runs(network("@" + path, {{1, 28, 28}, 10, 0, kSmall}), 10);
                 },
             .rounds = 1000});
}

}  // namespace
}  // namespace altprop
