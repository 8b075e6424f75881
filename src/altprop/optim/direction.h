// Directions: how a stream of local signals becomes gradients where it is not plain accumulation,
// for methods that need what an operation saw and not only its gradient (recursive least squares).
// Each is a class in a file of its own in optim/directions/ and registers itself by name; any
// optimizer then steps along what it makes.
//
//   const RegisterDirection registered_recursive_least_squares{
//       {.name = "recursive-least-squares",
//        .summary = "...",
//        .source = "...",
//        .make = [] { return std::make_unique<RecursiveLeastSquares>(); }}};
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/base/registry.h"
#include "altprop/network/signal.h"
#include "altprop/optim/optimizer_settings.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

/// Between the signals of a rule and the step of an optimizer. What it keeps belongs to parameters
/// and is kept by their names: operations may share one, and a resumed run has others.
class Direction {
 public:
  virtual ~Direction() = default;

  /// Options with their current values as defaults. Called before bind.
  virtual void declare(Options& options) {}
  /// Looks at the network, if there is one: what is in it that cannot be followed. Called before
  /// bind, which knows what will be stepped.
  virtual void admit(const Graph& net) {}
  /// The parameters that will be stepped, twins among them. Forgets what belonged to others.
  /// @throws Refusal saying where, why and what to use instead
  virtual void bind(const std::vector<ParamPtr>& params) {}

  /// Takes one signal. What the operation saw comes by `signal.rows()` and is not kept: it may be
  /// overwritten as soon as this returns.
  virtual void absorb(const LocalSignal& signal, Store& gradients) { signal.accumulate(gradients); }
  virtual void absorb(const ParamSignal& signal, Store& gradients) { signal.accumulate(gradients); }
  /// Called before each update of a group; may replace the gradients of its parameters. Of those
  /// that received nothing since the last update, the slots are still fresh.
  /// @param facts of the step that is about to be taken; nothing is clipped yet
  virtual void finish(const std::string& group, const StepFacts& facts, Store& gradients) {}

  /// Sentences about settings that are legal but will disappoint.
  virtual std::vector<std::string> warnings(const OptimizerSettings& settings) const { return {}; }
  /// Everything that a resumed run needs, under the parameters' names. Called after bind.
  virtual void state(StateIO io) {}
};

struct DirectionEntry {
  std::string name;     ///< words joined by hyphens
  std::string summary;  ///< one sentence
  std::string source;   ///< authors, year, arXiv id
  /// Null where there is nothing to do but accumulate, which the updater does itself, in place
  /// where it may.
  std::function<std::unique_ptr<Direction>()> make;
  int order = 100;  ///< position in listings
};

template <>
Registry<DirectionEntry>& registry_of();
using RegisterDirection = Registration<DirectionEntry>;

/// In listing order.
const std::vector<DirectionEntry>& direction_entries();
std::vector<std::string> direction_names();

/// Null for plain accumulation. @throws UsageError for unknown names, options and values
std::unique_ptr<Direction> make_direction(const std::string& name, const OptionValues& values = {});

/// Options of a direction, as listings show them. @throws UsageError for an unknown name
nlohmann::json direction_options(const std::string& name);
/// True if a direction, whichever, has an option of this full name.
bool is_direction_option(const std::string& option);

}  // namespace altprop
