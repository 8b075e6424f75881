#include "altprop/rules/equilibrium/convergent_network.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// The activation that an operation is, as far as states are concerned; null: it is none.
std::shared_ptr<Activation> sigma_of(const OpPtr& op) {
  if (!op || op->traits().response == Response::Linear) return nullptr;
  return std::dynamic_pointer_cast<Activation>(op);
}

std::string objection_to(const Activation& sigma, Admitted admitted) {
  if (!sigma.bounded())
    return "states need a bounded activation, and with " + sigma.type() +
           " they can grow without end";
  if (admitted == Admitted::Clamped && !sigma.slope_from_output())
    return "states need an activation whose slope follows from its value, and that of " +
           sigma.type() + " does not";
  return "";
}

/// Why a map with a weight cannot be run on complex numbers; "" if it can.
std::string objection_to_weight(const Op& op) {
  const std::vector<ParamPtr> params = op.params();
  if (params.empty()) return "";
  if (!op.weight() || !op.with_weight(op.weight()))
    return op.type() + " cannot be had without its bias (Op::with_weight), as rows of imaginary "
                       "parts need it";
  if (params.size() > 1 && !op.channels())
    return op.type() + " does not say to which channels its bias belongs (Op::channels)";
  return "";
}

/// Why an operation cannot be part of an energy; "" if it can.
std::string objection(const OpPtr& op, Admitted admitted) {
  if (const auto sigma = sigma_of(op)) return objection_to(*sigma, admitted);
  const bool analytic = admitted == Admitted::Analytic;
  if (analytic && op->planar() && op->params().empty()) return "";
  const Traits traits = op->traits();
  if (op->gain()) return "a norm is no term of an energy, so it has no symmetric feedback";
  if (traits.activation)
    return "states need a bounded activation, and " + op->type() +
           " does not say that it is one (Activation::Bounded)";
  if (traits.response == Response::Curved)
    return op->type() + " is not linear in the states it reads, so it cannot carry feedback";
  if (traits.rearranges && !traits.reshapes)
    return op->type() + " takes a sequence apart or puts it together, and the states of its steps "
                        "would settle without regard to their order";
  if (!op->params().empty() && !traits.affine)
    return op->type() + " is not affine in its parameters, so a contrast of two phases does not make "
                        "their gradient";
  if (traits.masks)
    return analytic ? "masks are defined for the phases of equilibrium propagation, not for its "
                      "holomorphic form"
                    : "";
  if (traits.draws || traits.draws_for_batch)
    return "what " + op->type() +
           " draws cannot be held through the phases of a step, as the masks of dropout are";
  return analytic ? objection_to_weight(*op) : "";
}

/// What network texts call an operation; "" if they have no word for it.
std::string word_of(const OpPtr& op) {
  const std::string type = op->type();
  if (sigma_of(op) && !objection(op, Admitted::Clamped).empty()) return "hard-sigmoid";
  static const std::map<std::string, std::string> words = {
      {"linear", "linear"},          {"conv1d", "conv1d"},
      {"conv2d", "conv"},            {"max_pool2d", "maxpool"},
      {"softmax_pool2d", "softmaxpool"}, {"average_pool2d", "avgpool"},
      {"dropout", "dropout"}};
  if (const auto word = words.find(type); word != words.end())
    return word->second + "(" + op->settings() + ")";
  if (type == "global_average_pool") return "gap";
  return type == "flatten" || std::dynamic_pointer_cast<Activation>(op) ? type : "";
}

}  // namespace

std::string nearest_convergent(const Graph& net, Admitted admitted) {
  if (net.input_nodes().size() != 1) return "";
  std::vector<std::string> words, sizes;
  std::string sigma;
  bool dense = true;
  for (const Node& node : net.nodes()) {
    if (!node.op) {
      if (node.id != 0) return "";
      continue;
    }
    if (node.inputs != std::vector<int>{node.id - 1}) return "";
    if (node.op->gain()) continue;
    if (node.op->traits().masks && admitted == Admitted::Analytic) continue;
    const std::string word = word_of(node.op);
    if (word.empty()) return "";
    words.push_back(word);
    if (sigma_of(node.op)) {
      dense &= sigma.empty() || sigma == word;
      sigma = word;
    } else if (node.op->dense()) {
      sizes.push_back(std::to_string(node.spec.numel()));
    } else {
      dense &= node.op->traits().reshapes && node.id == 1;
    }
  }
  if (sizes.empty() && dense) return "";
  const bool linear_output = net.node(net.output_node()).op->dense().has_value();
  if (dense && linear_output && sizes.size() > 1)
    return text::cat("mlp:", net.node(0).spec.numel(), "-", text::join(sizes, "-"), ":",
                     sigma.empty() ? "hard-sigmoid" : sigma);
  return "chain: " + text::join(words, ", ");
}

namespace {

/// What a state is made of, as nodes of the network.
struct CutSite {
  int value;               ///< the node whose value it is
  int drive;               ///< the node that enters the activation
  int activation = -1;     ///< node, or -1
  std::vector<int> pools;  ///< nodes of max poolings moved in front of the activation
};

class ConvergentCutter {
 public:
  ConvergentCutter(const Graph& net, const Loss& loss, const std::string& readout,
                   Admitted admitted)
      : net_(net),
        loss_(loss),
        readout_(readout),
        admitted_(admitted),
        used_(net.nodes().size(), 0) {
    out_ = net.output_node();
    if (net.params().empty())
      throw Refusal("network", "it has no parameters", "add a layer that can learn");
    if (net.input_nodes().size() != 1)
      throw Refusal("network", text::cat("it has ", net.input_nodes().size(), " inputs"),
                    "use a network with one input");
    used_[at(out_)] = 1;
    for (size_t k = net.nodes().size(); k-- > 0;)
      if (used_[k])
        for (int i : net.nodes()[k].inputs) used_[at(i)] = 1;
    refuse_operations();
  }

  ConvergentNetwork cut() {
    find_sites();
    ConvergentNetwork out;
    std::vector<int> state_of(net_.nodes().size(), -1);
    for (const Node& node : net_.nodes()) {
      const auto site = std::find_if(sites_.begin(), sites_.end(),
                                     [&](const CutSite& s) { return s.value == node.id; });
      if (node.op ? site == sites_.end() : !used_[at(node.id)]) continue;
      state_of[at(node.id)] = static_cast<int>(out.graph.states.size());
      out.graph.states.push_back(
          {node.name, node.spec, node.id, node.op == nullptr, node.id == out_});
      const bool bare = !node.op || site->activation < 0;
      out.sigma.push_back(bare ? nullptr : sigma_of(net_.node(site->activation).op));
    }
    std::set<int> owned;
    for (const StateGraph::State& state : out.graph.states)
      if (!state.input) out.graph.edges.push_back(edge_to(state.node, state_of, owned));
    out.output = state_of[at(out_)];
    out.readout = is_readout(out);
    finish(out);
    return out;
  }

 private:
  void refuse_operations() const {
    for (const Node& node : net_.nodes()) {
      if (!node.op || !used_[at(node.id)]) continue;
      const std::string why = objection(node.op, admitted_);
      if (why.empty()) continue;
      const std::string text = nearest_convergent(net_, admitted_);
      throw Refusal("node '" + node.name + "'", why,
                    text.empty() ? "build the network of hard-sigmoid, convolutions, linear layers "
                                   "and poolings"
                                 : "use '" + text + "'");
    }
  }

  std::vector<int> consumers(int node) const {
    std::vector<int> out;
    for (int c : net_.consumers()[at(node)])
      if (used_[at(c)]) out.push_back(c);
    return out;
  }

  void find_sites() {
    for (const Node& node : net_.nodes()) {
      if (!node.op || !used_[at(node.id)] || !sigma_of(node.op)) continue;
      CutSite site{.value = node.id, .drive = node.inputs[0], .activation = node.id};
      while (site.value != out_) {
        const std::vector<int> next = consumers(site.value);
        if (next.size() != 1 || net_.node(next[0]).op->traits().response != Response::Selects) break;
        site.value = next[0];
        site.pools.push_back(next[0]);
      }
      sites_.push_back(site);
    }
    const auto is_site = [&](const CutSite& s) { return s.value == out_; };
    if (std::none_of(sites_.begin(), sites_.end(), is_site))
      sites_.push_back({.value = out_, .drive = out_});
  }

  StateGraph::Edge edge_to(int value, const std::vector<int>& state_of,
                           std::set<int>& owned) const {
    const CutSite& site = *std::find_if(sites_.begin(), sites_.end(),
                                        [&](const CutSite& s) { return s.value == value; });
    // A linear output is its own drive: its inputs are looked at whatever it is.
    const auto is_state = [&](int node) {
      return state_of[at(node)] >= 0 && !(node == site.drive && node == site.value);
    };
    std::set<int> between, sources;
    std::vector<int> open = {site.drive};
    while (!open.empty()) {
      const int id = open.back();
      open.pop_back();
      if (is_state(id)) {
        sources.insert(id);
      } else if (between.insert(id).second) {
        for (int i : net_.node(id).inputs) open.push_back(i);
      }
    }
    StateGraph::Edge edge;
    edge.to = state_of[at(value)];
    std::vector<int> here(net_.nodes().size(), -1);
    for (int source : sources) {
      here[at(source)] = edge.map.input(net_.node(source).spec, net_.node(source).name);
      edge.from.push_back(state_of[at(source)]);
      edge.node.push_back(source);
    }
    for (int id : between) {
      const Node& node = net_.node(id);
      if (!node.op->params().empty() && !owned.insert(id).second)
        throw Refusal("node '" + node.name + "'", "several states would be driven by its output",
                      "put an activation behind it");
      std::vector<int> inputs;
      for (int i : node.inputs) inputs.push_back(here[at(i)]);
      here[at(id)] = edge.map.add(node.op, inputs, node.name);
      edge.map.draw_as(here[at(id)], node.draws);
      edge.node.push_back(id);
    }
    int end = here[at(site.drive)];
    for (int pool : site.pools) {
      end = edge.map.add(net_.node(pool).op, {end}, net_.node(pool).name);
      edge.node.push_back(pool);
    }
    edge.map.output(end);
    return edge;
  }

  bool is_readout(const ConvergentNetwork& out) const {
    const bool linear = !out.sigma[at(out.output)], squared = loss_.squared();
    if (readout_ == "softmax") {
      if (squared)
        throw Refusal("ep.readout=softmax",
                      "a readout outside of the dynamics is defined for a "
                      "cross-entropy, not for the squared error",
                      "use --loss cross-entropy, or ep.readout=state");
      if (!linear)
        throw Refusal("ep.readout=softmax", "the output has an activation, so it is a state",
                      "leave the activation of the output out, or use ep.readout=state");
    }
    const bool read = linear && !squared && readout_ != "state";
    if (read && !out.graph.edges_from(out.output).empty())
      throw Refusal("node '" + out.name(out.output) + "'",
                    "the output also feeds other layers, so it cannot be a readout",
                    "use ep.readout=state");
    return read;
  }

  void finish(ConvergentNetwork& out) const {
    const StateGraph& graph = out.graph;
    for (const StateGraph::Edge& edge : graph.edges) {
      out.from_inputs.push_back(std::all_of(edge.from.begin(), edge.from.end(),
                                            [&](int p) { return graph.states[at(p)].input; }));
      bool bends = false;
      for (const Node& node : edge.map.nodes())
        bends |= node.op && node.op->traits().response != Response::Linear;
      out.bends.push_back(bends);
    }
    // A nudge travels along edges both ways, one a step.
    out.nudged_after.assign(graph.states.size(), 0);
    std::vector<int> now;
    if (!out.readout) {
      now.push_back(out.output);
    } else {
      for (int p : graph.parents(out.output))
        if (!graph.states[at(p)].input) now.push_back(p);
    }
    if (now.empty())
      throw Refusal("network", "it has no hidden layer, so no state would settle",
                    "add one, as in mlp:784-100-10:hard-sigmoid");
    for (int step = 1; !now.empty(); ++step) {
      std::vector<int> next;
      for (int s : now) {
        if (graph.states[at(s)].input || out.nudged_after[at(s)] ||
            (out.readout && s == out.output))
          continue;
        out.nudged_after[at(s)] = step;
        for (int p : graph.parents(s)) next.push_back(p);
        for (int c : graph.children(s)) next.push_back(c);
      }
      now = std::move(next);
    }
  }

  const Graph& net_;
  const Loss& loss_;
  const std::string& readout_;
  Admitted admitted_;
  std::vector<char> used_;
  std::vector<CutSite> sites_;
  int out_ = -1;
};

}  // namespace

int ConvergentNetwork::depth() const {
  return *std::max_element(nudged_after.begin(), nudged_after.end());
}

int ConvergentNetwork::weights(int edge) const {
  const std::vector<Node>& nodes = graph.edges[static_cast<size_t>(edge)].map.nodes();
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(), [](const Node& node) {
    return node.op && !node.op->params().empty();
  }));
}

int ConvergentNetwork::matrix(int number) const {
  const StateGraph::Edge& edge = graph.edges[at(number)];
  if (edge.from.size() != 1 || graph.states[at(edge.from[0])].input) return -1;
  const auto behind_dropout = [&](int id) -> const Node& {
    const Node* node = &edge.map.node(id);
    while (node->op && node->op->traits().masks) node = &edge.map.node(node->inputs[0]);
    return *node;
  };
  const Node& last = behind_dropout(edge.map.output_node());
  if (!last.op || !last.op->dense()) return -1;
  const Node& before = behind_dropout(last.inputs[0]);
  if (before.spec.shape.size() != 1) return -1;
  const bool whole =
      !before.op || (before.op->traits().reshapes && !behind_dropout(before.inputs[0]).op);
  return whole ? last.id : -1;
}

bool ConvergentNetwork::one_weight_each() const {
  for (size_t e = 0; e < graph.edges.size(); ++e)
    if (weights(static_cast<int>(e)) > 1) return false;
  return true;
}

ConvergentNetwork convergent_network(const Graph& net, const Loss& loss, const std::string& readout,
                                     Admitted admitted) {
  std::vector<int> sites;
  ConvergentNetwork out;
  if (net.has_composites()) {
    out = ConvergentCutter(net.flattened(&sites), loss, readout, admitted).cut();
  } else {
    sites.resize(net.nodes().size());
    std::iota(sites.begin(), sites.end(), 0);
    out = ConvergentCutter(net, loss, readout, admitted).cut();
  }
  out.graph.stand_at(sites);
  return out;
}

}  // namespace altprop
