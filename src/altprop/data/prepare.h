// What can be done to every data set alike, whatever its source: hold out a validation part, take
// fewer samples, pad images, choose the normalisation.
#pragma once

#include "altprop/base/options.h"
#include "altprop/data/dataset.h"

namespace altprop::data {

struct PrepareOptions {
  std::string folder;  ///< of all data sets, see data_folder
  std::string normalise = "standard";
  int64_t train_limit = 0, test_limit = 0;
  double validation = 0;
  double deviations = 1;
  int64_t image_size = 0;
  int64_t seed = 0;

  void declare(Options& options);
};

/// The folder of all data sets: `given`, or if that is empty the environment variable ALTPROP_DATA,
/// else "data".
std::string data_folder(const std::string& given = "");

/// Checks the splits and applies the options in this order:
///   1. `validation` samples (a fraction if below 1), drawn without replacement from the training
///   part, become the
///      validation part;
///   2. the normalisation is fixed from the source's published constants or the training part that
///   is left;
///   3. `train_limit`, `test_limit` samples are drawn without replacement; a smaller limit gives a
///   part of a larger one;
///   4. images are padded with zeros (of the stored values) on all sides to image_size x
///   image_size.
/// All draws depend on `seed` alone, and every part keeps the order of its source.
/// @throws UsageError if an option asks for more than there is; Error if the data do not fit
/// together
Splits prepare(Splits splits, const PrepareOptions& options);

/// Mean and standard deviation per channel of inputs * scale; a constant channel gets 1 for its
/// deviation. Serial, so that the number of threads cannot change the last bit.
void measure(Dataset& data);

}  // namespace altprop::data
