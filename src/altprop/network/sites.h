// All places of a network, those inside its composites included, as one list: what rules that keep
// something per operation go through when they are bound.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

struct SiteInfo {
  int number;          ///< Site::number
  std::string name;    ///< Site::name()
  const Node* node;    ///< in `graph`
  const Graph* graph;  ///< the one that it is a node of
  /// Sites that its inputs come from, seen through the borders of graphs inside graphs: leaves and
  /// inputs of the network. -1 where a composite makes the input itself (the state of a solver).
  std::vector<int> inputs;
  bool needs_credit = false;  ///< some parameter at or before it learns
  bool is_crossed = false;    ///< credit has to pass through its first input to reach a parameter
  bool from_input = false;    ///< its first input depends on an input of the network

  const Op* op() const { return node->op.get(); }
  /// An operation that is not made of others.
  bool is_leaf() const { return node->op && !node->op->parts(); }
};

class Sites {
 public:
  explicit Sites(const Graph& net);

  const std::vector<SiteInfo>& all() const& { return all_; }
  void all() && = delete;  // a loop over those of a temporary would read what is gone
  const SiteInfo& operator[](int number) const { return all_[static_cast<size_t>(number)]; }
  size_t size() const { return all_.size(); }
  /// Operations that are no composites, in the order of the forward pass.
  std::vector<int> leaves() const;
  /// By name. @throws UsageError with a suggestion
  int find(const std::string& name) const;
  /// Leaves with a weight that credit has to cross to reach a parameter: where a feedback rule
  /// needs a substitute. Not the first layer. @param to_inputs credit goes on to the network's
  /// inputs: the first layers, too
  std::vector<int> crossed_weights(bool to_inputs = false) const;
  /// The leaf, or the input, that makes the network's output. @throws Refusal if there are several
  int output() const { return output_; }

 private:
  void add(const Graph& graph, const std::string& prefix, const std::vector<int>& fed,
           const std::vector<char>& wanted, const std::vector<char>& outer);

  std::vector<SiteInfo> all_;
  std::vector<int> source_;  ///< per site: the leaf or input that makes its value
  int output_ = -1;
};

}  // namespace altprop
