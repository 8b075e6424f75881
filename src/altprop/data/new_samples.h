// Samples that come after training: files that a trained network is applied to, read and prepared
// as its training data were.
#pragma once

#include <string>
#include <vector>

#include "altprop/data/dataset.h"
#include "altprop/data/prepare.h"

namespace altprop::data {

struct NewFiles {
  std::string inputs;                  ///< path; of a table its targets may stand in it, too
  std::string targets;                 ///< path of a file of their own; "": there is none
  std::vector<std::string> leave_out;  ///< columns of a table that are passed over, by name
  std::string id;  ///< column of a table that names its samples; "": there is none
};

struct NewSamples {
  Dataset data;                  ///< targets are undefined where the files have none
  std::vector<std::string> ids;  ///< one a sample, as written; empty: they are numbered from 0
};

/// Arrays: `inputs` in NPY or as IDX images, `targets` in NPY or as IDX labels, each by what the
/// file begins with; plain or gzip-compressed. Class labels are numbered as those of the training
/// part were, `train.labels`.
/// @throws Error naming the file that is wrong; UsageError for options of tables
NewSamples read_new_arrays(const NewFiles& files, const Dataset& train);

/// Inputs that are in memory, and their targets where they are known, as a data set of the same
/// kind as `train`. @param path the file that targets come from, for error sentences
Dataset new_dataset(const std::string& name, const Tensor& inputs, const Tensor& targets,
                    const std::string& path, const Dataset& train);

/// Gives new samples the normalisation of `train`, which has been prepared, and its padding.
/// @throws Error if they are of another shape or type
void prepare_new(Dataset& data, const Dataset& train, const PrepareOptions& options);

/// @throws UsageError if an option that only tables have is given
void refuse_table_options(const NewFiles& files);

}  // namespace altprop::data
