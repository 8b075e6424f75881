// A network: a directed acyclic graph of operations. A Graph is itself an Op, so that a residual
// block, the right-hand side of an ODE, a target map or a rule's own feedback net are graphs inside
// graphs.
//
//   Graph net;
//   int x = net.input({{784}});
//   int h = net.add(linear(500), {x}, "fc1");
//   h = net.add(relu(), {h});
//   net.output(net.add(linear(10), {h}, "fc2"));
//   net.initialise("xavier", Stream(1).at("init"));
//
// Nodes are numbered in the order they are added, which is a topological order. Not thread-safe.
#pragma once

#include <functional>

#include "altprop/network/composite.h"
#include "altprop/network/signal.h"

namespace altprop {

struct Node {
  std::string name;
  OpPtr op;  ///< null for an input of the graph
  std::vector<int> inputs;
  Spec spec;  ///< of the output
  int id = 0;
  int draws = 0;  ///< key of its random draws: the number in the network it was cut from
  int site = -1;  ///< number among the sites of the network it was cut from; -1: it was not
};

/// What one forward pass leaves behind: reused from step to step so that nothing is allocated
/// twice.
struct Activity {
  std::vector<Saved> saved;    ///< per node
  std::vector<Tensor> values;  ///< per node; kept only where asked for, and for the outputs
  int64_t batch = 0;           ///< rows of the first input that has a batch dimension
  void clear();
};

struct RunOptions {
  bool keep_values = false;  ///< keep every node's value in Activity::values (then nothing is
                             ///< overwritten in place)
  bool forget = false;       ///< keep nothing for derivatives: memory is freed as the pass goes
};

struct Seed {
  int node;
  Tensor cot;  ///< [K*B, ...]; of an input without a batch dimension [K, ...]
};

struct SweepOptions {
  double scale = 1;  ///< of every signal
  int phase = 0;
  bool release = false;  ///< free each operation's Saved once it has been swept
  /// Also filled with the cotangent of every input: [K*B, ...], [K, ...] of one without a batch
  /// dimension, undefined of integers.
  std::vector<Tensor>* input_credits = nullptr;
  std::span<const char> inputs_wanted = {};      ///< ... or, if not empty, of those marked here
  SweepOrder order = SweepOrder::CreditFirst;
};

/// Where a forward-mode pass begins.
struct Push {
  /// Per input of the graph: [K*B, ...], or [K, ...] of one without a batch dimension. Undefined or
  /// left out: none; integers have none.
  std::vector<Tensor> inputs = {};
  std::vector<Seed> nodes = {};     ///< tangents of nodes' outputs
  /// ... and of any site's, those inside of composites too.
  std::vector<SiteTangent> sites = {};
  ParamTangents params = {};        ///< null: none moves
};

/// What a reverse pass over values AND their tangents has beside that over values alone.
struct TangentSweep {
  /// At every node, as push has left them, [K*B, ...]; undefined where none arrives.
  std::span<const Tensor> tangents;
  std::vector<Seed> seeds = {};  ///< credits of nodes' tangents, [M*K*B, ...]
  /// Tangents of the graph's inputs whose credit is wanted too; empty: none.
  Wanted wanted = {};
};

class Graph : public Composite {
 public:
  // Building. Every call checks shapes and throws Refusal naming the node.
  /// @param spec of one sample, or of one value for the whole batch; a network needs at least one
  /// input with a batch dimension
  int input(Spec spec, std::string name = "");
  int add(OpPtr op, std::vector<int> inputs, std::string name = "");
  void output(int node);
  /// Lets a node draw what node `key` of another network would draw at the same place.
  void draw_as(int node, int key) { nodes_[static_cast<size_t>(node)].draws = key; }
  /// Lets the signals of a node be those of site `number` of the network that this was cut from.
  void stand_at(int node, int number) { nodes_[static_cast<size_t>(node)].site = number; }
  /// Splices a copy of the nodes of `other` (the same operations: tied weights) in; returns its
  /// outputs' numbers here.
  std::vector<int> splice(const Graph& other, std::vector<int> inputs,
                          const std::string& prefix = "");

  /// The same network without graphs inside graphs: their nodes take their place, "block.fc", with
  /// the same operations and parameters. @param sites filled with the number that each of its nodes
  /// has among the sites of this @throws Refusal for other operations that are made of parts
  Graph flattened(std::vector<int>* sites = nullptr) const;
  /// True if some operation is made of others.
  bool has_composites() const;

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const { return nodes_[static_cast<size_t>(id)]; }
  /// Number of the node of that name. @throws UsageError with a suggestion
  int find(const std::string& name) const;
  const std::vector<int>& input_nodes() const { return inputs_; }
  const std::vector<int>& output_nodes() const { return outputs_; }
  const std::vector<std::vector<int>>& consumers() const { return consumers_; }
  /// The only output. @throws Refusal if there are several
  int output_node() const;
  /// Number of a node among the graph's sites (see Sites): its id, if no composite is before it.
  int site_of(int node) const;
  /// The place of a node as its signals name it: where it stands in the network that this was cut
  /// from (stand_at), else in this.
  Site site(int node) const;
  std::vector<int> site_numbers(const std::vector<int>& nodes) const;
  /// All sites: nodes and, of composites, their parts.
  int site_count() const;
  /// True for nodes whose output's credit is needed by some parameter at or before them.
  const std::vector<char>& needs_credit() const;

  /// Each parameter once, in node order.
  std::vector<ParamPtr> params() const override;
  std::vector<std::pair<std::string, Tensor*>> buffers() override;
  /// Moves parameters and buffers.
  void to(at::Device device, at::ScalarType dtype);
  at::TensorOptions options() const;

  /// @throws UsageError naming the input that is not as its spec says, or of another type or on
  /// another device than the parameters
  void expect_inputs(std::span<const Tensor> inputs) const;
  /// Forward pass; returns the first output. Inputs are as their specs say: [B, ...], or [...]
  /// where one value is for the whole batch. @throws UsageError naming the input if one is not
  Tensor run(std::span<const Tensor> inputs, Activity& activity, const Pass& pass,
             const RunOptions& options = {}) const;
  Tensor run(const Tensor& input, Activity& activity, const Pass& pass,
             const RunOptions& options = {}) const {
    return run(std::span<const Tensor>(&input, 1), activity, pass, options);
  }
  /// Forward pass without anything kept, for evaluation.
  Tensor predict(const Tensor& input) const;

  /// Reverse pass: pulls credit from the seeds towards the inputs, sending each parameterised
  /// operation's signal to `sink` (may be null). An operation's input credit is computed before its
  /// signal is sent, so that a sink may update weights at once.
  void sweep(Activity& activity, std::vector<Seed> seeds, Feedback& feedback, Sink* sink,
             const SweepOptions& options = {}) const;
  /// The same with everything that a reverse pass carries, as composites pass it on to their parts.
  /// @param wanted per input; empty: none
  Credits sweep(Activity& activity, std::vector<Seed> seeds, Sweep& sweep, Wanted wanted) const;
  /// The reverse pass of values and tangents together, as the second derivatives of a Jacobian's
  /// product take it: credit of a tangent crosses each operation by the same feedback as that of a
  /// value, becomes credit of the value where the Jacobian depends on it, and makes signals of its
  /// own. `seeds` and credits of values have M*B rows.
  /// @throws Refusal where an operation's second derivatives are not known
  TangentCredits sweep(Activity& activity, std::vector<Seed> seeds, TangentSweep second,
                       Sweep& sweep, Wanted wanted) const;
  /// Forward-mode pass at a saved activity: tangents of the inputs to the tangent of the first
  /// output.
  Tensor push(const Activity& activity, std::span<const Tensor> tangents) const;
  /// The same from anywhere: inputs, outputs of nodes and sites (added to what arrives there) and
  /// parameters.
  /// @returns undefined if nothing that moves reaches the output
  /// @throws UsageError for a site that there is not, Refusal for one inside of a composite in which
  /// none can begin
  /// @param at_nodes filled with the tangents of all nodes; null: they are not kept
  Tensor push(const Activity& activity, const Push& from,
              std::vector<Tensor>* at_nodes = nullptr) const;

  /// Every operation that is not made of others, in the order of the forward pass, with its place
  /// and what it saw. @throws Refusal naming the composite that does not keep what its parts see
  void visit(const Activity& activity, const Visit& visit) const;

  // As an operation of another graph.
  std::string type() const override { return "graph"; }
  int arity() const override { return static_cast<int>(inputs_.size()); }
  Takes takes(int input) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  const Graph* parts() const override { return this; }
  void visit_parts(const Saved& saved, const Visit& visit) const override;
  Tensor jvp_sites(const Saved& saved, std::span<const SiteTangent> from) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  /// All of its operations know theirs.
  bool has_jvp_vjp() const override;
  Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                 int input) const override {
    return jvp_vjp_by_sweep(saved, tangents, cot, input);
  }
  void jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                      double scale, Store& store) const override {
    jvp_accumulate_by_sweep(saved, tangents, cot, scale, store);
  }
  TangentCredits credit_of_tangent(const Saved& saved, std::span<const Tensor> tangents,
                                   const Tensor& cot, Wanted values, Wanted of_tangents,
                                   Sweep& sweep) const override;
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  void project() const override;
  /// Of its parts.
  void penalise(double share, Sink& sink) const override;
  /// Of its parts, each behind the name of its node.
  std::vector<std::string> notices() const override;
  /// Of its parts together.
  Traits traits() const override;
  bool keeps_output() const override;

 private:
  struct Plan;
  const Plan& plan() const;
  void expect_inputs(std::span<const Tensor> inputs, const Plan& plan) const;
  /// @param second null: values alone
  TangentCredits reverse(Activity& activity, std::vector<Seed> seeds, TangentSweep* second,
                         Sweep& outer, Wanted inputs_wanted) const;

  std::vector<Node> nodes_;
  std::vector<int> inputs_, outputs_;
  std::vector<std::vector<int>> consumers_;
  mutable std::shared_ptr<const Plan> plan_;
  /// Its parameters' names already carry the name of a node around it.
  mutable bool nested_ = false;
};

}  // namespace altprop
