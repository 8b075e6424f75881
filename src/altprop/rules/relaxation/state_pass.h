// The forward pass of a network seen as states, and the local signals of credits at its states:
// what all rules that relax states share.
#pragma once

#include "altprop/rules/relaxation/relax.h"
#include "altprop/rules/rule.h"

namespace altprop {

class StatePass {
 public:
  /// @param levelled with identity states that make all ways equally long
  /// @throws Refusal if the network has several outputs or nothing between inputs and output
  StatePass(const Graph& net, Cut cut, bool levelled = false);

  const StateGraph& graph() const { return graph_; }
  /// State of the network's output.
  int output() const { return output_; }
  /// One per edge, of the last forward pass.
  std::vector<Activity>& activity() { return activity_; }
  const Field& values() const { return values_; }
  /// Some operation draws random numbers or measures the batch, which a second forward pass must
  /// not do anew.
  bool replays() const { return replays_; }
  /// Samples keep to themselves and draw for themselves: rows of a batch, passed through alone, are
  /// those of the whole batch.
  bool by_samples() const { return by_samples_; }

  /// Forward pass in training mode; fills values() and activity(). @returns the network's output
  Tensor forward(const Look& look);
  /// The activity of an edge at other values of its parents, with the masks, statistics and draws
  /// of the forward pass. Valid until the next call for this edge. Input states keep the values of
  /// the forward pass, and so does every state that `moved` leaves undefined.
  Activity& replay(int edge, const Field& moved);

  /// Signals of all operations, from the output up: `credit` holds one credit per state that is no
  /// input, of the batch-summed loss.
  /// @param at per edge the activity to use; null: that of the forward pass
  /// @param wanted per input of the network; empty: none
  /// @returns the credits of those inputs, as the edges that read them pass them on
  Credits deliver(const Field& credit, double scale, Feedback& inside, Sink& sink, Wanted wanted = {},
                  const std::function<Activity*(int edge)>& at = {});
  /// Lets go of the forward pass.
  void release();

 private:
  StateGraph graph_;
  int output_ = -1;
  bool replays_ = false, by_samples_ = true;
  std::vector<Activity> activity_, moved_;
  Field values_;
};

}  // namespace altprop
