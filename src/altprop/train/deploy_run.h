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
/// distance of the connections from 0 and 1, "half_way": share between 0.1 and 0.9, "connections":
/// the same by layer, with its name}.
nlohmann::json about_deployed(Experiment& experiment, const data::Dataset& data);

/// [N, classes] of the trained network: how many spikes of a class it expects in a tick, where the
/// inputs are what the encoding makes of the values, on the mean over the ticks. What ensembles are
/// compared with. @param values [N, ...] in [0, 1]
Tensor network_sums(const Graph& net, const Tensor& values, cores::Encoding encoding,
                    int64_t ticks);

/// What was deployed and how, into the folder of the run, whole or not at all.
/// @param file the checkpoint @param found with what is known of it @param split of the data
void write_deployment(const std::filesystem::path& dir, const std::filesystem::path& file,
                      const RunSettings& of_run, nlohmann::json found,
                      const cores::DeploySettings& settings, const std::string& split);

}  // namespace altprop
