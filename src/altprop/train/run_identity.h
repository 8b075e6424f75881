// What a run depends on, so that one that goes on later is the same run: an id, a digest of the
// data, the settings that it was begun with, and paths that hold from anywhere.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "altprop/data/dataset.h"
#include "altprop/train/run_meta.h"
#include "altprop/train/settings.h"

namespace altprop {

/// Of all that learners see of the data: values, targets, how they are normalised, and which
/// samples are in which part. SHA-256, which processors have instructions for and nobody makes
/// collide.
std::string data_digest(const data::Splits& data);

/// Gives a new run its id and the digest of its data, and makes the paths of its data absolute,
/// with a note of how they were written.
void identify(RunSettings& settings, const data::Splits& data);

/// Makes the paths of the data absolute. @throws UsageError for one that is no UTF-8
void keep_paths(RunSettings& settings);

/// Before a folder is made for them. @throws UsageError if settings hold what a record cannot
void require_recordable(RunSettings settings);

/// The data of a run that was begun earlier, perhaps elsewhere: a path that is not there any more
/// is looked for where it would be if the run were begun now. @throws Error naming both
std::shared_ptr<const data::Splits> load_data_again(RunSettings& settings);

/// Checks that a checkpoint is of the run whose config.toml was read into `settings`, and that
/// these differ only in what a resumed run may change (docs/trust.md). @returns a sentence for each
/// change that has an effect on what is learnt
/// @throws Error
std::vector<std::string> require_same_run(const RunMeta& meta, RunSettings settings,
                                          const std::string& checkpoint);

/// @throws Error if the data are not those that the run was begun with
void require_same_data(const RunMeta& meta, const data::Splits& data,
                       const std::string& checkpoint);

}  // namespace altprop
