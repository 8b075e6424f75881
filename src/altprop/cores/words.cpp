// Cores in network texts, and the networks of the paper by their number of cores.
//
//   chain: cores 64 patch=16 stride=12, cores 250, class-sums *
//   truenorth:30:penalty=1e-4
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/class_sums.h"
#include "altprop/cores/core_layer.h"
#include "altprop/cores/limits.h"
#include "altprop/cores/probabilities.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/sizes.h"
#include "altprop/network/build/words.h"

namespace altprop::cores {

namespace {

constexpr const char* kEsser = "Esser et al. 2015, NIPS, pp. 1117-1125";
constexpr const char* kYepes = "Yepes, Tang, Mashford 2017, arXiv 1705.07755";

/// What both the word and the networks say of a layer.
struct CoreOptions {
  CoreSettings settings;
  std::string synapse = "probability", variance = "exact", continuity = "none",
              strengths = "permuted";

  void declare(Options& o) {
    o.choice("synapse", synapse, {"probability", "deterministic"},
             {"what is trained: the probability that a synapse is there, or whether it is, by "
              "gradients straight through the rounding",
              "", kYepes});
    o.choice(
        "variance", variance, {"exact", "frozen"},
        {"gradient: of mean and variance of a neuron's sum, or of the mean alone", "", kEsser});
    o.choice("continuity", continuity, {"none", "half"},
             {"half: the Gaussian is asked at 1/2 instead of 0, as sums are whole numbers"});
    o.flag("fire-on-zero", settings.fire_on_zero,
           {"neurons fire at a sum of 0, too", "", "UA-RCL/RANC"});
    o.choice("strengths", strengths, {"permuted", "signs"},
             {"tables of the neurons: the permutations of (-2, -1, 1, 2), or +1 and -1 by turns",
              "", kEsser});
    o.number("penalty", settings.penalty, {.min = 0, .max = 1e6},
             {"adds penalty * sum c (1 - c) over all synapses to the loss, so that draws of the "
              "network differ less",
              "1", "Wen et al. 2016, arXiv 1604.00697"});
    o.integer("layout", settings.layout_seed, {.min = 0},
              {"seed of axon types and strengths, which are the same in all runs"});
  }

  CoreSettings of_layer(int64_t layer) const {
    CoreSettings out = settings;
    out.synapse = synapse == "deterministic" ? Synapse::Deterministic : Synapse::Probability;
    out.exact_variance = variance == "exact";
    out.continuity = continuity == "half" ? Continuity::Half : Continuity::None;
    out.strengths = strengths == "signs" ? StrengthKind::Signs : StrengthKind::Permuted;
    out.layer = layer;
    if (out.synapse == Synapse::Deterministic &&
        (variance != "exact" || continuity != "none" || settings.penalty > 0))
      throw UsageError(
          "with synapse=deterministic nothing is left to chance, so that variance, continuity and "
          "penalty have no effect; leave them out");
    return out;
  }

  /// " penalty=0.1": what is not as it is by itself.
  std::string text() {
    CoreOptions usual;
    Options own, by_default;
    declare(own);
    usual.declare(by_default);
    std::string out;
    for (size_t i = 0; i < own.entries().size(); ++i)
      if (own.entries()[i].text() != by_default.entries()[i].text())
        out += text::cat(" ", own.entries()[i].name, "=", own.entries()[i].text());
    return out;
  }
};

/// "2/1" as size and stride of a window.
Window window_in(const std::string& written) {
  if (written.empty()) return {};
  const std::vector<std::string> parts = text::split(written, '/');
  const auto size = text::to_integer(parts[0]),
             stride = text::to_integer(parts.size() > 1 ? parts[1] : "1");
  if (parts.size() > 2 || !size || !stride || *size < 1 || *stride < 1 || *size > kMostAxons ||
      *stride > kMostAxons)
    throw UsageError("size and stride of the window of the next layer, as in 2/1");
  return {*size, *stride};
}

/// The node whose numbers arrive here, looked at through operations that only move them.
const Node& giver_of(const Graph& graph, int place) {
  const Node* node = &graph.node(place);
  while (node->op && node->op->traits().rearranges) node = &graph.node(node->inputs[0]);
  return *node;
}

struct CoresWord : Word {
  int64_t neurons = 1, patch = 0, stride = 1;
  std::string next;
  CoreOptions options;

  void declare(Options& o) override {
    o.integer("neurons", neurons, {.min = 1, .max = double(kMostNeurons)},
              {"neurons of a core for each core that it serves"});
    o.integer("patch", patch, {.min = 0, .max = 1024},
              {"side of what a core reads: pixels of an image, behind cores cores; 0: everything"});
    o.integer("stride", stride, {.min = 1, .max = 1024},
              {"from one core's patch to the next one's", "pixels or cores"});
    o.checked_text("next", next, "size/stride", [](const std::string& s) { window_in(s); },
                   {"patch and stride of the cores behind, where not one core reads all of these: "
                    "as many groups of neurons as they are read by"});
    options.declare(o);
  }

  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const Graph& graph = net.graph();
    const Node& giver = giver_of(graph, in[0]);
    const CoreLayer* before = giver.op ? dynamic_cast<const CoreLayer*>(giver.op.get()) : nullptr;
    const Window window{patch, stride};
    int64_t layer = 0;
    for (const Node& node : graph.nodes())
      layer += dynamic_cast<const CoreLayer*>(node.op.get()) != nullptr;
    const CoreSettings settings = options.of_layer(layer);
    if (stride != 1 && patch == 0)
      throw UsageError("stride has no effect without a patch; give one, or leave stride out");
    const CoreLayout layout =
        before ? over_cores(before->layout(), window, neurons, window_in(next))
               : over_inputs(graph.node(in[0]).spec.shape, window, neurons, window_in(next));
    int from = in[0];
    if (!giver.op && graph.node(from).spec.kind == Kind::Real)
      from = net.add(probabilities(), {from}, name.empty() ? "" : name + "_inputs");
    return net.add(core_layer(layout, settings), {from}, name,
                   2.0 * static_cast<double>(layout.outputs() * layout.axons_each()));
  }
};

struct ProbabilitiesWord : Word {
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    return net.add(probabilities(), in, name);
  }
};

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names = {"sums", "means", "majority"};
  return names;
}

void declare_score(Options& o, std::string& score) {
  o.choice("score", score, score_names(),
           {"of a class: sum of its neurons' outputs, their mean, or the probability that the mean "
            "is above 1/2"});
}

struct ClassSumsWord : Word {
  int64_t classes = 1;
  std::string score = "sums";
  void declare(Options& o) override {
    o.integer("classes", classes, {.min = 1, .max = double(kMostNeurons)}, {"number of classes"});
    declare_score(o, score);
  }
  int add(Builder& net, const std::vector<int>& in, const std::string& name) const override {
    const auto at = std::find(score_names().begin(), score_names().end(), score);
    return net.add(class_sums(classes, static_cast<ClassScore>(at - score_names().begin())), in,
                   name);
  }
};

/// The two networks of the paper's examples, for images of 28 x 28: four patches and one core, or
/// sixteen patches and a pyramid of 9, 4 and 1.
struct TrueNorth : Architecture {
  std::string cores = "5", score = "sums";
  int64_t votes = 0;
  CoreOptions options;

  void declare(Options& o) override {
    o.choice("cores", cores, {"5", "30"}, {"number of cores"});
    o.integer("votes", votes, {.min = 0, .max = double(kMostNeurons)},
              {"output neurons of a class; 0: as many as the last core has room for"});
    declare_score(o, score);
    options.declare(o);
  }

  Graph make(const InputInfo& info) const override {
    const int64_t classes = outputs_of("truenorth", 0, info);
    if (classes > kMostNeurons)
      throw UsageError(text::cat("network 'truenorth': ", classes,
                                 " classes need as many neurons "
                                 "in the last core, and it has at most ",
                                 kMostNeurons));
    const int64_t outputs = classes * (votes > 0 ? votes : kMostNeurons / classes);
    const std::string own = CoreOptions(options).text();
    std::string items;
    if (cores == "5") {
      items = text::cat("cores 64 patch=16 stride=12", own);
    } else {
      for (const char* layer : {"patch=16 stride=4 next=2/1", "patch=2 next=2/1", "patch=2"})
        items += text::cat(items.empty() ? "" : ", ", "cores 64 ", layer, own);
    }
    return network(text::cat("chain: ", items, ", cores ", outputs, own, ", class-sums ", classes,
                             " score=", score),
                   info);
  }
};

const RegisterWord registered_cores_word{{.name = "cores",
                                          .aliases = {},
                                          .summary = "cores of neurons with probabilistic synapses",
                                          .positional = {"neurons", "patch", "stride"},
                                          .required = 1,
                                          .make = [] { return std::make_unique<CoresWord>(); }}};
const RegisterWord registered_probabilities_word{
    {.name = "probabilities",
     .aliases = {},
     .summary = "values in [0, 1] as probabilities of a spike, for cores behind them",
     .positional = {},
     .make = [] { return std::make_unique<ProbabilitiesWord>(); }}};
const RegisterWord registered_class_sums_word{
    {.name = "class-sums",
     .aliases = {},
     .summary = "sums of every K-th value, votes for K classes",
     .positional = {"classes"},
     .required = 1,
     .make = [] { return std::make_unique<ClassSumsWord>(); }}};

const RegisterArchitecture registered_truenorth{
    {.name = "truenorth",
     .summary = "5 or 30 neuromorphic cores with probabilistic synapses, over patches of an image",
     .grammar = "truenorth[:cores][:option=value,...]",
     .example = "truenorth:5",
     .source = kEsser,
     .input_shape = {1, 28, 28},
     .classes = 10,
     .positional = {"cores"},
     .make = [] { return std::make_unique<TrueNorth>(); },
     .order = 72}};

}  // namespace

}  // namespace altprop::cores
