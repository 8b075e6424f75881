// A trained run as cores, and the images that it is deployed on.
#pragma once

#include "altprop/cores/deployment.h"
#include "altprop/train/earlier_run.h"

namespace altprop {

/// Images as cores see them.
struct ImagesForCores {
  Tensor values;   ///< [N, ...], as the loader normalises them
  Tensor ids;      ///< int64 [N]
  Tensor targets;  ///< int64 [N]
};

/// @param most no more than the first so many; 0: all
/// @throws UsageError for data without classes
ImagesForCores images_for_cores(const data::Dataset& data, int64_t most = 0);

/// What is known of a deployed run beside its ensembles: {"network_accuracy": ..., "distance": mean
/// distance of the connections from 0 and 1, "half_way": share between 0.1 and 0.9}.
nlohmann::json about_deployed(Experiment& experiment, const data::Dataset& data);

}  // namespace altprop
