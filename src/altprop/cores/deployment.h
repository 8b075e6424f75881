// Ensembles of drawn networks on images: accuracy against the number of members, with its spread
// over draws, and an estimate of the energy.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/cores/engine.h"
#include "altprop/cores/ensemble_limit.h"
#include "altprop/cores/mapping.h"

namespace altprop::cores {

/// What a core takes by the published figures of the two networks of Esser et al. 2015, if the
/// smaller has 5 cores and the larger 30, in watts.
constexpr double kLeastCorePower = 63e-6, kMostCorePower = 82e-6;
/// A tick of the hardware, in seconds; an image takes one for each tick of its input.
constexpr double kTick = 1e-3;

struct DeploySettings {
  std::string members = "1,4,16,64";  ///< sizes of ensembles, separated by commas
  int64_t draws = 20;                 ///< ensembles of each size
  int64_t ticks = 1;                  ///< of input for each image
  std::string input = "bernoulli", leak = "round", engine = "auto";
  double core_power = kLeastCorePower;  ///< watts
  int64_t seed = 7;

  void declare(Options& options);
  /// Ascending. @throws UsageError if they are none
  std::vector<int64_t> sizes() const;
  EngineKind engine_kind() const;
  Encoding encoding() const;
};

/// Ensembles of one size.
struct EnsembleScore {
  int64_t members = 1;
  std::vector<double> accuracy;  ///< of each draw, 0 to 1
  double energy = 0;             ///< estimate, joules for one image
  /// Of each draw: root mean square distance of the class sums of a member and tick from the
  /// network's. Empty: these were not given.
  std::vector<double> distance;
  /// The same over all draws.
  double rms_distance() const;
};

struct Deployed {
  int64_t cores = 0, images = 0;
  double core_power = kLeastCorePower;  ///< that energies are estimated with, in watts
  std::vector<EnsembleScore> scores;
  /// Fitted to the distances; none where there are none.
  std::optional<EnsembleLimit> limit() const;
  nlohmann::json json() const;
  /// A row for each size: mean, deviation, least and most of the accuracy, distance from the
  /// network's class sums, energy; and what the energy rests on.
  std::string table() const;
};

/// Members are numbered through all draws: an ensemble is the first so many of its draw. The score
/// of a class is the number of spikes that its neurons fire in all members and ticks; of equal
/// scores the lowest class wins. The result depends neither on threads nor on how images are cut.
/// @param values [N, ...] in [0, 1] @param ids int64 [N], numbers of the images
/// @param targets int64 [N], classes
/// @param sums    [N, classes] of the trained network, which ensembles are compared with: spikes of
/// a class to expect in a tick. Undefined: none
/// @param goes_on asked between blocks of members; false: stop, with what is whole. Null: always
/// @throws UsageError for values or targets that do not fit
Deployed deploy(const Mapping& mapping, const Tensor& values, const Tensor& ids,
                const Tensor& targets, const DeploySettings& settings,
                const std::function<bool()>& goes_on = {}, const Tensor& sums = {});

/// Largest count of each row; of equal ones the lowest class. @param counts int32 [N, classes]
Tensor decisions(const Tensor& counts);

}  // namespace altprop::cores
