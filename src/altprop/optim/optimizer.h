// One optimizer: how gradients become steps. Each is a class in a file of its own in
// optim/optimizers/ and registers itself by name:
//
//   const RegisterOptimizer registered_sgd{
//       {.name = "sgd", .update = "w <- w - lr g", .optimizer = std::make_shared<Sgd>()}};
//
// An optimizer has no state: it says which tensors it needs, and the updater keeps them beside the
// values, flat where the values are.
#pragma once

#include <memory>
#include <optional>

#include "altprop/base/registry.h"
#include "altprop/optim/optimizer_settings.h"
#include "altprop/tensor/tensor.h"

namespace altprop {

/// What local signals are added to.
enum class Target {
  Gradient,  ///< a gradient of their own, which the step then reads
  Average,   ///< momentum's average: m <- momentum m + g comes with the first signal
  Value,     ///< the value itself: w <- w - lr g
};

/// A tensor that an optimizer keeps for every tensor of values.
struct StateTensor {
  std::string name;       ///< of its entry in checkpoints: "first", "second", ...
  bool is_count = false;  ///< one float32 number instead of the values' shape
};

/// Values that step alike, with what belongs to them; `state[k][i]` is the k-th state tensor of
/// `values[i]`.
struct StepTensors {
  std::vector<Tensor>& values;
  std::vector<Tensor>& gradients;
  std::vector<std::vector<Tensor>>& state;
};

/// The numbers of one step: rate and decay are those of these values at this moment.
struct StepNumbers {
  double lr = 0, decay = 0;
  bool first = false;  ///< nothing has been stepped before
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// What it keeps, zero at first.
  virtual std::vector<StateTensor> state(const OptimizerSettings& settings) const { return {}; }
  /// One step of values with their gradients, which may be used up.
  virtual void step(StepTensors tensors, const OptimizerSettings& settings,
                    StepNumbers numbers) const = 0;

  /// Steps are linear in the sequence of gradients: what holds for them holds for sums of them.
  virtual bool linear() const { return false; }
  /// Decay is taken off the values and is no part of the gradient.
  virtual bool decays_apart() const { return false; }
  /// The step is gradient + momentum * average, not the average.
  virtual bool looks_ahead() const { return false; }
  /// 0 where there is none.
  virtual double momentum(const OptimizerSettings& settings) const { return 0; }

  /// Where signals may go if nobody needs gradients. Average: state 0 is what they are added to,
  /// and `step_from_average` the rest of the step. Value: the step without decay is done then.
  virtual Target takes_signals(const OptimizerSettings& settings) const { return Target::Gradient; }
  virtual void step_from_average(Tensor& value, Tensor& average, StepNumbers numbers) const {}
};

/// A setting that no other optimizer has; it is declared with those of all
/// (OptimizerSettings::own).
struct OwnNumber {
  std::string name;
  double value = 0;  ///< by default
  OptionRange range;
  OptionDoc doc;
};

struct OptimizerEntry {
  std::string name;
  std::string update;  ///< formula with g for the gradient with coupled decay; and the source
  std::shared_ptr<const Optimizer> optimizer;
  std::vector<OwnNumber> own = {};
  /// Which of momentum, beta1, beta2, eps, rms-decay count; unknown: nothing is said of any.
  std::optional<std::vector<std::string>> uses = {};
  int order = 100;  ///< position in listings
};

template <>
Registry<OptimizerEntry>& registry_of();
using RegisterOptimizer = Registration<OptimizerEntry>;

/// In listing order.
const std::vector<OptimizerEntry>& optimizer_entries();
std::vector<std::string> optimizer_names();
/// @throws UsageError with a suggestion
std::shared_ptr<const Optimizer> optimizer_named(const std::string& name);

}  // namespace altprop
