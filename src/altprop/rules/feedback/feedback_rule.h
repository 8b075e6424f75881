// Base of the rules that send credit back through another tensor than the forward weight: feedback
// alignment, sign symmetry, Kolen-Pollack, weight mirror, product feedback alignment. For every
// weight operation whose input needs credit, the exact VJP with W is replaced by the VJP with a
// substitute M of W's shape; everything else (activations, pooling, norms, residual adds, the
// weight gradient) stays backprop's. A first layer has no M at all. Tied weights share one M.
//
// A derived rule says how M is drawn (`draw`) and how it is brought up to date before each step
// (`prepare`).
#pragma once

#include <functional>
#include <map>

#include "altprop/network/init.h"
#include "altprop/network/sites.h"
#include "altprop/rules/rule.h"

namespace altprop {

class FeedbackRule : public Rule, protected Feedback {
 public:
  void declare(Options& options) override;
  std::vector<Unread> unread() const override;
  void admit(const Graph& net, const Loss& loss) const override;
  void after_update(const StepFacts& facts, const Step& step) override;
  bool follows_updates() const override { return !norms_.empty(); }
  std::vector<FeedbackFact> feedback() const override;
  bool has_input_credit() const override { return true; }
  void state(StateIO io) override;

 protected:
  void set_up() override;
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override;
  /// The reverse sweep.
  virtual Credits sweep(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink);
  /// Lets `emit` send its signals to `sink`; with feedback.grad-clip the gradients that they make
  /// are bounded first, those of the network's parameters alone.
  void within_bounds(Sink& sink, const std::function<void(Sink&)>& emit) const;

  /// One weight tensor and its substitute.
  struct Path {
    ParamPtr weight;
    std::vector<int> sites;  ///< all places with this weight where the rule substitutes it
    std::string name;        ///< of the first of them
    Tensor m;     ///< the substitute, of the weight's shape; undefined: the weight itself
    Tensor mask;  ///< 0/1, of the weight's shape; undefined at density 1
  };

  /// The operations whose input credit the rule replaces: all that credit has to cross (the first
  /// layers, too, where credit of the inputs is wanted), less those that the options keep exact.
  /// @returns numbers of sites
  virtual std::vector<int> substituted(const Sites& sites) const;
  /// First value of path.m: random by default; undefined if `prepare` makes it. The mask has been
  /// drawn.
  virtual Tensor draw(const Path& path, const Stream& stream) { return draw_random(path, stream); }
  /// Brings path.m up to date with the weights, once per step and before the sweep.
  virtual void prepare(Path& path, const Look& look) {}
  /// The substitute for instruments.
  virtual Tensor substitute(const Path& path) const { return path.m; }
  /// True if the rule's substitutes are part of a checkpoint (learnt or redrawn ones are saved
  /// elsewhere).
  virtual bool keeps_substitutes() const { return true; }

  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override;

  /// feedback.init times feedback.scale, masked.
  Tensor draw_random(const Path& path, const Stream& stream) const;
  bool looks_at_gradients() const { return grad_clip_ > 0; }
  /// A credit within feedback.grad-clip.
  Tensor clipped(Tensor credit) const;
  Credits clipped(Credits credits) const;
  Path* path_of(const Param* weight);
  /// The path that the rule substitutes at a site, or null.
  Path* path_at(int site) {
    const int at = path_at_[static_cast<size_t>(site)];
    return at < 0 ? nullptr : &paths_[static_cast<size_t>(at)];
  }
  /// What stands for a site's weight or norm gain in its Jacobian; undefined: the thing itself.
  const Tensor& substitute_at(int site) const {
    const int at = path_at_[static_cast<size_t>(site)];
    return at < 0 ? unit_gains_[static_cast<size_t>(site)] : paths_[static_cast<size_t>(at)].m;
  }
  /// The stream of this rule for one purpose.
  Stream stream(const std::string& purpose) const { return stream_.at(purpose); }

  std::vector<Path> paths_;

  std::string init_ = "xavier";
  double scale_ = 1, density_ = 1;
  int64_t feedback_seed_ = -1;
  bool exact_last_ = false, weight_norm_ = false, allow_exact_ = false;
  std::vector<std::string> skip_;
  double grad_clip_ = 0;
  std::string norm_gain_ = "exact";

 private:
  struct NormKept {
    ParamPtr weight;
    double norm;  ///< Frobenius norm of the initial weight
  };

  Stream stream_;
  std::map<const Param*, size_t> path_index_;
  std::vector<int> path_at_;  ///< per site: its path, or -1
  std::vector<NormKept> norms_;
  std::vector<Tensor> unit_gains_;  ///< per site, defined for norms if norm-gain is one
  double clip_at_ = 0;  ///< grad_clip in units of the batch-summed loss, for the step in progress
};

}  // namespace altprop
